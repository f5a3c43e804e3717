"""The logs of several nodes as one: read to their end and put in order of time, or followed as they grow."""

from __future__ import annotations

import queue
import shlex
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.reach.absent import absent
from labctl.reach.log_lines import SHOWN, Entry, Twins, entries, with_file
from labctl.reach.parallel import Ended, Outcome, run_all

if TYPE_CHECKING:
    from labctl.known import KnownLab

# What journalctl and tail show of what was before they follow.
_BEFORE = 10  # lines
_PATIENCE = 5.0  # seconds for the nodes to end what they followed
# sshd tells a command without a terminal nothing when its client goes; but then its standard input ends.
_WITH_US = 'exec 3<&0; { cat <&3; kill $$; } >/dev/null 2>&1 & exec "$@" 3<&- </dev/null'
_FILES = (Path(__file__).parent / "log_files.sh").read_text()


@dataclass(frozen=True)
class Wanted:
    """Which entries; by default all of them.

    Attributes:
        units: of these units, as for ``journalctl --unit``.
        since: since then, as for ``journalctl --since``.
        lines: the last so many of each node.
        whole: all that the journal knows of an entry, and not only what is shown.
    """

    units: Sequence[str] = ()
    since: str = ""
    lines: int | None = None
    whole: bool = False


@dataclass
class Logs:
    """Entries in order of time, and how it ended on the nodes where it did not end well."""

    entries: list[Entry] = field(default_factory=list)
    failed: dict[str, Outcome] = field(default_factory=dict)


def read(lab: KnownLab, nodes: Sequence[str], wanted: Wanted) -> Logs:
    """What the nodes have logged."""
    commands = "; ".join(["code=$?", *(shlex.join(command) for command in _files(wanted)), "exit $code"])
    script = f"{shlex.join(_journal(wanted))}; {commands}"
    away = absent(lab, nodes)
    logs = Logs(failed={node: ended.in_text() for node, ended in away.items()})
    here = [node for node in nodes if node not in away]
    for node, ended in run_all({node: lab.root_command(node, script) for node in here}).items():
        outcome = ended.in_text()
        if ended.exit_code:
            logs.failed[node] = replace(outcome, stdout="")
        twins = Twins()
        found = sorted(entries(node, outcome.stdout.split("\n")), key=_time)
        found = [entry for entry in found if not twins.knows(entry)]
        logs.entries += found if wanted.lines is None else found[max(0, len(found) - wanted.lines) :]
    logs.entries.sort(key=_time)
    return logs


def follow(
    lab: KnownLab, nodes: Sequence[str], wanted: Wanted
) -> Generator[Entry | tuple[str, Outcome], None, None]:
    """What the nodes log, when they do; and once for a node whose log ends badly, how it ended.

    Close it, and all that follows on the nodes ends.
    """
    if wanted.lines is None and not wanted.since:
        wanted = replace(wanted, lines=_BEFORE)
    heard: queue.Queue[Entry | tuple[str, Ended]] = queue.Queue()
    commands = [_journal(wanted, follow=True), *_files(wanted, follow=True)]
    streams: list[_Stream] = []
    away = absent(lab, nodes)
    try:
        yield from ((node, ended.in_text()) for node, ended in away.items())
        streams.extend(  # one by one: an interrupt on the way must not leave one behind
            _Stream(node, lab.root_command(node, _WITH_US, *command), heard)
            for node in nodes
            if node not in away
            for command in commands
        )
        yield from _told(heard, len(streams))
    finally:
        deadline = time.monotonic() + _PATIENCE
        for stream in streams:
            stream.let_go()
        for stream in streams:
            stream.end(deadline)


def _told(
    heard: queue.Queue[Entry | tuple[str, Ended]], streams: int
) -> Iterator[Entry | tuple[str, Outcome]]:
    """What is heard of so many streams, until all have ended."""
    twins: defaultdict[str, Twins] = defaultdict(Twins)
    failed: set[str] = set()
    while streams:
        item = heard.get()
        if isinstance(item, Entry):
            if not twins[item.node].knows(item):
                yield item
            continue
        streams -= 1
        node, ended = item
        if ended.exit_code and node not in failed:
            failed.add(node)
            yield node, ended.in_text()


class _Stream:
    """A command on a node whose lines are read as they come."""

    def __init__(self, node: str, argv: Sequence[str], heard: queue.Queue[Entry | tuple[str, Ended]]) -> None:
        pipe = subprocess.PIPE
        # Ctrl-C in the terminal is for us, who then end it in good order.
        self._process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        threading.Thread(target=self._read, args=(node, heard), daemon=True).start()

    def let_go(self) -> None:
        """Ask the node to end it."""
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def end(self, deadline: float) -> None:
        """Wait until it has ended, or end what of it is here; ``deadline`` by the monotonic clock."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self, node: str, heard: queue.Queue[Entry | tuple[str, Ended]]) -> None:
        out, err = self._process.stdout, self._process.stderr
        if out and err:
            for entry in entries(node, (line.decode(errors="replace").rstrip("\n") for line in out)):
                heard.put(entry)
            heard.put((node, Ended(self._process.wait(), b"", err.read())))


def _journal(wanted: Wanted, *, follow: bool = False) -> list[str]:
    lines = "all" if wanted.lines is None else str(wanted.lines)
    return [
        *("journalctl", "--quiet", "--no-pager", "--all", "--output=json", f"--lines={lines}"),
        *([] if wanted.whole else [f"--output-fields={','.join(SHOWN)}"]),
        *([f"--since={wanted.since}"] if wanted.since else []),
        *(f"--unit={unit}" for unit in wanted.units),
        *(["--follow"] if follow else []),
    ]


def _files(wanted: Wanted, *, follow: bool = False) -> list[list[str]]:
    """The command that reads log files; none if no unit has one."""
    services = with_file(wanted.units)
    lines = "+1" if wanted.lines is None else str(wanted.lines)
    words = ["sh", "-c", _FILES, "log_files.sh", lines, wanted.since, " ".join(services)]
    return [[*words, *(["follow"] if follow else [])]] if services else []


def _time(entry: Entry) -> int:
    return entry.time
