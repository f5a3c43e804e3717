"""The picture of a lab as one SVG file: no script, no font and no picture from elsewhere, for light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.definition import hostlist
from labctl.render.graph.drawing import FRAME, MARGIN, drawing
from labctl.render.graph.topology import Topology
from labctl.render.templates import render


@dataclass(frozen=True)
class Colours:
    """One of the two palettes."""

    paper: str
    panel: str
    card: str
    line: str
    ink: str
    pale: str
    services: dict[str, str]
    tones: dict[str, str]
    tints: dict[str, str]
    edges: dict[str, str]


LIGHT = Colours(
    paper="#ffffff",
    panel="#f6f8fa",
    card="#ffffff",
    line="#d1d9e0",
    ink="#1f2328",
    pale="#59636e",
    services={
        "LDAP": "#0969da",
        "NFS": "#1a7f64",
        "Slurm": "#bc4c00",
        "MUNGE": "#8250df",
        "Accounting": "#bf3989",
        "MariaDB": "#7d4e00",
        "REST": "#0550ae",
        "Registry": "#9a3412",
        "Jupyter": "#0e7490",
    },
    tones={"good": "#1a7f37", "busy": "#9a6700", "off": "#59636e", "bad": "#cf222e"},
    tints={"good": "#ffffff", "busy": "#fffbe6", "off": "#eff1f3", "bad": "#fff1f0"},
    edges={"good": "#8dcf9f", "busy": "#d9b44a", "off": "#b6bfc8", "bad": "#cf222e"},
)
DARK = Colours(
    paper="#0d1117",
    panel="#151b23",
    card="#0d1117",
    line="#3d444d",
    ink="#f0f6fc",
    pale="#9198a1",
    services={
        "LDAP": "#4493f8",
        "NFS": "#3fb68b",
        "Slurm": "#f0883e",
        "MUNGE": "#ab7df8",
        "Accounting": "#db61a2",
        "MariaDB": "#c69026",
        "REST": "#79c0ff",
        "Registry": "#ffa657",
        "Jupyter": "#39c5cf",
    },
    tones={"good": "#3fb950", "busy": "#d29922", "off": "#9198a1", "bad": "#f85149"},
    tints={"good": "#0d1117", "busy": "#201a0b", "off": "#1c2129", "bad": "#27141a"},
    edges={"good": "#23673a", "busy": "#8a6414", "off": "#4d555f", "bad": "#f85149"},
)


def svg(topology: Topology) -> str:
    """The picture; it can stand alone or inside an HTML page."""
    return render(
        "labctl/render/graph/graph.svg.j2",
        t=topology,
        d=drawing(topology),
        margin=MARGIN,
        frame=FRAME,
        said="; ".join(_said(topology)),
        light={**_SHAPES, **_painted(LIGHT)},
        dark=_painted(DARK),
    )


_SHAPES = {
    ".title": "font-size: 20px; font-weight: 600;",
    ".name": "font-size: 14px; font-weight: 600;",
    ".heading": "font-size: 13px; font-weight: 600;",
    ".role": "font-size: 12px;",
    ".state": "font-size: 12px; font-weight: 600;",
    ".service": "font-size: 13px; font-weight: 700;",
    ".fact": "font-size: 12px;",
    ".label": "font-size: 11px;",
}


def _painted(colours: Colours) -> dict[str, str]:
    """The rules that give everything its colour."""
    rules = {
        ".paper": f"fill: {colours.paper};",
        ".panel": f"fill: {colours.panel}; stroke: {colours.line};",
        ".card": f"fill: {colours.card}; stroke: {colours.line}; stroke-width: 1.5;",
        ".title, .name, .heading, .role": f"fill: {colours.ink};",
        ".fact, .label": f"fill: {colours.pale};",
        ".frame": f"fill: none; stroke: {colours.line}; stroke-width: 1.5; stroke-dasharray: 2 5;",
        ".key": f"stroke: {colours.pale}; stroke-width: 2;",
        ".key.gives": f"fill: {colours.pale};",
        ".key.uses": f"fill: {colours.paper};",
        ".lane, .tap": "fill: none; stroke-width: 2;",
        ".bridge": f"fill: none; stroke: {colours.paper}; stroke-width: 8;",
        ".open": "fill: none; stroke-width: 2;",
    }
    for service, colour in colours.services.items():
        rules[f".{service}"] = f"stroke: {colour};"
        rules[f".service.{service}"] = f"fill: {colour}; stroke: none;"
        rules[f".gives.{service}"] = f"fill: {colour};"
        rules[f".uses.{service}"] = f"fill: {colours.paper}; stroke-width: 2;"
    for tone, colour in colours.tones.items():
        rules[f".{tone}"] = f"stroke: {colour};"
        rules[f".card.{tone}"] = f"fill: {colours.tints[tone]}; stroke: {colours.edges[tone]};"
        rules[f".full.{tone}, .state.{tone}"] = f"fill: {colour}; stroke: none;"
    return rules


def _said(topology: Topology) -> list[str]:
    """The picture in words, for who cannot see it."""
    who = [f"{link.service} by {link.server}" for link in topology.links if link.server]
    racks = [
        f"{topology.title(rack)}: {hostlist.fold([node.name for node in rack.nodes])}"
        for rack in topology.racks
    ]
    bad = [f"{name} is {state.word}" for name, state in topology.states.items() if state.tone != "good"]
    return [f"{len(topology.nodes)} nodes in the network {topology.network}", *who, *racks, *bad]
