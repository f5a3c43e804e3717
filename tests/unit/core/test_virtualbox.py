"""The provider VirtualBox, on a VBoxManage that keeps its machines in a folder."""

from __future__ import annotations

import threading
import time
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from layouts import lay_out, network
from programs import Programs

from labctl.console import Step
from labctl.definition.loading import load
from labctl.errors import BootError, BoxError, HostError
from labctl.providers.virtualbox import VirtualBoxProvider

# A file a machine, with VirtualBox's word for its state. A paused machine cannot be started, and one that has a
# process cannot be unregistered, as in the real one.
MANAGE = r"""
cd "$PROGRAMS/machines"
refuse() { echo "VBoxManage: error: $1" >&2; exit 1; }
case "$1 $2" in
"list vms") for vm in *; do echo "\"$vm\" {0a1b2c3d-0000-0000-0000-000000000000}"; done ;;
"showvminfo "*)
    test -f "$2" || refuse "Could not find a registered machine named '$2'"
    printf 'name="%s"\nVMState="%s"\nVMStateChangeTime="2026-01-01"\n' "$2" "$(cat "$2")" ;;
"startvm "*) grep -qE 'poweroff|saved|aborted' "$2" || refuse "already locked"; echo running > "$2" ;;
"controlvm "*)
    case $3 in
    acpipowerbutton) test -f ../deaf || echo poweroff > "$2" ;;
    poweroff) grep -qE 'poweroff|saved|aborted' "$2" && refuse "not currently running"; echo poweroff > "$2" ;;
    pause) grep -q running "$2" || refuse "not running"; echo paused > "$2" ;;
    resume) grep -q paused "$2" || refuse "not paused"; echo running > "$2" ;;
    esac ;;
"unregistervm "*) grep -qE 'poweroff|saved|aborted' "$2" || refuse "is locked"; rm "$2" ;;
*) refuse "unknown $*" ;;
esac
"""


@pytest.fixture
def machines(programs: Programs) -> Path:
    programs.add("VBoxManage", MANAGE)
    folder = programs.folder / "machines"
    folder.mkdir()
    return folder


@pytest.fixture
def provider() -> VirtualBoxProvider:
    return VirtualBoxProvider()


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("running", "running"),
        ("poweroff", "stopped"),
        ("paused", "suspended"),
        ("saved", "suspended"),
        ("aborted", "crashed"),
        ("aborted-saved", "crashed"),
        ("gurumeditation", "crashed"),
        ("starting", "running"),
    ],
)
def test_machines_are_found_with_their_states(
    provider: VirtualBoxProvider, machines: Path, word: str, state: str
) -> None:
    (machines / "labctl_full_cpu-0").write_text(word)
    (machines / "somebody's machine").write_text("running")
    (machines / "labctl_none").write_text("running")
    assert [(one.lab, one.node, one.state) for one in provider.found()] == [("full", "cpu-0", state)]


@pytest.mark.parametrize("word", ["poweroff", "paused", "saved", "aborted", "running"])
def test_whatever_a_machine_does_start_makes_it_run(
    provider: VirtualBoxProvider, machines: Path, word: str
) -> None:
    (machines / "labctl_full_a").write_text(word)
    provider.start("full", "a")
    assert (machines / "labctl_full_a").read_text().strip() == "running"


def test_a_running_machine_is_frozen_and_no_other(
    provider: VirtualBoxProvider, machines: Path, programs: Programs
) -> None:
    (machines / "labctl_full_a").write_text("running")
    for _ in range(2):
        provider.suspend("full", "a")
    assert (machines / "labctl_full_a").read_text().strip() == "paused"
    assert programs.calls("VBoxManage").count("controlvm labctl_full_a pause") == 1


def test_a_machine_that_shuts_down_is_not_switched_off(
    provider: VirtualBoxProvider, machines: Path, programs: Programs
) -> None:
    (machines / "labctl_full_a").write_text("running")
    for _ in range(2):
        provider.stop("full", "a", force=False, deadline=5)
    assert "controlvm labctl_full_a poweroff" not in programs.calls("VBoxManage")
    assert (machines / "labctl_full_a").read_text().strip() == "poweroff"


def test_a_machine_that_does_not_listen_is_switched_off_in_the_end(
    provider: VirtualBoxProvider, machines: Path, programs: Programs
) -> None:
    (machines / "labctl_full_a").write_text("running")
    (programs.folder / "deaf").touch()
    started = time.monotonic()
    provider.stop("full", "a", force=False, deadline=0.5)
    assert 0.5 <= time.monotonic() - started < 10
    assert (machines / "labctl_full_a").read_text().strip() == "poweroff"


@pytest.mark.parametrize("word", ["running", "paused", "gurumeditation", "starting"])
def test_force_does_not_ask(
    provider: VirtualBoxProvider, machines: Path, programs: Programs, word: str
) -> None:
    (machines / "labctl_full_a").write_text(word)
    provider.stop("full", "a", force=True, deadline=60)
    assert (machines / "labctl_full_a").read_text().strip() == "poweroff"
    assert "controlvm labctl_full_a acpipowerbutton" not in programs.calls("VBoxManage")


@pytest.mark.parametrize("word", ["running", "paused", "saved", "poweroff", "aborted", "stuck"])
def test_whatever_its_machines_do_a_lab_can_be_destroyed(
    provider: VirtualBoxProvider, machines: Path, tmp_path: Path, word: str
) -> None:
    for name in ("labctl_full_a", "labctl_full_b", "labctl_other_a"):
        (machines / name).write_text(word)
    provider.destroy("full", tmp_path)
    assert [path.name for path in machines.iterdir()] == ["labctl_other_a"]


def test_its_words_of_failure_are_kept(provider: VirtualBoxProvider, machines: Path) -> None:
    assert list(machines.iterdir()) == []
    with pytest.raises(BootError, match="VBoxManage showvminfo failed") as failed:
        provider.start("full", "a")
    assert "Could not find a registered machine" in failed.value.why


def test_a_host_without_it_is_told_so(
    provider: VirtualBoxProvider, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.only(monkeypatch)
    with pytest.raises(HostError, match="VirtualBox is not installed"):
        provider.found()


def test_a_lab_always_gets_the_same_network_of_those_that_virtualbox_allows(
    provider: VirtualBoxProvider,
) -> None:
    leased = provider.lease("full", None)
    assert leased == provider.lease("full", None)
    assert leased.subnet.subnet_of(IPv4Network("192.168.56.0/21"))
    assert leased.subnet.prefixlen == 24
    assert leased.gateway == leased.subnet[1]
    assert provider.lease("full", IPv4Network("192.168.60.0/24")).subnet == IPv4Network("192.168.60.0/24")


def test_a_box_without_a_boot_loader_is_refused_with_one_that_has_it(
    provider: VirtualBoxProvider, view: Step, tmp_path: Path
) -> None:
    class Box:
        vagrant_name = "labctl-debian-12-abc"

    with pytest.raises(BoxError, match="labctl-debian-12-abc is for libvirt") as refused:
        provider.own_image(Box(), view, tmp_path)  # type: ignore[arg-type]
    assert "--set box=" in refused.value.hint


def test_machines_are_made_by_vagrant(
    provider: VirtualBoxProvider, programs: Programs, view: Step, tmp_path: Path
) -> None:
    programs.add("vagrant")
    layout = lay_out(load("full"), network("192.168.56.0/24"), directory=tmp_path)
    provider.connect(layout)
    provider.make(layout, ["cpu-0", "cpu-1"], view, tmp_path / "log", threading.Event())
    assert programs.calls("vagrant")[0].startswith("up cpu-0 cpu-1 ")
    assert "--provider=virtualbox" in programs.calls("vagrant")[0]
    assert provider.network("full") is None
