"""Mends what can be mended of a host."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from labctl import groups
from labctl.console import Reporter
from labctl.errors import HostError
from labctl.host import distribution, virtualisation
from labctl.host.check import Check, sudo
from labctl.process import run_logged

_LIBVIRT_DEADLINE = 10.0  # seconds


def fix(found: Sequence[Check], reporter: Reporter) -> None:
    """Mend what can be mended: install programs, put the user into their groups, start libvirt, open firewalls.

    A new membership needs `groups.take_effect`, and libvirt looks dead before that: it is left to the next call.

    Raises:
        LabError: a repair failed.
    """
    by_name = {check.name: check for check in found}
    log = platformdirs.user_cache_path("labctl") / "doctor.log"  # whoever reads an error may want the rest
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    with reporter.step("doctor", log=log) as view:
        for check in found:
            if check.ok is False and not check.commands and check.name == "programs":
                raise HostError(f"programs cannot be installed from here: {check.detail}", hint=check.fix)
        if "libvirt" not in by_name:
            return
        for check in found:
            if check.commands and not check.ok:
                view.node(check.name, check.detail)
                for command in check.commands:
                    run_logged([*sudo(), *command], log=log)
                view.node(check.name, "mended", "changed")
        if not groups.asleep() and virtualisation.libvirt().ok is False:
            view.node("libvirt", "starting")
            start_libvirt(log)
            view.node("libvirt", "started", "changed")


def start_libvirt(log: Path) -> None:
    """Have libvirt's daemons running: by systemd where it is in charge, by hand where it is not.

    Raises:
        HostError: libvirt does not answer in time.
    """
    known = distribution.here() or distribution.DEBIAN
    if distribution.systemd():
        run_logged([*sudo(), "systemctl", "enable", "--now", *known.units], log=log)
    else:
        for command in _by_hand(known.daemons):
            run_logged([*sudo(), *command], log=log)
    end = time.monotonic() + _LIBVIRT_DEADLINE
    while time.monotonic() < end:
        if virtualisation.libvirt().ok:
            return
        time.sleep(0.2)
    daemon = known.daemons[-1][0]
    raise HostError(
        f"{daemon} was started and does not answer",
        why=virtualisation.libvirt().detail,
        hint=f"{daemon} --verbose",
    )


def _by_hand(daemons: Sequence[tuple[str, str]]) -> list[list[str]]:
    """What starts the message bus and these daemons, those of them that do not run."""
    bus, sockets = distribution.RUN / "dbus", distribution.RUN / "libvirt"
    commands = [["mkdir", "-p", str(bus), str(sockets)]]
    if not _answers(bus / "system_bus_socket"):
        # The pid file of a bus that died keeps the next one from starting.
        commands += [["rm", "-f", str(bus / "pid")], ["dbus-daemon", "--system", "--fork"]]
    return commands + [[daemon, "--daemon"] for daemon, sock in daemons if not _answers(sockets / sock)]


def _answers(path: Path) -> bool:
    """Whether somebody listens. Where we may not ask (virtlogd's socket opens for root alone) the answer is yes."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except PermissionError:
        return True
    except OSError:
        return False
    return True
