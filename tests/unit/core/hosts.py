"""A host that lacks what a test takes from it."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from programs import Programs

from labctl import kvm, process
from labctl.host import Check, distribution, room

Usage = namedtuple("Usage", "total used free")


class Host:
    """This host, as a test wants it to be."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        self.programs = programs
        self.meminfo = folder / "meminfo"
        self.kvm = folder / "kvm"
        self.run = folder / "run"
        self.release = folder / "os-release"
        self.inotify = folder / "inotify"
        self.free_disk = 100 * 1024**3
        self.files = 1024
        self.memory(64 * 1024)
        self.inotify.mkdir()
        self.watches(128)

    def is_called(self, *lines: str) -> None:
        """What os-release says."""
        self.release.write_text("\n".join(lines) + "\n")

    def watches(self, instances: int) -> None:
        """So many processes may watch files."""
        (self.inotify / "max_user_instances").write_text(f"{instances}\n")
        (self.inotify / "max_user_watches").write_text("65536\n")

    def memory(self, mebibytes: int) -> None:
        """So much is available."""
        self.meminfo.write_text(
            f"MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable:   {mebibytes * 1024} kB\n"
        )

    def without(self, *names: str) -> None:
        """These programs are not installed."""
        for name in names:
            (self.programs.folder / name).unlink()


def a_good_host(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host that lacks nothing but KVM."""
    made = Host(programs, tmp_path)
    for program in distribution.DEBIAN.packages:
        if program != "ip":
            programs.add(program)
    programs.add("vagrant", "echo Vagrant 2.3.4; echo 'vagrant-libvirt (0.11.2, system)'")
    programs.only(monkeypatch)
    for program in ("bash", "cat", "env"):
        (programs.folder / program).symlink_to(str(shutil.which(program, path="/usr/bin:/bin")))
    monkeypatch.setattr(process, "search_path", lambda: str(programs.folder))
    made.is_called("ID=debian")
    for name, value in {
        "room._MEMINFO": made.meminfo,
        "room._INOTIFY": made.inotify,
        "room._IMAGES": tmp_path / "images",
        "distribution.RUN": made.run,
        "distribution._OS_RELEASE": made.release,
        "network.os.geteuid": lambda: 0,
        "room.resource.getrlimit": lambda _: (made.files, made.files),
    }.items():
        monkeypatch.setattr(f"labctl.host.{name}", value)
    monkeypatch.setattr(kvm, "DEVICE", made.kvm)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, made.free_disk))
    monkeypatch.setattr(room.os, "cpu_count", lambda: 2)
    return made


def by_name(found: tuple[Check, ...]) -> dict[str, Check]:
    return {check.name: check for check in found}
