"""Where everything of the picture is: servers above, compute nodes below, and a line between them for each service.

A node is tied to a line by a tap; what gives the service has a full dot there, what uses it an open one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from labctl.definition import hostlist
from labctl.definition.models import Node
from labctl.render.graph.shapes import Box, Card, Drawing, Kind, Lane, Panel, Tap, Text
from labctl.render.graph.topology import Link, Rack, Service, Topology, roles, size

MARGIN = 24
PADDING = 12  # between the frame of a card or a panel and what is in it
GUTTER = 208  # what the lines are, left of them
SERVER = 190  # width of a card of a server
NODE = 150  # width of one of a compute node
GAP, PANEL_GAP = 10, 20
FRAME, HEADER, FOOT = (
    74,
    98,
    24,
)  # where the frame of the network begins, where the servers; the room below all
LANE = 40  # from one line to the next
APART = 14  # from one tap to the next
LINE = 18  # of text
COLUMNS = 5  # of compute nodes side by side, unless there are more racks
MOST = 48  # nodes that get a card each; of a larger lab those that are alike share one
#: Pixels of a character: of a font size of 1, the average of what a sans serif has in names and numbers.
_ADVANCE: dict[Kind, float] = {
    "name": 8.8,
    "heading": 7.6,
    "role": 6.3,
    "fact": 6.3,
    "state": 6.9,
    "label": 5.7,
}


def drawing(topology: Topology) -> Drawing:
    """Place everything."""
    columns = _columns([len(_groups(topology, rack.nodes)) for rack in topology.racks])
    widths = [count * (NODE + GAP) - GAP + 2 * PADDING for count in columns]
    inner = max(_row(SERVER, len(topology.servers)), sum(widths) + PANEL_GAP * (len(widths) - 1), 0)
    servers = _servers(topology, inner)
    first = servers[0].box.bottom + LANE
    lanes = {link.service: first + LANE * number for number, link in enumerate(topology.links)}
    below = max(lanes.values()) + LANE
    panels = _panels(topology, columns, widths, inner, below)
    taps = tuple(_taps(topology.links, lanes, servers, panels))
    end = max([*(panel.box.bottom for panel in panels), *(y + PADDING for y in lanes.values())]) + FOOT
    width = 2 * MARGIN + GUTTER + inner + FOOT
    notes = tuple(_notes(topology, end + LINE + PADDING, width - 2 * MARGIN))
    return Drawing(
        width=width,
        height=end + (LINE * len(notes) + PADDING if notes else 0) + MARGIN,
        frame=end - FRAME,
        servers=servers,
        panels=panels,
        lanes=tuple(_lane(link, lanes[link.service], taps) for link in topology.links),
        taps=taps,
        notes=notes,
    )


def fitted(said: str, width: float, kind: Kind) -> str:
    """As much of a text as a width has room for."""
    most = int(width / _ADVANCE[kind])
    return said if len(said) <= most else said[: most - 1] + "…"


def _columns(counts: Sequence[int]) -> list[int]:
    """How many cards each rack has side by side: the highest one is made wider as long as there is room."""
    columns = [1] * len(counts)
    while sum(columns) < COLUMNS:
        rows = [-(-count // wide) for count, wide in zip(counts, columns, strict=True)]
        if max(rows, default=1) == 1:
            break
        columns[rows.index(max(rows))] += 1
    return columns


def _row(width: float, count: int) -> float:
    return count * width + PANEL_GAP * (count - 1)


def _groups(topology: Topology, nodes: Sequence[Node]) -> tuple[tuple[Node, ...], ...]:
    return topology.alike(nodes) if len(topology.nodes) > MOST else tuple((node,) for node in nodes)


def _servers(topology: Topology, inner: float) -> tuple[Card, ...]:
    words = [((node,), [*_roles(node), *_facts(topology, (node,))]) for node in topology.servers]
    height = max(_height(len(lines)) for _, lines in words)
    x = MARGIN + GUTTER + (inner - _row(SERVER, len(words))) / 2
    return tuple(
        _card(topology, nodes, lines, Box(x + number * (SERVER + PANEL_GAP), HEADER, SERVER, height))
        for number, (nodes, lines) in enumerate(words)
    )


def _panels(
    topology: Topology, columns: Sequence[int], widths: Sequence[float], inner: float, top: float
) -> tuple[Panel, ...]:
    x = MARGIN + GUTTER + (inner - sum(widths) - PANEL_GAP * (len(widths) - 1)) / 2
    panels = []
    for rack, wide, width in zip(topology.racks, columns, widths, strict=True):
        panels.append(_panel(topology, rack, wide, Box(x, top, width, 0)))
        x += width + PANEL_GAP
    return tuple(panels)


def _panel(topology: Topology, rack: Rack, columns: int, room: Box) -> Panel:
    """A rack in a room whose height is not known yet."""
    texts = tuple(_panel_texts(topology, rack, room))
    top = texts[-1].y + PADDING
    groups = [(nodes, _facts(topology, nodes)) for nodes in _groups(topology, rack.nodes)]
    height = max(_height(len(facts)) for _, facts in groups)
    cards = []
    for number, (nodes, facts) in enumerate(groups):
        row, column = divmod(number, columns)
        box = Box(room.x + PADDING + column * (NODE + GAP), top + row * (height + GAP), NODE, height)
        cards.append(_card(topology, nodes, facts, box))
    return Panel(replace(room, height=cards[-1].box.bottom + PADDING - room.y), texts, tuple(cards))


def _panel_texts(topology: Topology, rack: Rack, room: Box) -> Iterator[Text]:
    x, y, width = room.x + PADDING, room.y, room.width - 2 * PADDING
    title = f"partition{'s' if len(rack.partitions) > 1 else ''} {', '.join(rack.partitions)}"
    yield Text(x, y + 22, fitted(title if rack.partitions else "other nodes", width, "heading"), "heading")
    said = {name: topology.partitions[name] for name in rack.partitions if topology.partitions[name]}
    several = len(rack.partitions) > 1
    about = "; ".join(f"{name}: {words}" if several else words for name, words in said.items())
    yield Text(x, y + 38, fitted(about, width, "label"), "label")


def _roles(node: Node) -> list[tuple[Kind, str]]:
    inside = [f"partition{'s' if len(node.partitions) > 1 else ''} {', '.join(node.partitions)}"]
    return [("role", role) for role in roles(node)] + [("fact", one) for one in inside if node.partitions]


def _facts(topology: Topology, nodes: Sequence[Node]) -> list[tuple[Kind, str]]:
    """What a card says below its name; for the state the last line."""
    cpus, memory, gpus = size(nodes[0])
    lines: list[tuple[Kind, str]] = [("fact", f"{len(nodes)} nodes")] if len(nodes) > 1 else []
    lines.append(("fact", f"{cpus}, {memory}"))
    lines += [("fact", gpus)] if gpus else []
    address = topology.addresses.get(nodes[0].name, "") if len(nodes) == 1 else ""
    lines += [("fact", address)] if address else []
    state = topology.states.get(nodes[0].name)
    return [*lines, ("state", state.word)] if state else lines


def _height(lines: int) -> float:
    return 30 + LINE * lines + 6


def _card(topology: Topology, nodes: Sequence[Node], lines: Sequence[tuple[Kind, str]], box: Box) -> Card:
    name = hostlist.fold([node.name for node in nodes])
    x, inside = box.x + PADDING, box.width - 2 * PADDING
    texts = [Text(x, box.y + 24, fitted(name, inside, "name"), "name")]
    for number, (kind, said) in enumerate(lines):
        # The state stands in the last line of every card, whatever is above, behind its symbol.
        state = kind == "state"
        base = box.bottom - 12 if state else box.y + 24 + LINE * (number + 1)
        texts.append(Text(x + (16 if state else 0), base, fitted(said, inside, kind), kind))
    names = tuple(node.name for node in nodes)
    return Card(box, name, tuple(texts), topology.states.get(names[0]), names)


def _taps(
    links: Sequence[Link], lanes: dict[Service, float], servers: Sequence[Card], panels: Sequence[Panel]
) -> Iterator[Tap]:
    """Every card of a server and every panel, tied to the lines of its services from left to right."""
    taken: list[float] = []
    places: list[Card | Panel] = [*servers, *panels]
    for place in places:
        names = set(place.nodes)
        tied = [link for link in links if link.server in names or names & set(link.clients)]
        edge = place.box.bottom if isinstance(place, Card) else place.box.y
        across = _free(
            [place.box.x + place.box.width * at / (len(tied) + 1) for at in range(1, len(tied) + 1)], taken
        )
        taken += across
        for link, x in zip(tied, across, strict=True):
            yield Tap(x, edge, lanes[link.service], link.service, link.server in names)


def _free(wanted: Sequence[float], taken: Sequence[float]) -> list[float]:
    """Places for taps near those that are wanted, none on another one: a dot would hide a dot."""

    def room(shift: int) -> float:
        return min([APART, *(abs(x + shift - other) for x in wanted for other in taken)])

    shift = max((0, 8, -8, 16, -16, 24, -24), key=room)
    return [x + shift for x in wanted]


def _lane(link: Link, y: float, taps: Sequence[Tap]) -> Lane:
    start = MARGIN + GUTTER - PADDING
    end = max(tap.x for tap in taps if tap.service == link.service)
    about = Text(MARGIN + FOOT, y + 12, fitted(link.about, GUTTER - FOOT - PADDING, "label"), "label")
    return Lane(y, start, end, link.service, about)


def _notes(topology: Topology, y: float, width: float) -> Iterator[Text]:
    """Why nodes are as they are, once for all of the same reason."""
    reasons: dict[str, list[str]] = {}
    for name, state in topology.states.items():
        if state.reason:
            reasons.setdefault(f"{state.word}: {state.reason}", []).append(name)
    notes = [f"{hostlist.fold(names)} {reason}" for reason, names in reasons.items()]
    lines = [line for note in notes for line in textwrap.wrap(note, int(width / _ADVANCE["fact"]))]
    for number, line in enumerate(lines):
        yield Text(MARGIN, y + LINE * number, line, "fact")
