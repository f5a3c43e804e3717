"""A port of a node's loopback on this host's own, through SSH, for as long as somebody wants it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from labctl.errors import LabError, UsageError

HERE = "127.0.0.1"
_DEADLINE = 60.0  # seconds until SSH has logged in
_PAUSE = 0.1  # seconds


def free_port(wanted: int, *, insist: bool) -> int:
    """A port of this host's loopback that nobody listens on: the wanted one, or any other.

    Args:
        wanted: the best one; 0 for any.
        insist: it must be that one.

    Raises:
        UsageError: it is taken.
    """
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HERE, port))
            return int(probe.getsockname()[1])
        if insist:
            break
    raise UsageError(f"port {wanted} of this host is taken", hint="name another one, or none")


@contextmanager
def forwarded(ssh: Sequence[str], port: int, local: int) -> Iterator[subprocess.Popen[str]]:
    """Whoever connects to `local` on this host's loopback reaches `port` on the node's; ends with the block.

    Args:
        ssh: the command that logs in to the node.
        port: on the node's loopback.
        local: on this host's.

    Yields:
        ssh's process, which ends when the connection does.

    Raises:
        LabError: SSH does not get there, or not in time.
    """
    # A connection of its own: one that others share would keep the port when this block is left. Nobody reads what it
    # says while it lasts, so it says only what ends it: a browser that asks a page that is down would fill the pipe.
    settings = ["-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR"]
    options = ["-N", "-S", "none", *settings, "-L", f"{HERE}:{local}:{HERE}:{port}"]
    with subprocess.Popen(
        [ssh[0], *options, *ssh[1:]],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _listens(process, local)
            yield process
        finally:
            process.terminate()


def _listens(process: subprocess.Popen[str], local: int) -> None:
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        if process.poll() is not None:
            said = process.stderr.read().strip() if process.stderr else ""
            raise LabError("SSH does not get to the node", why=said, hint="labctl status")
        with suppress(OSError), socket.create_connection((HERE, local), timeout=_PAUSE):
            return
        time.sleep(_PAUSE)
    raise LabError(f"SSH has not logged in within {_DEADLINE:.0f} s", hint="labctl status")
