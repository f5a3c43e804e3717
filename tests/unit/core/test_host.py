"""What this host can do: everything that is wrong at once, each with what mends it."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hosts import Host, by_name
from small_lab import SMALL, small

from labctl import host, kvm
from labctl.console import BaseReporter
from labctl.errors import HostError
from labctl.host import checks, distribution, repair, require, virtualisation
from labctl.process import ProcessError


class Groups:
    """Which groups the user is in, as a test wants it."""

    def __init__(self, *, lacking: tuple[str, ...] = (), asleep: tuple[str, ...] = ()) -> None:
        self._lacking, self._asleep = lacking, asleep

    def lacking(self) -> tuple[str, ...]:
        return self._lacking

    def asleep(self) -> tuple[str, ...]:
        return self._asleep

    def user(self) -> str:
        return "ann"


def refused(definition: Any = None, **options: Any) -> HostError:
    with pytest.raises(HostError, match="this host cannot run the lab") as error:
        require(definition or small(), **options)
    return error.value


# The whole host


@pytest.mark.usefixtures("good")
def test_a_good_host_has_nothing_to_mend() -> None:
    require(small())
    found = by_name(checks(small()))
    looked_at = (
        "programs vagrant vagrant-libvirt groups libvirt kvm memory cpus disk inotify firewall forward"
    )
    assert {*looked_at.split(), "open files", "subnet", "leftovers"} == set(found)
    assert [name for name, check in found.items() if check.ok is False] == []
    assert {name for name, check in found.items() if check.ok is None} == {"kvm"}
    assert (found["vagrant"].detail, found["vagrant-libvirt"].detail) == ("2.3.4", "0.11.2")
    assert "test:///default" in found["libvirt"].detail


def test_everything_that_is_wrong_is_said_at_once_with_its_fix(
    good: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    good.without("qemu-system-x86_64", "dnsmasq")
    good.memory(1000)
    good.free_disk = 100 * 1024**2
    monkeypatch.setattr("labctl.providers.libvirt.URI", "test:///none")
    error = refused()
    lines = error.why.splitlines()
    assert lines[0] == "programs: missing: qemu-system-x86_64, dnsmasq"
    assert lines[1].startswith("libvirt: ")
    assert [line.split(":")[0] for line in lines[2:]] == ["memory", "disk"]
    for words in ("labctl doctor --fix", "--set nodes.NODE.memory", "make room in"):
        assert words in error.hint
    assert error.exit_code == 3


def test_a_host_without_libvirtd_is_told_that_and_not_that_it_does_not_answer(good: Host) -> None:
    good.without("libvirtd")
    assert by_name(checks(small()))["libvirt"].detail == "libvirtd is not installed"


def test_a_host_without_vagrants_plugin_is_told_so(good: Host) -> None:
    good.programs.add("vagrant", "echo Vagrant 2.3.4; echo 'No plugins installed.'")
    found = by_name(checks(small()))["vagrant-libvirt"]
    assert (found.ok, found.detail) == (False, "the plugin is missing")
    assert "apt-get install -y --no-install-recommends vagrant vagrant-libvirt" in found.fix


def test_versions_that_are_older_than_what_was_tried_are_said(good: Host) -> None:
    good.programs.add("vagrant", "echo Vagrant 2.2.19; echo 'vagrant-libvirt (0.9.0, system)'")
    found = by_name(checks(small()))
    assert [found[name].ok for name in ("vagrant", "vagrant-libvirt")] == [None, None]
    assert found["vagrant"].detail == "2.2.19; labctl was tried with 2.3.4"
    good.without("vagrant")
    found = by_name(checks(small()))
    assert [found[name].ok for name in ("vagrant", "vagrant-libvirt")] == [False, False]


def test_virtualbox_needs_no_libvirt(good: Host) -> None:
    good.without("libvirtd", "qemu-system-x86_64", "mmdebstrap", "virsh")
    assert "VBoxManage" in refused(provider="virtualbox").why
    good.programs.add("VBoxManage")
    require(small(), provider="virtualbox")
    require(small())  # the only one there is
    assert set(by_name(checks(small("provider=virtualbox")))) == {
        "programs", "memory", "cpus", "disk", "open files",
    }  # fmt: skip
    assert "libvirtd" in refused(provider="libvirt").why


# Memory and disk


NEEDED = 768 + 2 * 1024  # of the lab's machines


@pytest.mark.parametrize(
    ("accelerator", "overhead"), [("qemu", 768), ("kvm", 96)], ids=["software emulation", "KVM"]
)
def test_memory_counts_all_machines_and_what_qemu_takes_for_each(
    good: Host, monkeypatch: pytest.MonkeyPatch, accelerator: str, overhead: int
) -> None:
    monkeypatch.setenv("LABCTL_DRIVER", accelerator)
    needed = NEEDED + 3 * overhead + 512
    good.memory(needed)
    require(small())
    good.memory(needed - 1)
    assert f"small needs {needed} MiB" in refused().why
    assert f"{needed - 1} MiB are available" in refused().why


def test_machines_that_run_have_their_memory_already(good: Host) -> None:
    good.memory(1024 + 768 + 512)
    require(small(), taken={"head": 768, "cpu-0": 1024})
    refused(taken={"head": 768})
    good.memory(0)
    require(small(), taken={"head": 768, "cpu-0": 1024, "cpu-1": 1024})


def test_a_machine_that_is_to_grow_needs_the_difference(good: Host) -> None:
    taken = {"head": 768, "cpu-0": 1024, "cpu-1": 1024}
    good.memory(1024 + 512)
    require(small("nodes.cpu-1.memory=2048"), taken=taken)
    good.memory(1024 + 511)
    refused(small("nodes.cpu-1.memory=2048"), taken=taken)


def test_what_a_smaller_machine_gives_back_is_not_spent_twice(good: Host) -> None:
    good.memory(1024 + 511)
    grown = small("nodes.cpu-1.memory=2048", "nodes.cpu-0.memory=512")
    refused(grown, taken={"head": 768, "cpu-0": 1024, "cpu-1": 1024})


def test_disk_is_for_machines_that_are_not_there_yet(good: Host) -> None:
    good.free_disk = 2 * 1024**3
    assert "disk: small may need 3072 MiB, 2048 MiB are free" in refused().why
    require(small(), made=["head"])


def test_more_virtual_cpus_than_real_ones_are_slow_and_no_error(good: Host) -> None:
    wide = small("nodes.cpu-0.cpus=9")
    require(wide)
    assert by_name(checks(wide))["cpus"].ok is None
    assert by_name(checks(small()))["cpus"].ok is True
    assert good.kvm.exists() is False


def overhead() -> int:
    """MiB that the memory check takes for QEMU itself, a machine."""
    detail = by_name(checks(small()))["memory"].detail
    return int(detail.split("(")[1].split(" ")[0])


def test_the_memory_check_knows_what_the_probe_of_kvm_found_and_makes_none(
    good: Host, tmp_path: Path
) -> None:
    good.programs.add("qemu-system-x86_64", "exit 1")
    assert overhead() == 768  # there is no device
    good.kvm.touch()
    assert overhead() == 96  # nothing speaks against it yet
    assert good.programs.calls("qemu-system-x86_64") == []
    assert kvm.driver(tmp_path / "vmlinuz", None) == "qemu"
    assert overhead() == 768


@pytest.mark.parametrize(("script", "ok"), [("echo Run /init", True), ("exit 1", None)])
def test_doctor_says_whether_a_kernel_boots_under_kvm(
    good: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, ok: bool | None
) -> None:
    assert "no /dev/kvm" in by_name(checks(small()))["kvm"].detail
    good.kvm.touch()
    assert "is tried once a box is built" in by_name(checks(small()))["kvm"].detail
    good.programs.add("qemu-system-x86_64", script)
    monkeypatch.setattr("labctl.steps.box.boxes", lambda: (SimpleNamespace(path=tmp_path),))
    assert by_name(checks(small()))["kvm"].ok is ok


# Repairs


@pytest.fixture
def bare(good: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host without libvirtd and QEMU, whose apt-get installs them, and without systemd."""
    good.without("libvirtd", "qemu-img")
    good.programs.add(
        "apt-get",
        'case "$*" in *install*) for p in libvirtd qemu-img; do cp $PROGRAMS/virsh $PROGRAMS/$p; done ;; esac',
    )
    for program in ("mkdir", "rm", "cp", "sleep"):
        found = shutil.which(program, path="/usr/bin:/bin")
        assert found
        (good.programs.folder / program).symlink_to(found)
    monkeypatch.setattr(repair, "_LIBVIRT_DEADLINE", 0.3)
    return good


def test_what_is_missing_is_installed_and_nothing_else(bare: Host, reporter: BaseReporter) -> None:
    host.fix(checks(small()), reporter)
    calls = bare.programs.calls("apt-get")
    assert calls[0] == "update"
    assert calls[1] == "install -y --no-install-recommends qemu-utils libvirt-daemon-system"
    require(small())


def test_what_went_wrong_in_a_repair_can_be_read_afterwards(bare: Host, reporter: BaseReporter) -> None:
    bare.programs.add("apt-get", "echo 'E: Unable to locate package'; exit 100")
    with pytest.raises(ProcessError, match="failed with exit code 100") as failed:
        host.fix(checks(small()), reporter)
    log = Path(failed.value.hint.removeprefix("the whole log: "))
    assert "E: Unable to locate package" in log.read_text()


def test_libvirt_is_started_by_hand_where_no_systemd_is_in_charge(
    bare: Host, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("libvirtd", "virtlogd", "qemu-img"):
        bare.programs.add(program)
    monkeypatch.setattr("labctl.providers.libvirt.URI", "test:///none")
    with pytest.raises(HostError, match="libvirtd was started and does not answer") as failed:
        host.fix(checks(small()), reporter)
    assert failed.value.hint == "libvirtd --verbose"
    assert bare.programs.calls("dbus-daemon") == ["--system --fork"]
    assert bare.programs.calls("virtlogd") == ["--daemon"]
    assert bare.programs.calls("libvirtd") == ["--daemon"]


def test_daemons_that_run_are_not_started_again(
    bare: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    monkeypatch.setattr(distribution, "RUN", Path("run"))
    for folder in ("dbus", "libvirt"):
        (tmp_path / "run" / folder).mkdir(parents=True)
    (tmp_path / "run" / "dbus" / "pid").touch()
    bare.programs.add("libvirtd")
    bare.programs.add("virtlogd")
    with socket.socket(socket.AF_UNIX) as bus, socket.socket(socket.AF_UNIX) as logs:
        for server, name in ((bus, "dbus/system_bus_socket"), (logs, "libvirt/virtlogd-sock")):
            server.bind(f"run/{name}")
            server.listen()
        repair.start_libvirt(tmp_path / "log")
    assert bare.programs.calls("dbus-daemon") == []
    assert bare.programs.calls("virtlogd") == []
    assert bare.programs.calls("libvirtd") == ["--daemon"]
    assert (tmp_path / "run" / "dbus" / "pid").exists()


def test_systemd_is_asked_where_it_is_in_charge(bare: Host, tmp_path: Path) -> None:
    (bare.run / "systemd" / "system").mkdir(parents=True)
    bare.programs.add("systemctl")
    bare.programs.add("libvirtd")
    repair.start_libvirt(tmp_path / "log")
    assert bare.programs.calls("systemctl") == ["enable --now libvirtd.service"]
    assert bare.programs.calls("libvirtd") == []


def test_a_user_is_put_into_the_groups_and_libvirt_waits_for_that(
    bare: Host, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.programs.add("usermod")
    told = Groups(lacking=("libvirt", "kvm"), asleep=("libvirt",))
    monkeypatch.setattr(virtualisation, "groups", told)
    monkeypatch.setattr(repair, "groups", told)
    found = by_name(checks(small()))["groups"]
    assert found.ok is False
    assert found.detail == "ann is not in: libvirt, kvm"
    assert "usermod --append --groups libvirt,kvm ann" in found.fix
    monkeypatch.setattr("labctl.providers.libvirt.URI", "test:///none")
    host.fix(checks(small()), reporter)
    assert bare.programs.calls("usermod") == ["--append --groups libvirt,kvm ann"]
    assert bare.programs.calls("libvirtd") == []


def test_a_socket_that_is_not_ours_to_open_has_somebody_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(socket.socket):
        def connect(self, _: object) -> None:
            raise PermissionError

    monkeypatch.setattr(repair.socket, "socket", Refused)
    assert repair._answers(tmp_path / "virtlogd-sock")


def test_a_good_host_is_left_alone(good: Host, reporter: BaseReporter) -> None:
    good.programs.add("apt-get")
    host.fix(checks(small()), reporter)
    assert good.programs.calls("apt-get") == []
    assert good.programs.calls("libvirtd") == []


def test_virtualbox_is_not_installed_behind_the_users_back(good: Host, reporter: BaseReporter) -> None:
    good.programs.add("apt-get")
    with pytest.raises(HostError, match="programs cannot be installed from here"):
        host.fix(checks(small("provider=virtualbox", text=SMALL)), reporter)
    assert good.programs.calls("apt-get") == []
