"""The programs that labctl runs on its host: whether they are there, and how old Vagrant and its plugin are."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping

from labctl.host import distribution
from labctl.host.check import Check, mended_by, sudo
from labctl.process import installed

_VIRTUALBOX = ("VBoxManage", "vagrant", "ssh")
#: The versions that labctl was tried with; what is older may lack what its Vagrantfile says.
_TRIED = {"vagrant": (2, 3, 4), "vagrant-libvirt": (0, 11, 2)}
_DEADLINE = 60  # seconds; Vagrant is slow to start


def needed() -> Mapping[str, str]:
    """The programs for libvirt, with the packages that they are in; of Debian where labctl knows no better."""
    return (distribution.here() or distribution.DEBIAN).packages


def for_libvirt() -> Check:
    """Whether all programs for libvirt are there."""
    wanted = needed()
    missing = [program for program in wanted if not installed(program)]
    if not missing:
        return Check("programs", True, f"all {len(wanted)} are there")
    detail, known = f"missing: {', '.join(missing)}", distribution.here()
    if known is None:
        packages = " ".join(wanted[program] for program in missing)
        return Check("programs", False, detail, f"install what Debian has in {packages}")
    commands = known.installation(missing)
    return Check("programs", False, detail, f"{_short(commands)}, or make setup", commands)


def _short(commands: tuple[tuple[str, ...], ...]) -> str:
    """The last one is the one that tells what is installed."""
    return f"labctl doctor --fix ({shlex.join([*sudo(), *commands[-1]])})"


def for_virtualbox() -> Check:
    """Whether all programs for VirtualBox are there."""
    missing = [program for program in _VIRTUALBOX if not installed(program)]
    if not missing:
        return Check("programs", True, f"all {len(_VIRTUALBOX)} are there")
    return Check(
        "programs", False, f"missing: {', '.join(missing)}", "install VirtualBox, vagrant and openssh-client"
    )


def vagrant() -> Check:
    """Which Vagrant it is."""
    return _version("vagrant", _asked("vagrant", "--version"), r"Vagrant (\d+(?:\.\d+)*)", "it does not say")


def plugin() -> Check:
    """Which plugin for libvirt Vagrant has."""
    asked = _asked("vagrant", "plugin", "list")
    return _version(
        "vagrant-libvirt", asked, r"(?m)^vagrant-libvirt \((\d+(?:\.\d+)*)", "the plugin is missing"
    )


def _version(name: str, said: str | None, pattern: str, otherwise: str) -> Check:
    known = distribution.here()
    commands = known.installation(["vagrant"]) if known else ()
    mend = mended_by(commands) if commands else "install vagrant and vagrant-libvirt"
    if said is None:
        return Check(name, False, "vagrant is not installed", mend, commands)
    found = re.search(pattern, said)
    if not found:
        return Check(name, False, otherwise, mend, commands)
    tried = ".".join(map(str, _TRIED[name]))
    if tuple(map(int, found[1].split("."))) < _TRIED[name]:
        return Check(
            name, None, f"{found[1]}; labctl was tried with {tried}", "a newer one, if machines are not made"
        )
    return Check(name, True, found[1])


def _asked(*command: str) -> str | None:
    """What a program says; None if it is not there."""
    if not installed(command[0]):
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DEADLINE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
