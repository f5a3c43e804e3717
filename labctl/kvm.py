"""Whether KVM works on this host: found out by booting something, and remembered until the host is booted again."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from labctl.render.layout import Driver

DEVICE = Path("/dev/kvm")
_DEADLINE = 15.0  # seconds; a kernel that runs says so within two


def driver(kernel: Path | None, initrd: Path | None) -> Driver:
    """Kvm if a kernel really boots under it, qemu (software emulation) if not.

    A ``/dev/kvm`` that opens is not enough: on some nested hosts no stock kernel ever gets to run. The answer holds
    until the host is booted again.

    Args:
        kernel: something to boot; None for whatever kernel there is.
        initrd: its initrd.
    """
    certain = _certain()
    if certain:
        return certain
    if kernel is None:
        kernel, initrd = _any_kernel()
    if kernel is None:  # then the answer is only as good as the device
        return "kvm"
    known = _probed()
    if known.get("kernel") != str(kernel):
        known = {"boot": _boot_id(), "kernel": str(kernel), "kvm": _boots(kernel, initrd)}
        _probe_file().parent.mkdir(parents=True, exist_ok=True)
        _probe_file().write_text(json.dumps(known))
    return "kvm" if known["kvm"] else "qemu"


def in_words(driver: Driver) -> str:
    """What a driver is, for those who wait for it."""
    return "KVM" if driver == "kvm" else "software emulation (some ten times slower than KVM)"


def _certain() -> Driver | None:
    """What needs no probe: the user's word, or a device that cannot be opened."""
    said = os.environ.get("LABCTL_DRIVER")
    if said in ("kvm", "qemu"):
        return "kvm" if said == "kvm" else "qemu"
    return None if os.access(DEVICE, os.R_OK | os.W_OK) else "qemu"


def likely() -> Driver:
    """What `driver` will most likely say, without a probe."""
    return _certain() or ("kvm" if _probed().get("kvm", True) else "qemu")


def _probed() -> dict[str, Any]:
    """What the last probe found since the host was booted; empty if there was none."""
    with suppress(OSError, ValueError):
        known = json.loads(_probe_file().read_text())
        if isinstance(known, dict) and known.get("boot") == _boot_id() and {"kernel", "kvm"} <= known.keys():
            return known
    return {}


def _probe_file() -> Path:
    return platformdirs.user_cache_path("labctl") / "kvm.json"


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _any_kernel() -> tuple[Path | None, Path | None]:
    """The kernel of a box that was built, or the host's own; without an initrd it panics, which is a sign of life."""
    from labctl.steps import box  # noqa: PLC0415 - only a public box needs it

    for built in box.boxes():
        return built.kernel, built.initrd
    own = [kernel for kernel in Path("/boot").glob("vmlinuz-*") if os.access(kernel, os.R_OK)]
    return max(own, default=None), None


def _boots(kernel: Path, initrd: Path | None) -> bool:
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
    end = time.monotonic() + _DEADLINE
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
