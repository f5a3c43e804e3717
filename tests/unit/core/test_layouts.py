"""Where the machines are is decided once and read back as it was decided."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from layouts import network
from small_lab import small

from labctl import layouts
from labctl.definition.models import Definition
from labctl.files import LabFiles, Record
from labctl.render.layout import BoxImage

WHERE = network("10.9.8.0/24", "lc-small")
IMAGE = BoxImage("labctl-debian-12", "1.0.0", "/vmlinuz", "/initrd", "root", baked=True)


def decided(record: Record, definition: Definition | None = None) -> Record:
    return layouts.decided(
        record, definition or small(), network=WHERE, image=IMAGE, driver="qemu", provider="libvirt"
    )


def test_what_was_decided_is_read_back_from_the_file(tmp_path: Path) -> None:
    files = LabFiles(tmp_path)
    files.remember(decided(Record()))
    layout = layouts.read(files.record(), files, small(), lab="small", pool="labctl")
    assert (layout.network, layout.box, layout.driver, layout.provider) == (WHERE, IMAGE, "qemu", "libvirt")
    assert [str(machine.address) for machine in layout.machines] == ["10.9.8.10", "10.9.8.11", "10.9.8.12"]
    assert [machine.node for machine in layout.machines] == list(small().machines())
    assert layout == layouts.read(files.record(), files, small(), lab="small", pool="labctl")


def test_what_else_the_lab_remembers_stays() -> None:
    before = Record(converged="a", verified="b", origin="full", addresses={"cpu-1": "10.9.8.10"})
    after = decided(before)
    assert (after.converged, after.verified, after.origin) == ("a", "b", "full")
    assert after.addresses == {"head": "10.9.8.11", "cpu-0": "10.9.8.12", "cpu-1": "10.9.8.10"}
    assert before.addresses == {"cpu-1": "10.9.8.10"}


def test_any_subnet_will_do_unless_one_is_named() -> None:
    assert layouts.wanted_subnet(small()) is None
    assert layouts.wanted_subnet(small("network=10.9.9.0/24")) == IPv4Network("10.9.9.0/24")
