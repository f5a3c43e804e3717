"""The groups that open libvirt and /dev/kvm to a user who is not root, and a new membership taking effect at once."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import sys
from collections.abc import Sequence

#: Who may speak with libvirtd, and who may open /dev/kvm: the names of Debian, Ubuntu and Fedora.
WANTED = ("libvirt", "kvm")
_TRIED = "LABCTL_GROUPS_TRIED"  # the names that this command has been begun anew for


def user() -> str:
    """The name of who runs this process."""
    return pwd.getpwuid(os.geteuid()).pw_name


def lacking() -> tuple[str, ...]:
    """The wanted groups that this host has and the user is not in. Root needs none."""
    return tuple(group.gr_name for group in _absent() if user() not in group.gr_mem)


def asleep() -> tuple[str, ...]:
    """The wanted groups that list the user and that this process is not in: its login is older than the membership."""
    return tuple(group.gr_name for group in _absent() if user() in group.gr_mem)


def take_effect() -> None:
    """Begin this command anew in the groups that are asleep, by sg(1), which asks a member for no password.

    Returns where there is nothing to do, where it was tried already, and on a host without sg: whatever needs the
    groups says so then.
    """
    tried = os.environ.get(_TRIED, "").split()
    groups = [group for group in asleep() if group not in tried]
    if not groups:
        return
    argv = command(groups, grp.getgrgid(os.getegid()).gr_name, sys.orig_argv)
    try:
        os.execvpe(argv[0], argv, {**os.environ, _TRIED: " ".join([*tried, *groups])})  # noqa: S606
    except OSError:
        return


def command(groups: Sequence[str], own: str, argv: Sequence[str]) -> list[str]:
    """What runs ``argv`` in these groups as well. ``own``, which new files shall belong to, is taken last."""
    words = list(argv)
    for group in (own, *groups):
        words = ["sg", group, "-c", f"exec {shlex.join(words)}"]
    return words


def _absent() -> list[grp.struct_group]:
    """The wanted groups of this host that the process is not in."""
    if os.geteuid() == 0:
        return []
    held = {os.getegid(), *os.getgroups()}
    found = []
    for name in WANTED:
        try:
            group = grp.getgrnam(name)
        except KeyError:
            continue
        if group.gr_gid not in held:
            found.append(group)
    return found
