"""The picture of a lab as text for a terminal of 80 columns: the network is a line, and the nodes are tied to it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from labctl.definition import hostlist
from labctl.definition.models import Node
from labctl.render.graph.topology import SYMBOLS, Link, Topology, roles, size

WIDTH = 80  # columns
_GAP = "  "
_NARROWEST = 12  # columns that names get, however little is left
_ASCII = str.maketrans("│├└─▶◀●◐○✖·", "|++-><*~ox-")


def text(topology: Topology) -> str:
    """The picture, with a line end after its last line."""
    sections = [("services", topology.alike(topology.servers))]
    sections += [(topology.title(rack), topology.alike(rack.nodes)) for rack in topology.racks]
    widths = _widths([_cells(topology, nodes) for _, rows in sections for nodes in rows])
    lines = [f"{topology.lab}: {topology.about}", "", f"  network {topology.network}"]
    for title, rows in sections:
        lines += ["  │", f"  │  {title}"]
        for nodes in rows:
            lines += _drawn(topology, nodes, widths)
    last = max(number for number, line in enumerate(lines) if line.startswith("  ├"))
    ended = [line.replace("├", "└").replace("│", " ", 1) for line in lines[last:]]
    picture = [*lines[:last], *ended, "", *_links(topology)]
    return "".join(f"{line.rstrip()}\n" for line in picture)


def ascii_only(picture: str) -> str:
    """The same for a terminal that has no other characters."""
    return picture.translate(_ASCII)


def _cells(topology: Topology, nodes: Sequence[Node]) -> tuple[str, ...]:
    """What stands in the line of nodes that are alike; further roles go below."""
    state = topology.states.get(nodes[0].name)
    what = roles(nodes[0])[0] if len(nodes) == 1 else f"{len(nodes)} nodes"
    word = f"{SYMBOLS[state.tone]} {state.word}" if state else ""
    return (hostlist.fold([node.name for node in nodes]), what, *size(nodes[0]), word)


def _widths(table: Sequence[tuple[str, ...]]) -> list[int]:
    """Of each column; names give way where a line would be too long."""
    names, *others = (max(map(len, column)) for column in zip(*table, strict=True))
    left = WIDTH - len("  ├─ ") - sum(width + len(_GAP) for width in others if width)
    return [min(names, max(left, _NARROWEST)), *others]


def _drawn(topology: Topology, nodes: Sequence[Node], widths: Sequence[int]) -> Iterator[str]:
    """The line of nodes that are alike, and below it what has no room in it."""
    name, what, *rest = _cells(topology, nodes)
    names = textwrap.wrap(name, widths[0], break_on_hyphens=False)
    whats = [what, *roles(nodes[0])[1:]] if len(nodes) == 1 else [what]
    yield "  ├─ " + _line((names[0], what, *rest), widths)
    for below in zip_longest(names[1:], whats[1:], fillvalue=""):
        yield "  │  " + _line(below, widths)
    state = topology.states.get(nodes[0].name)
    if state and state.reason:
        indent = "  │    "
        yield from textwrap.wrap(state.reason, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(
        cell.ljust(width) for cell, width in zip(cells, widths[: len(cells)], strict=True) if width
    )


def _links(topology: Topology) -> list[str]:
    """Who talks to whom; what about beside it if there is room for all, and below otherwise."""
    wide = max(len(link.service) for link in topology.links)
    who = [f"  {link.service:<{wide}}  {_who(topology, link)}" for link in topology.links]
    widest = max(map(len, who))
    abouts = [link.about for link in topology.links]
    if widest + len(_GAP) + max(map(len, abouts)) <= WIDTH:
        return [f"{one:<{widest}}{_GAP}{about}" for one, about in zip(who, abouts, strict=True)]
    return [line for one, about in zip(who, abouts, strict=True) for line in (one, f"{'':{wide + 4}}{about}")]


def _who(topology: Topology, link: Link) -> str:
    clients = topology.clients(link)
    if not clients:
        return f"{link.server or link.clients[0]} itself"
    arrow = "◀─▶" if link.service in ("Slurm", "MUNGE") else "──▶"  # slurmctld and slurmd both call
    return f"{clients} {arrow} {link.server or 'each other'}"
