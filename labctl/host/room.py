"""Whether a whole lab has room on this host: memory, CPUs, disk, and the kernel's limits."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from labctl import kvm
from labctl.definition.models import Definition
from labctl.host.check import Check, mended_by

_HOST_RESERVE = 512  # MiB; what a host needs beside its machines
# What QEMU needs beside a machine's memory, in MiB. Under software emulation the code it has translated fills a cache
# of up to 1 GiB; machines of a lab that had been verified were seen to take 600 to 850.
_QEMU_OVERHEAD = {"kvm": 96, "qemu": 768}
_DISK_PER_NODE = 1024  # MiB; the part of a linked clone that a lab of a few days fills
_CROWDED = 8  # virtual CPUs for each real one, from which on machines wait for each other
_WIDE = 4  # the same for a single machine
_MEMINFO = Path("/proc/meminfo")
_IMAGES = Path("/var/lib/libvirt/images")
# Each network's dnsmasq watches files, and root's processes share these numbers.
_INOTIFY = Path("/proc/sys/fs/inotify")
_WATCHING = {"max_user_instances": 128, "max_user_watches": 8192}
# Ansible, its connections and ssh to each node, beside what any program has.
_FILES, _FILES_PER_NODE = 256, 32
NOTHING: Mapping[str, int] = MappingProxyType({})


def memory(definition: Definition, provider: str, taken: Mapping[str, int] = NOTHING) -> Check:
    """Whether the memory of all nodes is there; ``taken`` is what those that run have already, in MiB."""
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


def cpus(definition: Definition) -> Check:
    """Whether the CPUs of all nodes, and those of the largest one, are not many more than this host has."""
    wanted = [node.cpus for node in definition.machines()]
    have = os.cpu_count() or 1
    fits = sum(wanted) <= have * _CROWDED and max(wanted, default=0) <= have * _WIDE
    detail = f"{definition.name} has {sum(wanted)} CPUs on {have} of this host"
    return Check("cpus", True if fits else None, detail, "many more virtual than real CPUs: it will be slow")


def disk(definition: Definition, provider: str, made: Collection[str] = ()) -> Check:
    """Whether the disks of the nodes find room; those that are `made` have one."""
    nodes = [node for node in definition.machines() if node.name not in made]
    needed = len(nodes) * _DISK_PER_NODE
    wanted = _IMAGES if provider == "libvirt" else Path.home()
    place = next(path for path in (wanted, *wanted.parents) if path.is_dir())
    free = shutil.disk_usage(place).free // 1024**2
    detail = f"{definition.name} may need {needed} MiB, {free} MiB are free in {place}"
    return Check("disk", needed <= free, detail, f"make room in {place}; labctl prune")


def watches() -> Check:
    """Whether the kernel lets each network's dnsmasq watch its files."""
    have = {key: int((_INOTIFY / key).read_text()) for key in _WATCHING if (_INOTIFY / key).is_file()}
    low = {key: _WATCHING[key] for key, number in have.items() if number < _WATCHING[key]}
    detail = ", ".join(f"{key} {number}" for key, number in have.items())
    if not low:
        return Check("inotify", True if have else None, detail or "this kernel does not say")
    commands = (("sysctl", *(f"fs.inotify.{key}={number}" for key, number in low.items())),)
    return Check("inotify", False, detail, f"{mended_by(commands)}, and in /etc/sysctl.d for ever", commands)


def open_files(definition: Definition) -> Check:
    """Whether a process of this user may have as many files open as it takes to work on all nodes at once."""
    needed = _FILES + _FILES_PER_NODE * len(definition.machines())
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    fits = soft in (resource.RLIM_INFINITY,) or needed <= soft
    detail = f"{definition.name} needs some {needed}, {soft} are allowed"
    return Check("open files", fits, detail, f"ulimit -n {needed}, or more in /etc/security/limits.d")
