"""What this host can do: the probes behind `labctl doctor` and `labctl up`, each with what mends it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import platformdirs

from labctl import groups, kvm, providers
from labctl.console import Reporter
from labctl.definition.models import Definition
from labctl.errors import HostError, LabError
from labctl.process import installed, run_logged

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
_VIRTUALBOX_PROGRAMS = {"VBoxManage": "virtualbox", "vagrant": "vagrant", "ssh": "openssh-client"}
_HOST_RESERVE = 512  # MiB; what a host needs beside its machines
# What QEMU needs beside a machine's memory, in MiB. Under software emulation the code it has translated fills a cache
# of up to 1 GiB; machines of a lab that had been verified were seen to take 600 to 850.
_QEMU_OVERHEAD = {"kvm": 96, "qemu": 768}
# Membership, which `groups` sees to, helps only where the device belongs to the group; udev has it so.
_KVM_FIX = "sudo chgrp kvm /dev/kvm; sudo chmod 660 /dev/kvm"
_LIBVIRT_DEADLINE = 10.0  # seconds
_DISK_PER_NODE = 1024  # MiB; the part of a linked clone that a lab of a few days fills
_MEMINFO = Path("/proc/meminfo")
_IMAGES = Path("/var/lib/libvirt/images")
_RUN = Path("/run")

_NOTHING: Mapping[str, int] = MappingProxyType({})


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
    provider = providers.which(definition.provider if definition else "auto")
    found = _provider(provider)
    found += [_vagrant_plugin(), _groups(), _kvm()] if provider == "libvirt" else []
    if definition is not None:
        found += [_memory(definition, provider), _cpus(definition), _disk(definition, provider)]
    return tuple(found)


def require(definition: Definition, provider: str = "auto", taken: Mapping[str, int] = _NOTHING) -> None:
    """Refuse a lab that this host cannot run, before anything is touched.

    Args:
        definition: the whole lab.
        provider: libvirt, virtualbox or auto.
        taken: MiB of each node that runs already.

    Raises:
        HostError: with everything that is missing.
    """
    provider = providers.which(provider)
    room = [_memory(definition, provider, taken), _disk(definition, provider, taken)]
    bad = [check for check in [*_provider(provider), *room] if check.ok is False]
    if bad:
        raise HostError(
            "this host cannot run the lab",
            why="\n".join(f"{check.name}: {check.detail}" for check in bad),
            hint="\n".join(dict.fromkeys(check.fix for check in bad if check.fix)),
        )


def fix(found: tuple[Check, ...], reporter: Reporter) -> None:
    """Mend what can be mended: install programs, put the user into their groups, start libvirt.

    A new membership needs `groups.take_effect`, and libvirt looks dead before that: it is left to the next call.

    Raises:
        LabError: a repair failed.
    """
    by_name = {check.name: check for check in found}
    log = platformdirs.user_cache_path("labctl") / "doctor.log"  # whoever reads an error may want the rest
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    with reporter.step("doctor", log=log) as view:
        if "libvirt" not in by_name:
            raise HostError("VirtualBox cannot be installed from here", hint=by_name["programs"].fix)
        if by_name["programs"].ok is False:
            view.node("programs", "installing")
            _install(log)
            view.node("programs", "installed", "changed")
        if lacking := groups.lacking():
            run_logged([*_sudo(), *_join(lacking)], log=log)
            view.node("groups", f"{groups.user()} is in {', '.join(lacking)} from now on", "changed")
        if not groups.asleep() and _libvirt().ok is False:
            view.node("libvirt", "starting")
            start_libvirt(log)
            view.node("libvirt", "started", "changed")


def _install(log: Path) -> None:
    packages = [package for program in _missing() for package in PROGRAMS[program].split()]
    apt = [*_sudo(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    run_logged([*apt, "update"], log=log)
    run_logged([*apt, "install", "-y", "--no-install-recommends", *packages], log=log)


def _join(names: Sequence[str]) -> list[str]:
    return ["usermod", "--append", "--groups", ",".join(names), groups.user()]


def start_libvirt(log: Path) -> None:
    """Have libvirtd running: by systemd where it is in charge, by hand where it is not.

    Raises:
        HostError: libvirtd does not answer in time.
    """
    if (_RUN / "systemd" / "system").is_dir():
        run_logged([*_sudo(), "systemctl", "enable", "--now", "libvirtd.service"], log=log)
    else:
        bus, sockets = _RUN / "dbus", _RUN / "libvirt"
        commands = [["mkdir", "-p", str(bus), str(sockets)]]
        if not _socket_answers(bus / "system_bus_socket"):
            # The pid file of a bus that died keeps the next one from starting.
            commands += [["rm", "-f", str(bus / "pid")], ["dbus-daemon", "--system", "--fork"]]
        for daemon, sock in (("virtlogd", "virtlogd-sock"), ("libvirtd", "libvirt-sock")):
            if not _socket_answers(sockets / sock):
                commands.append([daemon, "--daemon"])
        for command in commands:
            run_logged([*_sudo(), *command], log=log)
    end = time.monotonic() + _LIBVIRT_DEADLINE
    while time.monotonic() < end:
        if _libvirt().ok:
            return
        time.sleep(0.2)
    raise HostError(
        "libvirtd was started and does not answer", why=_libvirt().detail, hint="libvirtd --verbose"
    )


def _provider(name: str) -> list[Check]:
    if name == "virtualbox":
        return [_programs(_VIRTUALBOX_PROGRAMS, "install VirtualBox, vagrant and openssh-client")]
    return [_programs(PROGRAMS, "labctl doctor --fix (or make setup)"), _libvirt()]


def _programs(wanted: Mapping[str, str], mend: str) -> Check:
    missing = _missing(wanted)
    if not missing:
        return Check("programs", True, f"all {len(wanted)} are there")
    return Check("programs", False, f"missing: {', '.join(missing)}", mend)


def _missing(wanted: Mapping[str, str] = PROGRAMS) -> list[str]:
    return [program for program in wanted if not installed(program)]


def _libvirt() -> Check:
    if "libvirtd" in _missing():
        return Check("libvirt", False, "libvirtd is not installed", "labctl doctor --fix")
    try:
        from labctl.providers.libvirt import URI, Hypervisor  # noqa: PLC0415 - a host may lack libvirt's library
    except ImportError as error:
        return Check("libvirt", False, f"its library for Python is missing: {error}", "make setup")
    try:
        number = Hypervisor().connection.getLibVersion()
    except LabError as error:
        return Check("libvirt", False, error.why or error.what, "labctl doctor --fix")
    return Check("libvirt", True, f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000} at {URI}")


def _groups() -> Check:
    lacking = groups.lacking()
    if not lacking:
        return Check("groups", True, "root needs none" if os.geteuid() == 0 else "all that help are yours")
    detail = f"{groups.user()} is not in: {', '.join(lacking)}"
    return Check("groups", False, detail, f"labctl doctor --fix (sudo {shlex.join(_join(lacking))})")


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

    if not kvm.DEVICE.exists():
        return Check(
            "kvm", None, "no /dev/kvm: software emulation, some ten times slower", "switch virtualisation on"
        )
    if not os.access(kvm.DEVICE, os.R_OK | os.W_OK):
        return Check("kvm", None, "/dev/kvm is not yours to open: software emulation", _KVM_FIX)
    built = next(iter(box.boxes()), None)
    if built is None:
        return Check("kvm", None, "/dev/kvm is there; whether a kernel boots is tried once a box is built")
    works = kvm.driver(built.path / "vmlinuz", built.path / "initrd") == "kvm"
    if works:
        return Check("kvm", True, "a kernel boots under it")
    return Check("kvm", None, "/dev/kvm opens, but no kernel boots under it: software emulation", "")


def _memory(definition: Definition, provider: str, taken: Mapping[str, int] = _NOTHING) -> Check:
    overhead = _QEMU_OVERHEAD[kvm.likely() if provider == "libvirt" else "kvm"]
    wanted = {node.name: node.memory for node in definition.machines()}
    new = sum(memory + overhead for node, memory in wanted.items() if node not in taken)
    more = sum(max(0, memory - taken[node]) for node, memory in wanted.items() if node in taken)
    needed = new + more + (_HOST_RESERVE if new + more else 0)
    facts = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    free = int(facts["MemAvailable"].split()[0]) // 1024
    what = f"{definition.name} needs {needed} MiB"
    detail = f"{what} ({overhead} MiB a machine for QEMU itself), {free} MiB are available"
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


def _disk(definition: Definition, provider: str, taken: Mapping[str, int] = _NOTHING) -> Check:
    nodes = [node for node in definition.machines() if node.name not in taken]
    needed = len(nodes) * _DISK_PER_NODE
    wanted = _IMAGES if provider == "libvirt" else Path.home()
    place = next(path for path in (wanted, *wanted.parents) if path.is_dir())
    free = shutil.disk_usage(place).free // 1024**2
    detail = f"{definition.name} may need {needed} MiB, {free} MiB are free in {place}"
    return Check("disk", needed <= free, detail, f"make room in {place}")


def _socket_answers(path: Path) -> bool:
    """Whether somebody listens. Where we may not ask (virtlogd's socket opens for root alone) the answer is yes."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _sudo() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def machine() -> str:
    """This host in one line, for reports."""
    return f"{platform.node()}, {os.cpu_count()} CPUs, Linux {platform.release()}"
