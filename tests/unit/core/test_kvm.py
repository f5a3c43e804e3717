"""KVM counts only if a kernel boots under it."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import Programs

from labctl import kvm


class Host:
    """A host whose /dev/kvm opens, and what its QEMU does with a kernel."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs

    def qemu(self, script: str) -> None:
        """QEMU does this."""
        self.programs.add("qemu-system-x86_64", script)

    @property
    def probes(self) -> list[str]:
        """The arguments of each probe."""
        return self.programs.calls("qemu-system-x86_64")


@pytest.fixture
def host(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    (tmp_path / "kvm").touch()
    (tmp_path / "vmlinuz").touch()
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "kvm")
    return Host(programs)


def probe(tmp_path: Path) -> str:
    return kvm.driver(tmp_path / "vmlinuz", tmp_path / "initrd")


def test_without_a_device_nothing_is_tried(host: Host, tmp_path: Path) -> None:
    kvm.DEVICE.unlink()
    assert probe(tmp_path) == "qemu"
    assert host.probes == []


def test_kvm_counts_if_a_kernel_gets_to_its_init(host: Host, tmp_path: Path) -> None:
    host.qemu(
        "echo 'Linux version 6.1.0'; sleep 0.2; echo '[    1.0] Run /init as init process'; sleep 60",
    )
    assert probe(tmp_path) == "kvm"
    words = host.probes[0]
    assert "-accel kvm" in words
    assert f"-kernel {tmp_path}/vmlinuz" in words
    assert f"-initrd {tmp_path}/initrd" in words


def test_a_kernel_that_panics_for_want_of_a_disk_has_run(host: Host, tmp_path: Path) -> None:
    host.qemu("echo 'Kernel panic - not syncing: VFS: Unable to mount root fs'; exit 1")
    assert probe(tmp_path) == "kvm"


@pytest.mark.parametrize(
    "script",
    [
        "exec sleep 60",
        "echo 'Linux version 6.1.0'; exec sleep 60",
        "exit 1",
        "echo qemu: error; kill -ABRT $$",
    ],
    ids=["says nothing", "stops early", "does not start", "aborts"],
)
def test_a_device_under_which_no_kernel_boots_does_not_count(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(kvm, "_DEADLINE", 0.3)
    host.qemu(script)
    assert probe(tmp_path) == "qemu"


def test_it_is_tried_once_until_the_host_is_booted_again(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.qemu("echo 'Run /init'")
    assert [probe(tmp_path) for _ in range(3)] == ["kvm"] * 3
    assert len(host.probes) == 1
    host.qemu("exit 1")
    monkeypatch.setattr(kvm, "_boot_id", lambda: "another")
    assert [probe(tmp_path) for _ in range(2)] == ["qemu"] * 2
    assert len(host.probes) == 2


def test_another_kernel_is_tried_by_itself(host: Host, tmp_path: Path) -> None:
    host.qemu("echo 'Run /init'")
    probe(tmp_path)
    (tmp_path / "other").touch()
    host.qemu("exit 1")
    assert kvm.driver(tmp_path / "other", None) == "qemu"
    assert "-initrd" not in host.probes[-1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "x"}', '{"boot": "BOOT", "kernel": "KERNEL"}'])
def test_a_damaged_memory_of_it_is_none(host: Host, tmp_path: Path, text: str) -> None:
    host.qemu("echo 'Run /init'")
    probe(tmp_path)
    kvm._probe_file().write_text(
        text.replace("BOOT", kvm._boot_id()).replace("KERNEL", f"{tmp_path}/vmlinuz")
    )
    assert probe(tmp_path) == "kvm"
    assert len(host.probes) == 2


def test_a_public_box_is_no_reason_to_believe_in_the_device(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "_any_kernel", lambda: (tmp_path / "vmlinuz", None))
    host.qemu("exit 1")
    assert kvm.driver(None, None) == "qemu"
    monkeypatch.setattr(kvm, "_any_kernel", lambda: (None, None))
    assert kvm.driver(None, None) == "kvm"


@pytest.mark.parametrize("word", ["kvm", "qemu"])
def test_the_users_word_counts(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("LABCTL_DRIVER", word)
    assert probe(tmp_path) == word
    assert host.probes == []
