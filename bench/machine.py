"""What a run was made on: the host, the accelerator and the versions that matter."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from labctl import __version__
from labctl.providers.libvirt import Hypervisor
from labctl.providers.vagrant import version as vagrant_version

_PYTHON_PACKAGES = ("ansible-core", "mitogen")


def facts(driver: str, load_before: float) -> dict[str, Any]:
    """The machine, as `latest.json` describes it.

    Args:
        driver: kvm or qemu.
        load_before: how busy the host was before the run.
    """
    connection = Hypervisor().connection
    return {
        "measured": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "accelerator": accelerator(driver),
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cpus": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2,
        "load_before": round(load_before, 2),
        "os": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "linux": platform.release(),
        "qemu": dotted(connection.getVersion()),
        "libvirt": dotted(connection.getLibVersion()),
        "vagrant": vagrant_version(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PYTHON_PACKAGES},
        "labctl": __version__,
    }


def accelerator(driver: str) -> str:
    """What computes for the machines."""
    return {"kvm": "KVM", "qemu": "TCG (software emulation)"}.get(driver, driver)


def dotted(number: int) -> str:
    """A version as libvirt counts it (major times a million, minor times a thousand) as people write it."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def cpu_model(cpuinfo: str) -> str:
    """The CPU's name in the text of /proc/cpuinfo; empty if it has none."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""


def _version(package: str) -> str:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return ""
