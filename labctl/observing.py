"""What there is of a lab, as `labctl.plan` compares it with what shall be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from labctl import keeping
from labctl.files import LabFiles
from labctl.plan import Observed, Shape
from labctl.providers.base import Found
from labctl.snapshots import Snapshot


def observed(
    files: LabFiles,
    machines: Sequence[Found],
    wanted: Mapping[str, Shape],
    look: Callable[[], tuple[str, ...]],
    saved: Snapshot | None,
) -> Observed:
    """What there is of a lab.

    Args:
        files: the lab's own.
        machines: those of the lab.
        wanted: the nodes that shall be there.
        look: says what is wrong with the running lab; asked only where all of it runs.
        saved: the snapshot that could be brought back, if there is one.
    """
    record = files.record()
    states = {machine.node: machine.state for machine in machines}
    whole = states.keys() == wanted.keys() and set(states.values()) == {"running"}
    return Observed(
        states=states,
        shapes=record.made_with(),
        converged=record.converged,
        verified=record.verified,
        problems=look() if whole and record.converged else (),
        key_lost=not files.key.is_file(),
        torn=bool(record.restoring),
        copying=frozenset(record.copying),
        saved=keeping.in_words(saved) if saved else "",
        rotating=record.rotating,
        accounts=record.told(),
    )
