"""Connection facts of a lab that nobody made: for unit tests, and for clients that only read them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

from labctl.definition import loading
from labctl.definition.models import Definition
from labctl.definition.sizes import Sizes
from labctl.render import connection as rendering
from labctl.render.connection import Connection
from labctl.render.layout import BoxImage, Layout, Machine, Network

_NOWHERE = IPv4Network("192.0.2.0/24")  # RFC 5737: for documentation, and nobody's
_FIRST = 10


def default_test_config() -> Connection:
    """The facts of a cluster with one node of 4 CPUs in the partition debug: the preset `cpu`."""
    return config_of(loading.load("cpu"))


def gpu_test_config(gpus: int = 2) -> Connection:
    """The facts of a cluster with one node that has GPUs, in the partitions debug and gpu: the preset `gpu`."""
    return config_of(loading.load("gpu", sizes=Sizes(gpus_per_node=gpus)))


def create_slurmfile(config: Connection, path: str | Path = "Slurmfile.toml") -> Path:
    """Write the file where SDKs of Slurm look for their cluster; where it is.

    Args:
        config: what `get_config()` of a cluster says, or one of the above.
        path: of the file, or of a folder for it.
    """
    target = Path(path)
    target = target / "Slurmfile.toml" if target.is_dir() else target
    target.write_text(rendering.slurmfile(config), encoding="utf-8")
    return target


def config_of(definition: Definition, user: str = "") -> Connection:
    """The facts of a lab of this definition, at addresses that are nobody's."""
    return rendering.connection(_layout(definition), user)


def _layout(definition: Definition) -> Layout:
    return Layout(
        lab=definition.name,
        definition=definition,
        network=Network("labctl-mock", _NOWHERE, _NOWHERE[1]),
        machines=tuple(_machines(definition)),
        box=BoxImage(definition.box, user="root"),
        driver="qemu",
        provider="libvirt",
        directory=Path("/nonexistent/.labctl") / definition.name,
        public_key="",
        prefix="mock_",
    )


def _machines(definition: Definition) -> Iterator[Machine]:
    for number, node in enumerate(definition.machines(), start=_FIRST):
        yield Machine(node, f"mock_{node.name}", "52:54:00:00:00:00", _NOWHERE[number])
