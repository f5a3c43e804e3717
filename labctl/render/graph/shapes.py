"""What a drawing consists of. Every length is in the units of the drawing, at first sight one pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from labctl.render.graph.topology import Service, State

Kind = Literal["name", "heading", "role", "fact", "state", "label"]


@dataclass(frozen=True)
class Text:
    """A line of text: where its base line begins, what it says, and what kind it is."""

    x: float
    y: float
    said: str
    kind: Kind


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.y + self.height


@dataclass(frozen=True)
class Card:
    """A node, or nodes that are alike."""

    box: Box
    name: str
    texts: tuple[Text, ...]
    state: State | None
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """The cards of a rack."""

    box: Box
    texts: tuple[Text, ...]
    cards: tuple[Card, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all in it."""
        return tuple(name for card in self.cards for name in card.nodes)


@dataclass(frozen=True)
class Tap:
    """What ties a card or a panel to a line: from its edge to the line, which it meets as a giver or a user."""

    x: float
    edge: float
    lane: float
    service: Service
    gives: bool


@dataclass(frozen=True)
class Lane:
    """The line of a service."""

    y: float
    start: float
    end: float
    service: Service
    about: Text


@dataclass(frozen=True)
class Drawing:
    """The whole picture; `frame` is the height of that of the network."""

    width: float
    height: float
    frame: float
    servers: tuple[Card, ...]
    panels: tuple[Panel, ...]
    lanes: tuple[Lane, ...]
    taps: tuple[Tap, ...]
    notes: tuple[Text, ...]
