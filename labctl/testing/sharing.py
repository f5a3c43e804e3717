"""A lock that several processes hold at once, and that one has alone when no other holds it."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

_INTERVAL = 0.2  # seconds between two attempts


class SharedLock:
    """A file's lock; the kernel frees it if we die."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[str] | None = None

    def share(self, timeout: float) -> bool:
        """Hold it with others; whether nobody had it alone for so many seconds."""
        return self._hold(fcntl.LOCK_SH, timeout)

    def alone(self, timeout: float = 0.0) -> bool:
        """Hold it alone; whether all others let it go within so many seconds."""
        return self._hold(fcntl.LOCK_EX, timeout)

    def release(self) -> None:
        """Let it go."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _hold(self, how: int, timeout: float) -> bool:
        end = time.monotonic() + timeout
        if self._stream is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("a", encoding="utf-8")
        while True:
            try:
                fcntl.flock(self._stream, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return False
                time.sleep(_INTERVAL)
            else:
                return True
