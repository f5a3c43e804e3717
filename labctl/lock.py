"""Locks that one process has at a time and that leave no file behind: of a lab, and of the whole host."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from labctl.errors import LockedError

_POLL = 0.05  # seconds between two tries


@contextlib.contextmanager
def held(path: Path, what: str, doing: str) -> Iterator[None]:
    """Hold a lock for the time of the block; if we die, the kernel frees it.

    Args:
        path: of the lock file; its folder is made, the file is gone afterwards.
        what: is locked, such as ``the lab full``; for the one who is refused.
        doing: the command that holds it; for the same.

    Raises:
        LockedError: another process has it.
    """
    stream = _acquire(path, what)
    try:
        stream.truncate(0)
        stream.write(f"labctl {doing} (process {os.getpid()})\n")
        stream.flush()
        yield
    finally:
        # While it is still ours: whoever has opened it by now sees in `_is_at` that it is no longer the lock.
        path.unlink(missing_ok=True)
        stream.close()


@contextlib.contextmanager
def of_the_host(what: str, *, deadline: float) -> Iterator[None]:
    """Hold a lock for the time of the block that all users of this host share; whoever comes meanwhile waits.

    It is the name of a socket: that needs no file which all users may write, and the kernel frees it if we die. It
    counts in one network namespace, as do the networks of labs.

    Args:
        what: is locked, in a word or two.
        deadline: seconds to wait for it.

    Raises:
        LockedError: it did not become free in time.
    """
    end = time.monotonic() + deadline
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
        while not _named(holder, f"\0labctl {what}"):
            if time.monotonic() > end:
                raise LockedError(
                    f"another labctl has been working on {what} for {deadline:.0f} s",
                    hint="end it (pgrep -a labctl names it), and try again",
                )
            time.sleep(_POLL)
        yield


def _named(holder: socket.socket, name: str) -> bool:
    """Give a socket its name; whether nobody else has it."""
    try:
        holder.bind(name)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


def _acquire(path: Path, what: str) -> IO[str]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            stream = path.open("a+", encoding="utf-8")
        except FileNotFoundError:
            continue  # the last holder took the folder away with it
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            with stream:
                stream.seek(0)
                who = stream.read().strip() or "another process"
            raise LockedError(
                f"{who} is working on {what}", hint="wait until it is done, or end it, and try again"
            ) from error
        if _is_at(stream, path):
            return stream
        stream.close()


def _is_at(stream: IO[str], path: Path) -> bool:
    """Whether the file that was locked still has the name: its last holder may have removed it before we locked it."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    return False
