"""Slurm's hostlists, such as ``cpu-[0-1]``, read by ClusterShell."""

from __future__ import annotations

import math
import re

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

#: Far beyond what one host can carry, and far below what would fill its memory while being counted.
MOST = 1024
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ALPHABET = re.compile(r"[A-Za-z0-9_.,/\[\]-]+")


def expand(text: str) -> tuple[str, ...]:
    """Every single name that `text` stands for, sorted as ClusterShell does.

    Raises:
        ValueError: `text` is no hostlist; the message says why.
    """
    if not _ALPHABET.fullmatch(text):
        raise ValueError(f"{text!r} is not a hostlist such as cpu-[0-3] or cpu-0,cpu-2")
    if text.startswith(",") or text.endswith(",") or ",," in text:
        raise ValueError(f"{text!r} is not a hostlist: a name is missing beside a comma")
    if _size(text) > MOST:
        raise ValueError(f"{text!r} is more than {MOST} nodes")
    try:
        return tuple(NodeSet(text, resolver=RESOLVER_NOGROUP))
    except NodeSetException as error:
        raise ValueError(f"{text!r} is not a hostlist: {error}") from error


def fold(names: list[str]) -> str:
    """The shortest hostlist of `names`."""
    return str(NodeSet.fromlist(names, resolver=RESOLVER_NOGROUP))


def hostname_problem(name: str) -> str:
    """Why `name` cannot be a host name (RFC 1123: one label), or nothing."""
    if _LABEL.fullmatch(name):
        return ""
    if len(name) > 63:  # noqa: PLR2004 - RFC 1123 itself
        return f"{name!r} is longer than the 63 characters of a host name"
    return f"{name!r} is not a host name: lower-case letters, digits and -, neither first nor last a -"


def _size(text: str) -> int:
    """How many names at most: ClusterShell would build them all before it could be asked."""
    return sum(
        math.prod(_numbers(ranges) for ranges in re.findall(r"\[([^]]*)\]", word))
        for word in re.split(r",(?![^\[]*\])", text)
    )


def _numbers(ranges: str) -> int:
    bounds = [re.fullmatch(r"(\d+)-(\d+)(/\d+)?", part) for part in ranges.split(",")]
    return sum(abs(int(found[2]) - int(found[1])) + 1 if found else 1 for found in bounds)
