"""A process and everything it started, ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process; its start time tells it from a later one with the same id."""

    pid: int
    parent: int
    started: int


def find(pid: int) -> Process | None:
    """The process with this id; not one that has ended and only waits for its parent to look."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the command before it may hold spaces and brackets
    if fields[0] == "Z":
        return None
    return Process(pid, parent=int(fields[1]), started=int(fields[19]))


def family(root: Process) -> tuple[Process, ...]:
    """The process and all its descendants, of whatever session or process group; nothing if it is gone."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    everyone = [found for pid in pids if (found := find(pid))]
    members = {
        found.pid: found for found in everyone if (found.pid, found.started) == (root.pid, root.started)
    }
    grown = bool(members)
    while grown:
        new = {found.pid: found for found in everyone if found.parent in members and found.pid not in members}
        members |= new
        grown = bool(new)
    return tuple(members.values())


def kill(processes: tuple[Process, ...]) -> None:
    """End those of the processes that are still there, at once."""
    for process in processes:
        if _same(process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def _same(process: Process) -> bool:
    """Whether the id still belongs to this process; an orphan has a new parent and is the same for that."""
    now = find(process.pid)
    return now is not None and now.started == process.started
