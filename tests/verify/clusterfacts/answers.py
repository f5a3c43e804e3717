"""Read what the scripts print: sections, and the formats of the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterable

MARK = "@@@ "


class Sections(dict[str, str]):
    """Name of a section to the text below its mark; the empty string where there is none."""

    def __missing__(self, name: str) -> str:
        return ""

    @classmethod
    def parse(cls, text: str) -> Sections:
        """Split a script's output at its marks; what stands before the first one is dropped."""
        sections = cls()
        name, lines = "", list[str]()
        for line in [*text.splitlines(), MARK]:
            if not line.startswith(MARK):
                lines.append(line)
                continue
            if name:
                sections[name] = "\n".join(lines).strip("\n")
            name, lines = line.removeprefix(MARK).strip(), []
        return sections

    def lines(self, name: str) -> list[str]:
        """The lines of a section that are not empty."""
        return [line for line in self[name].splitlines() if line.strip()]

    def table(self, name: str, separator: str | None = None) -> dict[str, list[str]]:
        """The lines of a section by their first column."""
        rows = (line.split(separator) for line in self.lines(name))
        return {first: rest for first, *rest in rows}

    def starting(self, prefix: str) -> dict[str, str]:
        """The sections whose name starts so, by the rest of the name."""
        return {name.removeprefix(prefix): text for name, text in self.items() if name.startswith(prefix)}


def records(lines: Iterable[str]) -> list[dict[str, str]]:
    """The ``Key=value`` lines of ``scontrol -o show ...``, one dictionary a line.

    A value goes on to the next ``word=``: ``Comment=two words`` is one value.
    """
    parsed = []
    for line in lines:
        pairs = re.findall(r"(\S+?)=(.*?)(?=\s+\S+?=|$)", line.strip())
        if pairs:
            parsed.append({key: value.strip() for key, value in pairs})
    return parsed


def settings(lines: Iterable[str]) -> dict[str, str]:
    """The ``Key = value`` lines of ``scontrol show config``."""
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def mounts(text: str) -> dict[str, tuple[str, str, frozenset[str]]]:
    """/proc/mounts by mount point: source, type, options. The last one mounted on a point is the one seen."""
    rows = (line.split() for line in text.splitlines() if line.strip())
    return {row[1]: (row[0], row[2], frozenset(row[3].split(","))) for row in rows}


def indices(text: str) -> set[int]:
    """A list of numbers as Slurm and Linux write it: ``0,2-3``."""
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        low, _, high = part.partition("-")
        numbers.update(range(int(low), int(high or low) + 1))
    return numbers


def files(pattern: str) -> list[str]:
    """The files that ``File=`` of gres.conf names: ``/dev/fakegpu[0-1,3]``."""
    match = re.fullmatch(r"(.*)\[([0-9,-]+)\](.*)", pattern)
    if match is None:
        return [pattern] if pattern else []
    return [f"{match[1]}{number}{match[3]}" for number in sorted(indices(match[2]))]


def scheme(value: str) -> str:
    """How a stored password is hashed, ``{CRYPT}`` and the like; the empty string for cleartext."""
    match = re.match(r"\{[A-Za-z0-9-]+\}", value)
    return match[0].upper() if match else ""


def starts_at_boot(unit: str, enabled: str, links: list[str]) -> bool:
    """Enabled; or made from a SysV script that has a start link of a runlevel that is multi-user.target.

    systemd-sysv-generator(8): such a unit is "generated" whether it starts at boot or not.
    """
    name = re.escape(unit.removesuffix(".service"))
    sysv = enabled == "generated" and any(re.fullmatch(rf"/etc/rc\d\.d/S\d\d{name}", link) for link in links)
    return sysv or enabled == "enabled"
