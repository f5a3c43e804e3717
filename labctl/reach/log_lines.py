"""Lines of logs, of systemd's journal and of services that write a file of their own, read into one form."""

from __future__ import annotations

import fnmatch
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: The services whose log is a file. `log_files.sh` knows where it is.
WITH_FILE = ("slurmctld", "slurmd", "slurmdbd", "munge")
#: What of a journal entry is needed to show it.
SHOWN = ("MESSAGE", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "_COMM", "_PID", "_SYSTEMD_UNIT")
# Slurm's daemons tell the same to their file and, on stderr, to the journal. The two take the time for themselves.
_TWINS_WITHIN = 5_000_000  # microseconds
_TWINS_AMONG = 200  # entries
_STAMP = re.compile(
    r"\[?(?P<day>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d:\d\d(?:\.\d+)?) ?(?P<zone>Z|[+-]\d\d:?\d\d)?\]? *"
)


@dataclass(frozen=True)
class Entry:
    """One entry of a log.

    Attributes:
        node: whose log.
        time: microseconds since the epoch.
        service: the systemd unit without ``.service``; empty if it is of none.
        speaker: who says it, such as ``slurmd[312]``.
        text: what it says; may have several lines.
        file: the log file that it is from; empty if it is from the journal.
        fields: as journald has them, whatever log it is from, and ``node``.
    """

    node: str
    time: int
    service: str
    speaker: str
    text: str
    file: str
    fields: dict[str, Any]


def with_file(units: Sequence[str]) -> tuple[str, ...]:
    """Those of the units, which may be patterns as for journalctl, whose log is a file. No units are all of them."""
    wanted = [unit.removesuffix(".service") for unit in units] or ["*"]
    return tuple(name for name in WITH_FILE if any(fnmatch.fnmatchcase(name, unit) for unit in wanted))


def entries(node: str, lines: Iterable[str]) -> Iterator[Entry]:
    """What a node's logs say.

    Args:
        node: its name.
        lines: those of ``journalctl --output=json``, of `log_files.sh`, or of both in this order.
    """
    files = _Files(node)
    for line in lines:
        entry = _journal(node, line) if line.startswith("{") and not files.announced else files.read(line)
        if entry is not None:
            yield entry


class Twins:
    """Tells what a node's journal and a log file have both said."""

    def __init__(self) -> None:
        self._recent: deque[Entry] = deque(maxlen=_TWINS_AMONG)

    def knows(self, entry: Entry) -> bool:
        """Whether the one has said by now what the other says here."""
        if entry.service not in WITH_FILE:
            return False
        for other in self._recent:
            if _are_twins(entry, other):
                self._recent.remove(other)
                return True
        self._recent.append(entry)
        return False


def _are_twins(one: Entry, other: Entry) -> bool:
    return (
        one.text == other.text
        and one.service == other.service
        and bool(one.file) != bool(other.file)
        and abs(one.time - other.time) < _TWINS_WITHIN
    )


class _Files:
    """Reads line by line what `log_files.sh` says.

    First come announcements: ``=> file ZONE SERVICE PATH`` for each file, perhaps ``=> since SECONDS``. Then what
    ``tail --verbose`` prints of them.
    """

    def __init__(self, node: str) -> None:
        self.announced: dict[str, tuple[str, str]] = {}
        self._node = node
        self._file = ""
        self._since = self._last = 0

    def read(self, line: str) -> Entry | None:
        """The entry that the line is; None if it is none."""
        if not self._file and line.startswith("=> "):
            self._announce(line.split(" ", 2)[1:])
            return None
        header = line.removeprefix("==> ").removesuffix(" <==")
        if line == f"==> {header} <==" and header in self.announced:
            self._file, self._last = header, 0
            return None
        return self._entry(line) if self._file and line else None

    def _announce(self, words: list[str]) -> None:
        if words[0] == "since" and words[1:] and words[1]:
            self._since = round(float(words[1]) * 1e6)
        elif words[0] == "file":
            zone, service, path = words[1].split(" ", 2)
            self.announced[path] = (zone, service)

    def _entry(self, line: str) -> Entry | None:
        zone, service = self.announced[self._file]
        stamp = _STAMP.match(line)
        text = line[stamp.end() :] if stamp else line
        if stamp:
            self._last = _microseconds(stamp, zone)
        # A line without a time goes on with what the one before it said.
        if self._last < self._since:
            return None
        fields = {
            "node": self._node,
            "__REALTIME_TIMESTAMP": str(self._last),
            "_SYSTEMD_UNIT": f"{service}.service",
            "SYSLOG_IDENTIFIER": service,
            "LOG_FILE": self._file,
            "MESSAGE": text,
        }
        return Entry(self._node, self._last, service, service, text, self._file, fields)


def _microseconds(stamp: re.Match[str], zone: str) -> int:
    moment = datetime.fromisoformat(f"{stamp['day']}T{stamp['clock']}{stamp['zone'] or zone}")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def _journal(node: str, line: str) -> Entry | None:
    try:
        fields = json.loads(line)
        time = int(fields["__REALTIME_TIMESTAMP"])
    except (ValueError, KeyError):  # the line was cut off, as the machine was
        return None
    name = _text(fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM") or "unknown")
    pid = _text(fields.get("SYSLOG_PID") or fields.get("_PID") or "")
    service = _text(fields.get("_SYSTEMD_UNIT") or "").removesuffix(".service")
    # On stderr Slurm's daemons say who they are, and the journal says it again.
    text = _text(fields.get("MESSAGE") or "").rstrip("\n").removeprefix(f"{name}: ")
    return Entry(node, time, service, f"{name}[{pid}]" if pid else name, text, "", {"node": node, **fields})


def _text(value: Any) -> str:
    """A field as text: journald writes what is no UTF-8 as a list of bytes, and what is there twice as a list."""
    if isinstance(value, list):
        if all(isinstance(item, int) for item in value):
            return bytes(value).decode(errors="replace")
        return _text(value[0])
    return str(value)
