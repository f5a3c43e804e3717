"""What a run leaves to others: their labs, their snapshots, their options; and how long it waits."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import __main__ as command
from bench import machine, programs
from bench.bare import with_disk
from bench.disk import beyond, named_in
from bench.labs import environment
from bench.programs import BenchError

DOMAIN = """\
<domain>
  <name>labctl_bench_cpu-0</name>
  <os><kernel>/pool/vmlinuz</kernel><initrd>/pool/initrd</initrd></os>
  <devices>
    <disk type='file' device='disk'>
      <source file='/pool/old.img'/>
      <backingStore type='file'><source file='/pool/box.img'/></backingStore>
      <target dev='vda'/>
    </disk>
  </devices>
</domain>
"""


def test_snapshots_go_to_a_folder_of_the_run_and_the_users_options_do_not_count() -> None:
    theirs = {
        "LABCTL_NAME": "mine",
        "LABCTL_SNAPSHOTS": "/mine",
        "LABCTL_DRIVER": "qemu",
        "XDG_CACHE_HOME": "/cache",
    }
    assert environment(theirs, Path("/run/snapshots")) == {
        "LABCTL_DRIVER": "qemu",
        "XDG_CACHE_HOME": "/cache",
        "LABCTL_SNAPSHOTS": "/run/snapshots",
    }


def test_a_bare_machine_has_a_disk_of_its_own_and_nothing_else_is_changed() -> None:
    root = ET.fromstring(with_disk(DOMAIN, "/pool/new.img"))  # noqa: S314 - our own words
    assert root.find("devices/disk/source").attrib == {"file": "/pool/new.img"}  # type: ignore[union-attr]
    assert root.find("devices/disk/backingStore") is None
    assert root.findtext("os/kernel") == "/pool/vmlinuz"


def test_a_machine_without_a_disk_cannot_be_bare() -> None:
    with pytest.raises(BenchError, match="has no disk"):
        with_disk("<domain><name>x</name><devices/></domain>", "/pool/new.img")


def test_a_lab_uses_its_disks_its_kernel_and_its_initrd() -> None:
    root = ET.fromstring(DOMAIN)  # noqa: S314 - our own words
    assert named_in(root) == ["/pool/old.img", "/pool/vmlinuz", "/pool/initrd"]


def test_what_both_labs_stand_on_is_not_counted_twice() -> None:
    first = {"/pool/box.img": 800, "/pool/a.img": 100}
    second = {"/pool/box.img": 800, "/pool/b.img": 20, "/pool/saved.img": 5}
    assert beyond(first, second) == 25


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(BenchError, match="was not done after 1 s"):
        programs.run(["sleep", "600"], deadline=1, log=tmp_path / "log")
    assert time.monotonic() - started < 30


def test_a_program_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="ended with 3") as caught:
        programs.run(["sh", "-c", "echo no luck; exit 3"], deadline=30, log=tmp_path / "log")
    assert "no luck" in caught.value.why


def test_being_ended_is_an_interrupt_so_that_labs_are_removed() -> None:
    def wait_for_the_end() -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        time.sleep(30)

    with programs.interruptible(), pytest.raises(KeyboardInterrupt):
        wait_for_the_end()


def test_the_machine_is_said_in_words() -> None:
    assert machine.dotted(7_002_017) == "7.2.17"
    assert machine.cpu_model("processor\t: 0\nmodel name\t: Some CPU @ 2\n") == "Some CPU @ 2"
    assert machine.accelerator("kvm") == "KVM"
    assert "emulation" in machine.accelerator("qemu")


def test_help_names_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for name in ("--skip-naive", "--only", "warm", "second_lab_disk"):
        assert name in said


def test_an_unknown_figure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--only", "fast"])
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_nothing_is_measured_without_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(command, "default_log", lambda: tmp_path / "log")
    latest = tmp_path / "latest.json"
    monkeypatch.setattr(command, "LATEST", latest)
    assert command.main(["--only", "naive"]) == 1
    assert "bench.naive prepare" in capsys.readouterr().out
    assert not latest.exists()
