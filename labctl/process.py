"""Runs other programs so that nothing of what they say is lost and nothing of them is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from labctl.errors import LabError

_STRAGGLERS = 2.0  # seconds for the children of a program that has ended


def search_path() -> str:
    """Where programs are looked for. A user's PATH often lacks the last three, and sudo has them."""
    return os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"


def installed(program: str) -> bool:
    """Whether a program is there."""
    return shutil.which(program, path=search_path()) is not None


class ProcessError(LabError):
    """A program ended with an error.

    Attributes:
        code: its exit code.
        tail: the last lines it printed.
    """

    def __init__(self, what: str, *, why: str, hint: str, code: int, tail: Sequence[str]) -> None:
        super().__init__(what, why=why, hint=hint)
        self.code = code
        self.tail = tuple(tail)


def run_logged(
    argv: Sequence[str],
    *,
    log: Path,
    within: Sequence[str] = (),
    on_line: Callable[[str], None] = lambda _: None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    enough: threading.Event | None = None,
) -> None:
    """Runs a program to its end, each line of its output appended to ``log`` and handed to ``on_line``.

    If the caller is interrupted, the program and all its children are ended first.

    Args:
        argv: the program and its arguments.
        log: gets all that it prints.
        within: the program and the arguments that run it, if it is not run just so.
        on_line: is handed each line.
        env: variables on top of our own.
        cwd: where it runs.
        enough: once set, the program has done all that is wanted of it: it is ended, and that is no error.

    Raises:
        ProcessError: it could not be started or ended with an error; ``tail`` has its last 12 lines.
    """
    tail: deque[str] = deque(maxlen=12)
    with log.open("a", encoding="utf-8") as out:
        out.write(f"$ {' '.join(argv)}\n")
        try:
            process = subprocess.Popen(
                [*within, *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **(env or {}), "PATH": search_path()},
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessError(
                f"{argv[0]} could not be started", why=str(error), hint="labctl doctor", code=127, tail=()
            ) from error
        done = enough or threading.Event()
        watcher = threading.Thread(target=_end_when, args=(process, done), daemon=True)
        if enough:
            watcher.start()
        try:
            for line in process.stdout or ():
                out.write(line)
                tail.append(line.rstrip())
                on_line(line.rstrip())
            code = process.wait()
        except BaseException:
            end(process)
            raise
    if code != 0 and not done.is_set():
        raise ProcessError(
            f"{argv[0]} failed with exit code {code}",
            why="\n".join(tail),
            hint=f"the whole log: {log}",
            code=code,
            tail=tail,
        )


def _end_when(process: subprocess.Popen[str], enough: threading.Event) -> None:
    while process.poll() is None:
        if enough.wait(timeout=1):
            end(process, patience=1)  # what it still does is of no use to anybody


def end(process: subprocess.Popen[str], *, patience: float = 20) -> None:
    """Ends a process and its session: asks first, insists after ``patience`` seconds."""
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=patience)
        # What it started may take a little longer than itself, and must not outlive it.
        deadline = time.monotonic() + min(patience, _STRAGGLERS)
        while _signal(process, 0) and time.monotonic() < deadline:
            time.sleep(0.05)
    _signal(process, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # one that waits for a disk may not even die of that
        process.wait(timeout=patience)


def _signal(process: subprocess.Popen[str], number: int) -> bool:
    """Send a signal to all of the process's session; whether anybody was there to get it."""
    try:
        os.killpg(process.pid, number)
    except PermissionError:  # sudo's child is there, and not ours
        return True
    except ProcessLookupError:
        return False
    return True
