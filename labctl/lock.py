"""A lock that one process has at a time, that names its holder and that leaves no file behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from labctl.errors import LockedError


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
