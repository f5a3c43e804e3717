"""Where a lab's machines are: decided once, kept in the lab's record, and read back from it."""

from __future__ import annotations

from dataclasses import asdict, replace
from ipaddress import IPv4Address, IPv4Network
from typing import cast

from labctl import addresses, secrets
from labctl.definition import accounts
from labctl.definition.accounts import Account
from labctl.definition.models import Definition
from labctl.files import LabFiles, Record, definition_key
from labctl.providers.base import PREFIX
from labctl.render.layout import BoxImage, Driver, Layout, Machine, Network
from labctl.render.layout import Provider as ProviderName


def wanted_subnet(definition: Definition) -> IPv4Network | None:
    """The subnet that the definition asks for; None if any will do."""
    return None if definition.network == "auto" else IPv4Network(definition.network)


def saved_subnet(record: Record) -> IPv4Network | None:
    """The subnet that the lab had; its machines have their addresses in it."""
    subnet = record.network.get("subnet", "")
    return IPv4Network(subnet) if subnet else None


def decided(
    record: Record,
    definition: Definition,
    *,
    network: Network,
    image: BoxImage,
    driver: Driver,
    provider: str,
) -> Record:
    """The record of a lab whose machines are made so, in this network.

    Args:
        record: as it was; nodes that are still there keep their addresses.
        definition: whose nodes they are.
        network: the lab's own.
        image: what the machines start from.
        driver: kvm or qemu.
        provider: libvirt or virtualbox.
    """
    names = [node.name for node in definition.machines()]
    shall = accounts.named(definition)
    return replace(
        record,
        addresses=addresses.assign(network, names, record.addresses),
        image=asdict(image),
        driver=driver,
        provider=provider,
        definition=definition_key(definition),
        accounts=sorted(shall),
        removed=sorted(record.told() - shall),
        network={"name": network.name, "subnet": str(network.subnet), "gateway": str(network.gateway)},
    )


def read(record: Record, files: LabFiles, definition: Definition, *, lab: str, pool: str) -> Layout:
    """The layout that the record tells of, without nodes that it does not know; an SSH key is made if there is none."""
    return Layout(
        lab=lab,
        definition=definition,
        network=_network(record),
        machines=_machines(record, definition, lab),
        box=BoxImage(**record.image),
        driver=cast(Driver, record.driver),
        provider=cast(ProviderName, record.provider),
        directory=files.directory,
        public_key=secrets.ssh_key(files.key, f"labctl-{lab}"),
        prefix=f"{PREFIX}{lab}_",
        pool=pool,
        removed=frozenset(Account(*account) for account in record.removed),
    )


def _network(record: Record) -> Network:
    network = record.network
    return Network(network["name"], IPv4Network(network["subnet"]), IPv4Address(network["gateway"]))


def _machines(record: Record, definition: Definition, lab: str) -> tuple[Machine, ...]:
    return tuple(
        Machine(
            node,
            f"{PREFIX}{lab}_{node.name}",
            addresses.mac(lab, node.name),
            IPv4Address(record.addresses[node.name]),
        )
        for node in definition.machines()
        if node.name in record.addresses
    )
