"""Suite: pytest in a process of its own. It can be started before the machines are there that it shall ask."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from labctl.steps.verify_report import DESCRIPTOR, GO

GRACE = 15.0  # seconds that pytest gets to clean up after an interrupt


class Suite:
    """A suite that stands by: pytest imports and collects, which takes it a second or two, and asks no node yet."""

    def __init__(self, process: subprocess.Popen[bytes], lines: TextIO, go: BinaryIO) -> None:
        self._process = process
        self._lines = lines
        self._go = go

    def follow(self, take: Callable[[dict[str, Any]], None], *, limit: float) -> int | None:
        """Let it go, and hand on its events; pytest's exit code, or None if it was ended after ``limit`` seconds."""
        late = threading.Event()
        timer = threading.Timer(limit, _give_up, (self._process, late))
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended: its exit code says so
                self._go.write(b"go\n")
            for line in self._lines:
                take(json.loads(line))
            code = self._process.wait()
        finally:
            timer.cancel()
        return None if late.is_set() else code


@contextmanager
def standing_by(
    suite: Path, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str]
) -> Iterator[Suite]:
    """Start a suite; whatever is left of it is ended with the block.

    Args:
        suite: the folder with the tests.
        arguments: for pytest.
        log: gets everything that pytest says; made anew, mode 0600.
        environment: what it needs beside the caller's.
    """
    reading, writing = os.pipe()
    waiting, telling = os.pipe()
    with (
        open(log, "w", encoding="utf-8", opener=_private) as output,
        os.fdopen(reading, encoding="utf-8") as lines,
        os.fdopen(telling, "wb", buffering=0) as go,
    ):
        ends = {DESCRIPTOR: str(writing), GO: str(waiting)}
        try:
            process = subprocess.Popen(
                [*_pytest(suite), *arguments],
                env={**_environment(suite), **ends, **environment},
                pass_fds=(writing, waiting),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us to hand on
            )
        finally:
            os.close(writing)
            os.close(waiting)
        try:
            yield Suite(process, lines, go)
        except BaseException:
            _end(process)
            raise
        finally:
            _signal(process, signal.SIGKILL)  # an ssh that nobody waits for any more
            process.wait()


def _pytest(suite: Path) -> list[str]:
    """Call pytest as if the suite were alone: nothing of the folder we are in is read."""
    return [
        *(sys.executable, "-P", "-m", "pytest", str(suite), "-c", str(suite / "pytest.ini")),
        *("--rootdir", str(suite), "--confcutdir", str(suite), "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("-p", "labctl.steps.verify_events", "--color=no", "-v"),
    ]


def _environment(suite: Path) -> dict[str, str]:
    """The caller's, without what would change how pytest and Ansible work."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "ANSIBLE_"))}
    # The plugin must be found in a checkout, too, that nobody installed.
    package = str(Path(__file__).resolve().parents[2])
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, [package, kept.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "ANSIBLE_CONFIG": str(suite / "ansible.cfg"),  # the user's own is about other clusters
    }


def _give_up(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let pytest clean up on the nodes; then end it and what it started."""
    _signal(process, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
