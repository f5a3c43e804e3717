"""The QEMU guest agent: a script in a machine without a login, where SSH's handshake alone would cost a second."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import time
from collections.abc import Sequence
from typing import Any

import libvirt
import libvirt_qemu

from labctl.errors import BootError, LabError
from labctl.providers.base import PREFIX_VARIABLE, Answer
from labctl.providers.libvirt import Hypervisor

# Each look at a script that runs costs the machine some milliseconds that the script then lacks: the longer it has run,
# the longer until the next. Seconds at least and at most, and as a part of the seconds that it has run.
_POLL = 0.1
_LONGEST_POLL = 2.0
_PATIENCE = 0.15
_ANSWER = 10  # seconds for one answer of the agent itself
_CLOSE = 2 * _ANSWER + 5.0  # seconds that a clock which was just set may be away; MUNGE forgives 300


class NoAgentError(BootError):
    """The machine has no guest agent, or it does not answer."""


def run(domain: Any, script: str, *, stdin: str = "", deadline: float = 60.0) -> Answer:
    """Run a shell script as root in a machine.

    Args:
        domain: libvirt's.
        script: for ``/bin/sh``.
        stdin: its standard input.
        deadline: seconds until it must have ended.

    Raises:
        NoAgentError: there is no agent, or it does not answer.
        BootError: the script did not end in time.
    """
    return execute(domain, ["/bin/sh", "-c", script], stdin=stdin, deadline=deadline)


def execute(domain: Any, argv: Sequence[str], *, stdin: str = "", deadline: float = 60.0) -> Answer:
    """Run a program as root in a machine; as `run`, without the cost of a shell."""
    begun = time.monotonic()
    arguments: dict[str, Any] = {"path": argv[0], "arg": [*argv[1:]], "capture-output": True}
    if stdin:
        arguments["input-data"] = base64.b64encode(stdin.encode()).decode()
    pid = _command(domain, "guest-exec", arguments)["pid"]
    while (elapsed := time.monotonic() - begun) < deadline:
        time.sleep(min(max(_POLL, _PATIENCE * elapsed), _LONGEST_POLL))
        state = _command(domain, "guest-exec-status", {"pid": pid})
        if state["exited"]:
            return Answer(
                state.get("exitcode", 128 + state.get("signal", 0)),
                _text(state.get("out-data", "")),
                _text(state.get("err-data", "")),
            )
    raise BootError(f"{argv[0]} in {domain.name()} did not end within {deadline:.0f} s")


def set_time(domain: Any, now: float) -> None:
    """Tell a machine what time it is, in seconds since the epoch.

    No program is run for it: right after a restore the first of any kind costs an emulated machine a second.

    Raises:
        NoAgentError: there is no agent, or it does not answer.
        BootError: the clock still shows another time.
    """
    with contextlib.suppress(
        NoAgentError
    ):  # once it is set, a box without hwclock(8) cannot write it to its chip
        _command(domain, "guest-set-time", {"time": int(now * 1e9)})
    # Between the question and our look at our own clock the machine may be slow, but not that slow.
    shown = _command(domain, "guest-get-time", {}) / 1e9
    if abs(shown - time.time()) > _CLOSE:
        raise BootError(f"the clock of {domain.name()} could not be set", why=f"it shows {time.ctime(shown)}")


def ask(node: str, script: str, *, stdin: str, deadline: float) -> tuple[int, str, str]:
    """Run a script in a node of the lab that ``LABCTL_DOMAIN_PREFIX`` names: the verify suite's ``--through``.

    Raises:
        OSError: it could not be run or did not end in time.
    """
    try:
        domain = _hypervisor().connection.lookupByName(os.environ.get(PREFIX_VARIABLE, "") + node)
        answer = run(domain, script, stdin=stdin, deadline=deadline)
    except (libvirt.libvirtError, LabError) as error:
        raise OSError(str(error)) from error
    return answer.code, answer.stdout, answer.stderr


@functools.cache
def _hypervisor() -> Hypervisor:
    return Hypervisor()


def _command(domain: Any, name: str, arguments: dict[str, Any]) -> Any:
    request = json.dumps({"execute": name, "arguments": arguments})
    try:
        answer = libvirt_qemu.qemuAgentCommand(domain, request, _ANSWER, 0)
    except libvirt.libvirtError as error:
        raise NoAgentError(f"the guest agent of {domain.name()} does not answer", why=str(error)) from error
    except SystemError as error:  # what Python makes of a Ctrl-C that came while libvirt called it back
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    return json.loads(answer)["return"]


def _text(data: str) -> str:
    return base64.b64decode(data).decode(errors="replace")
