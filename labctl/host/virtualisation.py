"""Whether machines can be run: libvirt answers, the user may ask it, and a kernel boots under KVM."""

from __future__ import annotations

import os

from labctl import groups, kvm, providers
from labctl.errors import LabError
from labctl.host.check import Check, mended_by
from labctl.process import installed

# Membership, which `groups` sees to, helps only where the device belongs to the group; udev has it so.
_OPEN_KVM = (("chgrp", "kvm", "/dev/kvm"), ("chmod", "660", "/dev/kvm"))


def libvirt() -> Check:
    """Whether libvirt answers."""
    if not any(map(installed, providers.LIBVIRT)):
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


def membership() -> Check:
    """Whether the user is in the groups that open libvirt and KVM."""
    lacking = groups.lacking()
    if not lacking:
        return Check("groups", True, "root needs none" if os.geteuid() == 0 else "all that help are yours")
    commands = (("usermod", "--append", "--groups", ",".join(lacking), groups.user()),)
    detail = f"{groups.user()} is not in: {', '.join(lacking)}"
    return Check("groups", False, detail, mended_by(commands), commands)


def accelerator() -> Check:
    """Whether KVM really boots something."""
    from labctl.steps import box  # noqa: PLC0415 - only doctor needs it

    if not kvm.DEVICE.exists():
        return Check(
            "kvm", None, "no /dev/kvm: software emulation, some ten times slower", "switch virtualisation on"
        )
    if not os.access(kvm.DEVICE, os.R_OK | os.W_OK):
        detail = "/dev/kvm is not yours to open: software emulation"
        # With the user outside its group the device would stay closed; `groups` comes first.
        return Check("kvm", None, detail, mended_by(_OPEN_KVM), () if groups.lacking() else _OPEN_KVM)
    built = next(iter(box.boxes()), None)
    if built is None:
        return Check("kvm", None, "/dev/kvm is there; whether a kernel boots is tried once a box is built")
    if kvm.driver(built.path / "vmlinuz", built.path / "initrd") == "kvm":
        return Check("kvm", True, "a kernel boots under it")
    return Check("kvm", None, "/dev/kvm opens, but no kernel boots under it: software emulation", "")
