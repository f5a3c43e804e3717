"""The provider libvirt: Vagrant makes the machines, libvirt is asked for everything else."""

from __future__ import annotations

import json
import tarfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypervisors import Stream, machine, volume
from layouts import lay_out
from programs import Programs

from labctl.console import Step
from labctl.definition.loading import load
from labctl.errors import BootError
from labctl.providers.base import Answer
from labctl.providers.libvirt import Hypervisor
from labctl.providers.through_libvirt import LibvirtProvider
from labctl.render.layout import BoxImage


class ABox(SimpleNamespace):
    """A box that was built, as far as a provider sees it."""

    def check(self) -> None:
        self.checked += 1


@pytest.fixture
def a_box(tmp_path: Path) -> ABox:
    for name in ("vmlinuz", "initrd", "box.img"):
        (tmp_path / name).write_text(name)
    with tarfile.open(tmp_path / "debian-12.box", "w") as archive:
        archive.add(tmp_path / "box.img", "box.img")
    return ABox(
        vagrant_name="labctl-debian-12-abc",
        file=tmp_path / "debian-12.box",
        kernel=tmp_path / "vmlinuz",
        initrd=tmp_path / "initrd",
        disk_size=4096,
        checked=0,
    )


def test_a_box_is_checked_and_staged_once_under_the_name_vagrant_looks_for(
    stream: Stream, programs: Programs, a_box: ABox, view: Step, tmp_path: Path
) -> None:
    programs.add("vagrant")
    (tmp_path / "cache" / "labctl").mkdir(parents=True)
    provider = LibvirtProvider()

    def stage() -> BoxImage:
        provider.check_box(a_box)
        return provider.own_image(a_box, view, tmp_path / "log")

    first = stage()
    taken = stream.taken
    assert stage() == first
    assert stream.taken == taken == b"vmlinuzinitrdbox.img"
    assert a_box.checked == 1
    volumes = set(provider.hypervisor.volumes())
    assert "labctl-debian-12-abc_vagrant_box_image_1.0.0_box.img" in volumes
    assert (first.user, first.baked, first.version) == ("root", True, "1.0.0")
    assert first.kernel is not None
    assert first.kernel.endswith("/labctl-debian-12-abc_vmlinuz")
    half = provider.hypervisor.pool().storageVolLookupByName("labctl-debian-12-abc_initrd.whole")
    half.delete()
    stage()
    assert a_box.checked == 2


def test_destroy_leaves_neither_machine_nor_network_nor_a_note_of_vagrants(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    machine(hypervisor, "full", "cpu-0")
    volume(hypervisor, "labctl_full_cpu-0.img")
    hypervisor.connect(lay_out(load("full"), hypervisor.lease("full", None)))
    index = tmp_path / "vagrant" / "data" / "machine-index" / "index"
    index.parent.mkdir(parents=True)
    index.write_text(json.dumps({"machines": {"a": {"name": "cpu-0", "vagrantfile_path": str(tmp_path)}}}))
    provider = LibvirtProvider()
    for _ in range(2):
        provider.destroy("full", tmp_path)
    assert provider.found() == ()
    assert provider.network("full") is None
    assert provider.hypervisor.volumes() == {}
    assert json.loads(index.read_text()) == {"machines": {}}


def test_a_machine_that_is_made_anew_is_forgotten_by_vagrant_first(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    for node in ("cpu-0", "cpu-1"):
        machine(hypervisor, "full", node)
        (tmp_path / ".vagrant" / "machines" / node / "libvirt").mkdir(parents=True)
    LibvirtProvider().remove("full", "cpu-0", tmp_path)
    assert [one.node for one in hypervisor.found()] == ["cpu-1"]
    assert [path.name for path in (tmp_path / ".vagrant" / "machines").iterdir()] == ["cpu-1"]


def test_machines_are_made_by_vagrant_and_told_whose_they_are(
    hypervisor: Hypervisor, programs: Programs, view: Step, tmp_path: Path
) -> None:
    programs.add("vagrant", 'echo "$VAGRANT_VAGRANTFILE" > "$PROGRAMS/which"')
    machine(hypervisor, "full", "cpu-0")
    made = lay_out(load("full"), hypervisor.lease("full", None), directory=tmp_path)
    made = replace(made, vagrantfile="Vagrantfile.seed")
    LibvirtProvider().make(made, ["cpu-0"], view, tmp_path / "log", threading.Event())
    assert programs.calls("vagrant")[0].startswith("up cpu-0 ")
    assert (programs.folder / "which").read_text() == "Vagrantfile.seed\n"
    assert hypervisor.found()[0].directory == str(tmp_path)


@pytest.mark.parametrize("force", [False, True], ids=["gently", "by force"])
def test_a_machine_is_told_to_shut_down_by_its_own_systemctl_unless_its_power_is_cut(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch, *, force: bool
) -> None:
    told: list[list[str]] = []

    def execute(domain: Any, argv: Sequence[str], **_: Any) -> Answer:
        told.append([domain.name(), *argv])
        raise BootError("the agent went down with the machine")

    monkeypatch.setattr("labctl.providers.agent.execute", execute)
    machine(hypervisor, "full", "cpu-0")
    LibvirtProvider().stop("full", "cpu-0", force=force, deadline=5)
    assert told == ([] if force else [["labctl_full_cpu-0", "/bin/systemctl", "poweroff"]])
    assert hypervisor.found()[0].state == "stopped"
