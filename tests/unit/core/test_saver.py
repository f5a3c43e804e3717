"""Libvirt's half of snapshots, on the hypervisor that libvirt has for tests: disks in the pool, and who needs them."""

from __future__ import annotations

import io
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt
import pytest
from hypervisors import Stream, machine, volume
from savers import of_save_file, save_file

from labctl.errors import BootError, SnapshotError
from labctl.providers import agent
from labctl.providers.base import Answer, Identity, MachineXml
from labctl.providers.libvirt import Hypervisor
from labctl.providers.saver import LibvirtSaver

DISK = "labctl-snapshot-abc_cpu-0.img"


@pytest.fixture
def saver(hypervisor: Hypervisor) -> LibvirtSaver:
    return LibvirtSaver(hypervisor)


def stage(saver: LibvirtSaver, name: str = DISK) -> None:
    saver.stage(name, io.BytesIO(b"a qcow2"), 7, 16 << 30)


def test_what_saved_machines_depend_on(saver: LibvirtSaver, hypervisor: Hypervisor) -> None:
    facts = saver.facts()
    assert set(facts) == {"qemu", "libvirt", "pool"}
    assert all(facts.values())
    assert (
        hypervisor.pool().createXML("<volume><name>x</name><capacity>0</capacity></volume>").path()
        == f"{facts['pool']}/x"
    )


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Sun Nov 22\nroot:x:0\n100.25 101.75\n", 1.5),
        ("sinfo: error\n7.50 7.50\n", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_a_machine_says_for_how_long_it_has_been_slim(
    saver: LibvirtSaver,
    hypervisor: Hypervisor,
    monkeypatch: pytest.MonkeyPatch,
    said: str | None,
    seconds: float,
) -> None:
    def run(*_: object) -> Answer:
        if said is None:
            raise BootError("no agent answers")
        return Answer(0, said, "")

    monkeypatch.setattr(hypervisor, "domain", lambda *_: None)
    monkeypatch.setattr(agent, "run", run)
    assert saver.slim("lab", "cpu-0") == seconds


def test_a_saved_disk_is_in_the_pool_once_it_is_whole(
    saver: LibvirtSaver, hypervisor: Hypervisor, stream: Stream
) -> None:
    assert DISK not in saver.staged()
    stage(saver)
    assert DISK in saver.staged()
    assert (stream.taken, stream.finished) == (b"a qcow2", True)
    assert hypervisor.pool().storageVolLookupByName(DISK).info()[1] == 16 << 30
    stream.limit = 0
    with pytest.raises(
        SnapshotError, match=r"saved disk labctl-snapshot-def_cpu-0\.img .* storage pool"
    ) as refused:
        stage(saver, "labctl-snapshot-def_cpu-0.img")
    assert "No space left" in refused.value.why
    assert "labctl-snapshot-def_cpu-0.img" not in saver.staged()


@pytest.mark.usefixtures("stream")
def test_a_new_disk_stands_on_the_saved_one_and_takes_the_place_of_the_old(
    saver: LibvirtSaver, hypervisor: Hypervisor
) -> None:
    stage(saver)
    volume(hypervisor, "labctl_full_cpu-0.img")
    path = saver.new_disk("full", "cpu-0", DISK)
    made = hypervisor.pool().storageVolLookupByName("labctl_full_cpu-0.img")
    assert made.path() == path
    assert made.info()[1] == 16 << 30
    below = hypervisor.volumes()[DISK]
    assert ET.fromstring(made.XMLDesc()).findtext("backingStore/path") == below  # noqa: S314 - libvirt's


@pytest.mark.usefixtures("stream")
def test_saved_disks_are_removed_by_their_snapshot_unless_a_machine_stands_on_one(
    saver: LibvirtSaver, hypervisor: Hypervisor
) -> None:
    for name in (DISK, "labctl-snapshot-abc_head.img", "labctl-snapshot-abcd_head.img"):
        stage(saver, name)
    saver.new_disk("full", "cpu-0", DISK)
    saver.unstage("labctl-snapshot-abc_")
    assert DISK in saver.staged()
    assert "labctl-snapshot-abc_head.img" in saver.staged()
    hypervisor.remove_machines("full")
    saver.unstage("labctl-snapshot-abc_")
    assert {name for name in hypervisor.volumes() if name.startswith("labctl")} == {
        "labctl-snapshot-abcd_head.img",
        "labctl-snapshot-abcd_head.img.whole",
    }


@pytest.mark.usefixtures("stream")
def test_saved_disks_of_no_known_snapshot_go_unless_a_machine_stands_on_them(
    saver: LibvirtSaver, hypervisor: Hypervisor
) -> None:
    for name in (DISK, "labctl-snapshot-lost_head.img", "labctl-snapshot-kept_head.img"):
        stage(saver, name)
    saver.new_disk("full", "cpu-0", DISK)
    saver.unstage_others({"kept"})
    assert {name for name in hypervisor.volumes() if name.startswith("labctl-")} == {
        *(DISK, "labctl-snapshot-kept_head.img"),
        *(f"{DISK}.whole", "labctl-snapshot-kept_head.img.whole"),
    }


@pytest.mark.usefixtures("stream")
def test_boxes_that_no_disk_stands_on_are_known_with_when_they_were_read(
    saver: LibvirtSaver, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ("vagrant_box_image_1.0.0_box.img", "vmlinuz")
    for name in (
        *(f"labctl-{box}_{part}" for box in ("used", "idle", "torn") for part in parts),
        "x_box.img",
    ):
        if name != f"labctl-torn_{parts[0]}":  # its upload was cut off
            volume(hypervisor, name)
    stage(saver)
    saver.new_disk("full", "cpu-0", f"labctl-used_{parts[0]}")
    times = dict.fromkeys(
        ["labctl-idle_vmlinuz", "labctl-torn_vmlinuz"], "<atime>5.5</atime><mtime>7</mtime>"
    )
    real = libvirt.virStorageVol.XMLDesc

    def described(volume: libvirt.virStorageVol, flags: int = 0) -> str:
        stamps = f"<timestamps>{times.get(volume.name(), '<atime>1</atime><mtime>2</mtime>')}</timestamps></target>"
        return str(real(volume, flags)).replace("</target>", stamps)

    monkeypatch.setattr(libvirt.virStorageVol, "XMLDesc", described)
    found = saver.idle_boxes()
    assert {name: box.used for name, box in found.items()} == {"labctl-idle": 7.0, "labctl-torn": 7.0}
    monkeypatch.setattr(libvirt.virStorageVol, "XMLDesc", real)
    before = time.time()
    assert all(box.used >= before for box in saver.idle_boxes().values())  # what is not known is not old


def test_machines_are_frozen_and_go_on_and_are_switched_off(
    saver: LibvirtSaver, hypervisor: Hypervisor
) -> None:
    domain = machine(hypervisor, "full", "cpu-0")
    saver.resume("full", "cpu-0")  # it runs, and is left alone
    saver.pause("full", "cpu-0")
    assert domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED
    saver.resume("full", "cpu-0")
    assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    for _ in range(2):
        saver.switch_off("full", "cpu-0")
    assert domain.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF
    with pytest.raises(BootError, match="cpu-9 of full has no machine"):
        saver.switch_off("full", "cpu-9")
    saver.abandon("full", "cpu-9")  # whoever is gone writes nothing


def test_a_machine_is_described_in_libvirts_words(saver: LibvirtSaver, hypervisor: Hypervisor) -> None:
    machine(hypervisor, "full", "cpu-0")
    described = saver.describe("full", "cpu-0")
    for text in (described.defined, described.running):
        assert ET.fromstring(text).findtext("name") == "labctl_full_cpu-0"  # noqa: S314 - libvirt's


def test_what_libvirt_refuses_is_an_error_that_says_why(
    saver: LibvirtSaver, hypervisor: Hypervisor, tmp_path: Path
) -> None:
    machine(hypervisor, "full", "cpu-0", start=False)
    defined = saver.describe("full", "cpu-0").defined
    (tmp_path / "memory").write_bytes(b"no such thing")
    refused = {
        "cpu-0 does not stand still": lambda: saver.pause("full", "cpu-0"),
        "cpu-0 gets no disk": lambda: saver.new_disk("full", "cpu-0", "labctl-snapshot-gone_seed.img"),
        "labctl_full_cpu-0 could not be brought back": lambda: saver.bring_back(
            MachineXml(defined, defined), tmp_path / "memory"
        ),
    }
    for what, work in refused.items():
        with pytest.raises(SnapshotError, match=what) as error:
            work()
        assert error.value.why
        assert isinstance(error.value.__cause__, libvirt.libvirtError)


def test_memory_is_handed_on_as_that_of_the_machine_that_is_brought_back(saver: LibvirtSaver) -> None:
    target = io.BytesIO()
    saver.renamed(target, MachineXml("<defined/>", "<running/>")).write(save_file("<another/>", b"memory"))
    assert of_save_file(target.getvalue()) == ("<running/>", b"memory")


def test_vagrant_knows_a_machine_that_was_copied(saver: LibvirtSaver, tmp_path: Path) -> None:
    identity = Identity(
        "labctl_full_cpu-0", "11111111-2222-4333-8444-555555555555", "52:54:00:00:00:07", None
    )
    for _ in range(2):
        saver.adopt(tmp_path, "cpu-0", identity)
    notes = tmp_path / ".vagrant" / "machines" / "cpu-0" / "libvirt"
    assert (notes / "id").read_text() == identity.uuid
