"""The picture of a lab as a Mermaid flowchart, which GitHub, GitLab and most wikis draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labctl.definition import hostlist
from labctl.definition.models import Node
from labctl.render.graph.topology import SYMBOLS, Topology, roles, size

# For every tone: fill, stroke. The words are dark on all of them, whatever the page is.
_COLOURS = {
    "good": ("#dafbe1", "#1a7f37"),
    "busy": ("#fff8c5", "#9a6700"),
    "off": ("#eaeef2", "#59636e"),
    "bad": ("#ffebe9", "#cf222e"),
    "plan": ("#ddf4ff", "#0969da"),
}
_BOTH_WAYS = {"Slurm", "MUNGE"}


def mermaid(topology: Topology) -> str:
    """The flowchart, with a line end after its last line. Nodes that are alike are one."""
    lines = ["---", f"title: {_quoted(f'{topology.lab}: {topology.about}')}", "---", "flowchart TB"]
    lines += [f"  subgraph lab[{_quoted(f'network {topology.network}')}]"]
    lines += _group(topology, "services", "services", topology.servers)
    for number, rack in enumerate(topology.racks):
        lines += _group(topology, f"rack{number}", topology.title(rack), rack.nodes)
    lines += ["  end", *_edges(topology)]
    for tone, (fill, stroke) in _COLOURS.items():
        lines.append(f"  classDef {tone} fill:{fill},stroke:{stroke},color:#1f2328")
    return "".join(f"{line}\n" for line in lines)


def _group(topology: Topology, id_: str, title: str, nodes: Sequence[Node]) -> Iterator[str]:
    yield f"    subgraph {id_}[{_quoted(title)}]"
    for alike in topology.alike(nodes):
        state = topology.states.get(alike[0].name)
        tone = state.tone if state else "plan"
        yield f"      {_id(topology, alike[0])}[{_quoted(*_words(topology, alike))}]:::{tone}"
    yield "    end"


def _words(topology: Topology, nodes: Sequence[Node]) -> Iterator[str]:
    """The lines of one box."""
    first = nodes[0]
    yield hostlist.fold([node.name for node in nodes])
    yield from roles(first) if len(nodes) == 1 else [f"{len(nodes)} nodes"]
    cpus, memory, gpus = size(first)
    yield f"{cpus}, {memory}"
    if gpus:
        yield gpus
    if len(nodes) == 1 and first.name in topology.addresses:
        yield topology.addresses[first.name]
    if first.name in topology.states:
        state = topology.states[first.name]
        yield f"{SYMBOLS[state.tone]} {state.word}"


def _edges(topology: Topology) -> Iterator[str]:
    """Who talks to whom: an arrow for each two that do, with all services that pass between them."""
    ends = {node.name: _id(topology, node) for node in topology.servers}
    for number, rack in enumerate(topology.racks):
        ends |= {node.name: f"rack{number}" for node in rack.nodes}
    between: dict[tuple[str, str], list[str]] = {}
    for link in topology.links:
        # MUNGE's key is shared by all that talk Slurm, so its trust goes along with their arrows.
        server = link.server or next(one.server for one in topology.links if one.service == "Slurm")
        for pair in dict.fromkeys((ends[client], ends[server]) for client in link.clients):
            if pair[0] != pair[1]:
                between.setdefault(pair, []).append(link.service)
    for (client, server), services in between.items():
        arrow = "<-->" if _BOTH_WAYS & set(services) else "-->"
        yield f"  {client} {arrow}|{', '.join(services)}| {server}"


def _id(topology: Topology, node: Node) -> str:
    """A word that Mermaid takes for no keyword: names of nodes may be any."""
    return f"n{topology.nodes.index(node)}"


def _quoted(*lines: str) -> str:
    text = "<br>".join(lines).replace('"', "#quot;")
    return f'"{text}"'
