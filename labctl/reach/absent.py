"""Nodes that cannot be reached: how a command on them ends, with words of our own in the place of ssh's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labctl.reach.parallel import Ended

if TYPE_CHECKING:
    from labctl.known import KnownLab

UNREACHED = 255  # what ssh says of a host that it cannot reach


def absent(lab: KnownLab, nodes: Sequence[str]) -> dict[str, Ended]:
    """How a command ends on those of these nodes that have no machine or whose machine does not run."""
    return {
        node: Ended(UNREACHED, b"", f"{error}\n".encode()) for node, error in lab.unreachable(nodes).items()
    }
