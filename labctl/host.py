"""What this host can do: the probes behind `labctl doctor` and `labctl up`, each with what mends it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from labctl.console import Reporter
from labctl.definition.models import Definition
from labctl.errors import HostError, LabError
from labctl.process import run_logged
from labctl.render.layout import Driver

#: Package of each program on Debian and Ubuntu; `make setup` installs the same.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "dnsmasq": "dnsmasq-base",
    "dbus-daemon": "dbus",
    "iptables": "iptables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "vagrant": "vagrant vagrant-libvirt",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
}
# What a host needs beside its machines, and what QEMU needs beside a machine's memory, in MiB.
_HOST_RESERVE = 512
_QEMU_OVERHEAD = 96
_DISK_PER_NODE = 1024  # MiB; the part of a linked clone that a lab of a few days fills
_KVM_DEADLINE = 15.0  # seconds; a kernel that runs says so within two

State = Literal[True, False, None]


@dataclass(frozen=True)
class Check:
    """One thing a host must have.

    Attributes:
        name: of what was looked at.
        ok: True, False, or None where it could not be found out or is not needed.
        detail: what was seen.
        fix: the command or the deed that mends it.
    """

    name: str
    ok: bool | None
    detail: str
    fix: str = ""


def checks(definition: Definition | None = None) -> tuple[Check, ...]:
    """All checks of this host; with a definition also whether the whole lab fits."""
    found = [_programs(), _libvirt(), _vagrant_plugin(), _kvm()]
    if definition is not None:
        found += [_memory(definition), _cpus(definition), _disk(definition)]
    return tuple(found)


def require(definition: Definition, running: frozenset[str] = frozenset()) -> None:
    """Refuse a lab that this host cannot run, before anything is touched.

    Args:
        definition: the whole lab.
        running: nodes that run already, whose memory is taken already.

    Raises:
        HostError: with everything that is missing.
    """
    needed = [_programs(), _libvirt(), _memory(definition, running), _disk(definition, running)]
    bad = [check for check in needed if check.ok is False]
    if bad:
        raise HostError(
            "this host cannot run the lab",
            why="\n".join(f"{check.name}: {check.detail}" for check in bad),
            hint="\n".join(dict.fromkeys(check.fix for check in bad if check.fix)),
        )


def fix(found: tuple[Check, ...], reporter: Reporter) -> None:
    """Mend what can be mended: install programs, start libvirt.

    Raises:
        LabError: a repair failed.
    """
    by_name = {check.name: check for check in found}
    with tempfile.TemporaryDirectory() as folder, reporter.step("doctor") as view:
        log = Path(folder) / "doctor.log"
        if by_name["programs"].ok is False:
            view.node("programs", "installing")
            packages = [package for program in _missing() for package in PROGRAMS[program].split()]
            apt = [*_sudo(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
            run_logged([*apt, "update"], log=log)
            run_logged([*apt, "install", "-y", "--no-install-recommends", *packages], log=log)
            view.node("programs", "installed", "changed")
        if _libvirt().ok is False:
            view.node("libvirt", "starting")
            start_libvirt(log)
            view.node("libvirt", "started", "changed")


def start_libvirt(log: Path) -> None:
    """Have libvirtd running: by systemd where it is in charge, by hand where it is not.

    Raises:
        HostError: libvirtd does not answer within 10 s.
    """
    if Path("/run/systemd/system").is_dir():
        run_logged([*_sudo(), "systemctl", "enable", "--now", "libvirtd.service"], log=log)
    else:
        commands = [["mkdir", "-p", "/run/dbus", "/run/libvirt"]]
        if not _socket_answers("/run/dbus/system_bus_socket"):
            # The pid file of a bus that died keeps the next one from starting.
            commands += [["rm", "-f", "/run/dbus/pid"], ["dbus-daemon", "--system", "--fork"]]
        for daemon, sock in (("virtlogd", "virtlogd-sock"), ("libvirtd", "libvirt-sock")):
            if not _socket_answers(f"/run/libvirt/{sock}"):
                commands.append([daemon, "--daemon"])
        for command in commands:
            run_logged([*_sudo(), *command], log=log)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if _libvirt().ok:
            return
        time.sleep(0.2)
    raise HostError(
        "libvirtd was started and does not answer", why=_libvirt().detail, hint="libvirtd --verbose"
    )


def driver(kernel: Path | None, initrd: Path | None) -> Driver:
    """Kvm if a kernel really boots under it, qemu (software emulation) if not.

    A ``/dev/kvm`` that opens is not enough: on some nested hosts no stock kernel ever gets to run. The answer holds
    until the host is booted again.

    Args:
        kernel: something to boot; without it the answer is only as good as the device.
        initrd: its initrd.
    """
    if os.environ.get("LABCTL_DRIVER") in ("kvm", "qemu"):
        return "kvm" if os.environ["LABCTL_DRIVER"] == "kvm" else "qemu"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "qemu"
    if kernel is None:
        return "kvm"
    memory = platformdirs.user_cache_path("labctl") / "kvm.json"
    boot = {"boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "kernel": str(kernel)}
    with suppress(OSError, ValueError):
        known = json.loads(memory.read_text())
        if known["probe"] == boot:
            return "kvm" if known["kvm"] else "qemu"
    boots = _boots_under_kvm(kernel, initrd)
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(json.dumps({"probe": boot, "kvm": boots}))
    return "kvm" if boots else "qemu"


def _boots_under_kvm(kernel: Path, initrd: Path | None) -> bool:
    """Start the kernel without a disk and listen for its first words."""
    command = [
        "qemu-system-x86_64",
        "-accel",
        "kvm",
        "-m",
        "256",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
    ]
    command += ["-serial", "stdio", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1", "-no-reboot"]
    command += ["-initrd", str(initrd)] if initrd else []
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None  # noqa: S101 - asked for
    os.set_blocking(process.stdout.fileno(), False)
    said = b""
    end = time.monotonic() + _KVM_DEADLINE
    try:
        # The init of the initrd speaks only after the kernel has run for a while, memory and interrupts included.
        while time.monotonic() < end and b"Run /init" not in said and b"Kernel panic" not in said:
            said += process.stdout.read() or b""
            if process.poll() is not None:
                said += process.stdout.read() or b""
                break
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    return b"Run /init" in said or b"Kernel panic" in said


def _programs() -> Check:
    missing = _missing()
    if not missing:
        return Check("programs", True, f"all {len(PROGRAMS)} are there")
    return Check("programs", False, f"missing: {', '.join(missing)}", "labctl doctor --fix (or make setup)")


def _missing() -> list[str]:
    # A user's PATH often lacks these, and sudo has them.
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    return [program for program in PROGRAMS if not shutil.which(program, path=path)]


def _libvirt() -> Check:
    if "libvirtd" in _missing():
        return Check("libvirt", False, "libvirtd is not installed", "labctl doctor --fix")
    from labctl.providers.libvirt import URI, Hypervisor  # noqa: PLC0415 - a host may lack libvirt's library

    try:
        number = Hypervisor().connection.getLibVersion()
    except LabError as error:
        mend = "labctl doctor --fix" if os.geteuid() == 0 else "labctl doctor --fix; be in the group libvirt"
        return Check("libvirt", False, error.why or error.what, mend)
    return Check("libvirt", True, f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000} at {URI}")


def _vagrant_plugin() -> Check:
    if not shutil.which("vagrant"):
        return Check("vagrant-libvirt", False, "vagrant is not installed", "labctl doctor --fix")
    asked = subprocess.run(["vagrant", "plugin", "list"], capture_output=True, text=True, check=False)
    line = next((line for line in asked.stdout.splitlines() if line.startswith("vagrant-libvirt")), "")
    if line:
        return Check("vagrant-libvirt", True, line)
    return Check("vagrant-libvirt", False, "the plugin is missing", "labctl doctor --fix")


def _kvm() -> Check:
    from labctl.steps import box  # noqa: PLC0415 - only doctor needs it

    if not Path("/dev/kvm").exists():
        return Check(
            "kvm", None, "no /dev/kvm: software emulation, some ten times slower", "switch virtualisation on"
        )
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Check("kvm", None, "/dev/kvm is not yours to open: software emulation", "be in the group kvm")
    built = next(iter(box.boxes()), None)
    if built is None:
        return Check("kvm", None, "/dev/kvm is there; whether a kernel boots is tried once a box is built")
    works = driver(built.path / "vmlinuz", built.path / "initrd") == "kvm"
    if works:
        return Check("kvm", True, "a kernel boots under it")
    return Check("kvm", None, "/dev/kvm opens, but no kernel boots under it: software emulation", "")


def _memory(definition: Definition, running: frozenset[str] = frozenset()) -> Check:
    nodes = [node for node in definition.machines() if node.name not in running]
    needed = sum(node.memory + _QEMU_OVERHEAD for node in nodes) + (_HOST_RESERVE if nodes else 0)
    facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(facts["MemAvailable"].split()[0]) // 1024
    detail = f"{definition.name} needs {needed} MiB, {free} MiB are available"
    return Check(
        "memory",
        needed <= free,
        detail,
        "stop other labs, or give nodes less with --set nodes.NODE.memory=MIB",
    )


def _cpus(definition: Definition) -> Check:
    wanted = sum(node.cpus for node in definition.machines())
    have = os.cpu_count() or 1
    largest = max((node.cpus for node in definition.machines()), default=0)
    detail = f"{definition.name} has {wanted} CPUs on {have} of this host"
    return Check(
        "cpus", True if largest <= have * 4 else None, detail, "more virtual than real CPUs: it will be slow"
    )


def _disk(definition: Definition, running: frozenset[str] = frozenset()) -> Check:
    nodes = [node for node in definition.machines() if node.name not in running]
    needed = len(nodes) * _DISK_PER_NODE
    place = Path("/var/lib/libvirt/images")
    free = shutil.disk_usage(place if place.is_dir() else "/").free // 1024**2
    detail = f"{definition.name} may need {needed} MiB, {free} MiB are free in {place}"
    return Check("disk", needed <= free, detail, f"make room in {place}")


def _socket_answers(path: str) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(path)
        return True
    return False


def _sudo() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def machine() -> str:
    """This host in one line, for reports."""
    return f"{platform.node()}, {os.cpu_count()} CPUs, Linux {platform.release()}"
