"""What the tests of labctl's own modules share: no test meets the user's files, a real libvirt or a real Vagrant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import libvirt
import pytest
from hosts import Host, a_good_host
from hypervisors import URI, Stream, clean
from programs import Programs
from worlds import Notes, World

from labctl import console
from labctl.console import BaseReporter, Step
from labctl.providers.base import Answer
from labctl.providers.libvirt import Hypervisor


@pytest.fixture(autouse=True)
def _a_user_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("VAGRANT_HOME", str(tmp_path / "vagrant"))
    for name in ("LABCTL_DRIVER", "LABCTL_SNAPSHOTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(tmp_path / "programs", monkeypatch)


@pytest.fixture
def reporter() -> BaseReporter:
    return console.silent()


@pytest.fixture
def view(reporter: BaseReporter) -> Iterator[Step]:
    with reporter.step("test") as step:
        yield step


@pytest.fixture
def hypervisor(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Hypervisor:
    """A connection to libvirt's own test hypervisor, on a host without any route."""
    programs.add("ip", "echo '[]'")
    monkeypatch.setattr("labctl.providers.libvirt.URI", URI)
    real = libvirt.virDomain.undefineFlags
    # It knows no NVRAM.
    monkeypatch.setattr(
        libvirt.virDomain,
        "undefineFlags",
        lambda domain, flags: real(domain, flags & ~libvirt.VIR_DOMAIN_UNDEFINE_NVRAM),
    )
    made = Hypervisor()
    clean(made.connection)
    return made


@pytest.fixture
def good(
    hypervisor: Hypervisor,  # noqa: ARG001 - libvirt answers
    programs: Programs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Host:
    """A host that lacks nothing but KVM."""
    return a_good_host(programs, tmp_path, monkeypatch)


@pytest.fixture
def stream(hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> Stream:
    made = Stream()
    monkeypatch.setattr(type(hypervisor.connection), "newStream", lambda *_: made)
    monkeypatch.setattr(libvirt.virStorageVol, "upload", lambda *_: 0)
    return made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host on which labs are made in no time."""
    home = tmp_path / "work"
    home.mkdir()
    made = World(home)
    built = SimpleNamespace(
        path=tmp_path / "box", vagrant_name="labctl-debian-12", kernel=tmp_path / "k", initrd=tmp_path / "i"
    )
    made.boxes = (built,)
    for name, stand_in in {
        "labctl.providers.choose": lambda _: made.provider,
        "labctl.host.require": made.require,
        "labctl.kvm.driver": lambda *_: "qemu",
        "labctl.steps.box.build": lambda *_: built,
        "labctl.steps.box.boxes": lambda: made.boxes,
        "labctl.steps.box.recipe_key": lambda _: made.box,
        "labctl.steps.boot.make_and_await": made.make_and_await,
        "labctl.steps.boot.await_network": made.await_network,
        "labctl.saved_machines._SLIM": 0.0,
        "labctl.steps.tell.by_ssh": lambda *_, **__: Answer(0, "", ""),
        "labctl.work._NETWORKS": 600.0,  # all tests at once have their labs on this one host
        "labctl.work.converge": made.converge,
        "labctl.work.stand_by": lambda *_, **__: nullcontext(),
        "labctl.work.verify": made.verify,
        "labctl.steps.tell.root": made.tell,
    }.items():
        monkeypatch.setattr(name, stand_in)
    return made


@pytest.fixture
def notes() -> Notes:
    return Notes()
