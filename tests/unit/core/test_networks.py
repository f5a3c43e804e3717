"""Networks of labs: a subnet that nothing else uses, the same for the same lab, and machines that come and go in it."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import libvirt
import pytest
from layouts import lay_out
from programs import Programs

from labctl.definition.loading import load, loads
from labctl.errors import HostError
from labctl.providers import networks
from labctl.providers.libvirt import Hypervisor
from labctl.render.layout import Layout, Network


def layout(hypervisor: Hypervisor, text: str = "", **addresses: IPv4Address) -> Layout:
    """The lab `full`, or one as in `text`, in the network that it has or would get."""
    definition = loads(text) if text else load("full")
    where = hypervisor.network(definition.name) or hypervisor.lease(definition.name, None)
    return lay_out(
        definition, where, addresses={node.replace("_", "-"): at for node, at in addresses.items()}
    )


@pytest.mark.parametrize("lab", ["a", "full", "mini-hpc", "a-very-long-name-of-a-lab", "tests-1234567"])
def test_names_of_networks_fit_the_kernel(lab: str) -> None:
    assert len(networks.name(lab)) <= 15
    assert networks.name(lab) == networks.name(lab)


def test_labs_that_begin_alike_have_networks_of_their_own() -> None:
    labs = ["testing", "testing-1", "testing-2", "test", "testin"]
    assert len({networks.name(lab) for lab in labs}) == len(labs)


def test_a_lease_is_a_free_24_with_the_host_first(hypervisor: Hypervisor) -> None:
    network = hypervisor.lease("full", None)
    assert network.subnet.prefixlen == 24
    assert network.subnet.subnet_of(IPv4Network("10.214.0.0/16"))
    assert network.gateway == network.subnet[1]
    assert network.name == networks.name("full")


def test_the_same_lab_mostly_gets_the_same_network(hypervisor: Hypervisor) -> None:
    assert hypervisor.lease("full", None) == hypervisor.lease("full", None)
    assert hypervisor.lease("full", None).subnet != hypervisor.lease("other", None).subnet


def routed(programs: Programs, *destinations: str) -> None:
    routes = json.dumps([{"dst": destination} for destination in destinations])
    programs.add("ip", f"echo '{routes}'")


def test_a_lease_avoids_what_the_host_reaches(hypervisor: Hypervisor, programs: Programs) -> None:
    favourite = hypervisor.lease("full", None).subnet
    routed(programs, "default", str(favourite), "192.168.1.1")
    assert not hypervisor.lease("full", None).subnet.overlaps(favourite)
    # All of the range but one, in a single route and a host's address:
    taken = [str(part) for part in IPv4Network("10.214.0.0/16").address_exclude(IPv4Network("10.214.7.0/24"))]
    routed(programs, *taken)
    assert hypervisor.lease("full", None).subnet == IPv4Network("10.214.7.0/24")
    routed(programs, *taken, "10.214.7.77")
    with pytest.raises(HostError, match="no free network for the lab full") as failed:
        hypervisor.lease("full", None)
    assert "10.214.7.77" in failed.value.why
    assert "--set network=" in failed.value.hint


def test_a_vpn_that_takes_the_whole_world_leaves_room_for_labs(
    hypervisor: Hypervisor, programs: Programs
) -> None:
    routed(programs, "0.0.0.0/1", "128.0.0.0/1", "default")
    assert hypervisor.lease("full", None)


OTHER = """<network><name>{name}</name><forward mode='nat'/><bridge name='{name}'/>
<ip family='ipv6' address='fd00::1' prefix='64'/><ip address='{address}' {mask}/></network>"""


@pytest.mark.parametrize("mask", ["netmask='255.255.255.0'", "prefix='24'"])
def test_a_lease_avoids_networks_of_libvirt_also_those_that_are_down(
    hypervisor: Hypervisor, mask: str
) -> None:
    favourite = hypervisor.lease("full", None)
    hypervisor.connection.networkDefineXML(
        OTHER.format(name="someone", address=favourite.subnet[200], mask=mask)
    )
    assert not hypervisor.lease("full", None).subnet.overlaps(favourite.subnet)


def test_a_network_that_is_asked_for_is_given_or_refused_with_who_has_it(
    hypervisor: Hypervisor, programs: Programs
) -> None:
    wanted = IPv4Network("10.20.30.0/28")
    assert hypervisor.lease("full", wanted) == Network(networks.name("full"), wanted, wanted[1])
    routed(programs, "10.20.0.0/16")
    with pytest.raises(HostError, match="no free network") as failed:
        hypervisor.lease("full", wanted)
    assert "10.20.0.0/16" in failed.value.why


def hosts(hypervisor: Hypervisor, lab: str = "full") -> set[tuple[str, str]]:
    """The machines that are in both of the lists a network has of them."""
    xml = hypervisor.connection.networkLookupByName(networks.name(lab)).XMLDesc()
    root = networks.ET.fromstring(xml)
    leases = {(host.get("name", ""), host.get("ip", "")) for host in root.iterfind("ip/dhcp/host")}
    names = {(host.findtext("hostname", ""), host.get("ip", "")) for host in root.iterfind("dns/host")}
    assert leases == names
    return leases


def test_a_network_knows_the_address_and_the_name_of_every_machine(hypervisor: Hypervisor) -> None:
    wanted = layout(hypervisor)
    hypervisor.connect(wanted)
    assert hypervisor.network("full") == wanted.network
    assert hosts(hypervisor) == {(one.node.name, str(one.address)) for one in wanted.machines}
    xml = hypervisor.connection.networkLookupByName(networks.name("full")).XMLDesc()
    assert all(one.mac in xml for one in wanted.machines)
    assert f"<bridge name='{networks.name('full')}'" in xml
    assert "range" not in xml  # no address is handed out to anybody else


def test_a_network_that_is_down_comes_up(hypervisor: Hypervisor) -> None:
    wanted = layout(hypervisor)
    hypervisor.connect(wanted)
    network = hypervisor.connection.networkLookupByName(networks.name("full"))
    network.destroy()
    hypervisor.connect(wanted)
    assert network.isActive()


GROWN = """
name: full
users: [{name: ann, uid: 10000}]
nodes:
  - {name: "cpu-[0-2]", roles: [slurmd], partitions: [cpu]}
  - {name: new, roles: [ldap_server, nfs_server, slurmctld]}
partitions: [{name: cpu}]
"""


def test_machines_come_and_go_while_the_network_goes_on(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypervisor.connect(layout(hypervisor))
    for deed in ("destroy", "undefine"):  # running machines would be unplugged
        monkeypatch.setattr(libvirt.virNetwork, deed, lambda _: pytest.fail("taken down"))
    grown = layout(hypervisor, GROWN)
    hypervisor.connect(grown)
    assert hosts(hypervisor) == {(one.node.name, str(one.address)) for one in grown.machines}
    swapped = {"cpu-0": grown.network.subnet[11], "cpu-1": grown.network.subnet[10]}
    changed = layout(hypervisor, GROWN, addresses=swapped)
    hypervisor.connect(changed)
    assert hosts(hypervisor) == {(one.node.name, str(one.address)) for one in changed.machines}


def test_another_subnet_makes_the_network_anew(hypervisor: Hypervisor) -> None:
    hypervisor.connect(layout(hypervisor))
    hypervisor.remove_network("full")
    assert hypervisor.network("full") is None
    old = layout(hypervisor)
    hypervisor.connect(old)
    other = Network(old.network.name, IPv4Network("10.1.2.0/24"), IPv4Network("10.1.2.0/24")[1])
    moved = type(old)(
        **{
            **vars(old),
            "network": other,
            "machines": tuple(
                type(one)(one.node, one.domain, one.mac, other.subnet[10 + index])
                for index, one in enumerate(old.machines)
            ),
        }
    )
    hypervisor.connect(moved)
    assert hypervisor.network("full") == other
    assert hosts(hypervisor) == {(one.node.name, str(one.address)) for one in moved.machines}


def test_a_network_that_libvirt_refuses_leaves_nothing(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> None:
        raise libvirt.libvirtError("Network is already in use by interface eth0")

    monkeypatch.setattr(libvirt.virNetwork, "create", refuse)
    with pytest.raises(HostError, match=r"the network 10\.214\.\d+\.0/24 cannot be made") as failed:
        hypervisor.connect(layout(hypervisor))
    assert "eth0" in failed.value.why
    assert hypervisor.network("full") is None


def test_a_network_goes_once_and_its_absence_is_no_error(hypervisor: Hypervisor) -> None:
    hypervisor.connect(layout(hypervisor))
    for _ in range(2):
        hypervisor.remove_network("full")
    assert hypervisor.network("full") is None
    assert hypervisor.connection.networkLookupByName("default")
