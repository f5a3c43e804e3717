"""The figures: what is measured, what each may be at most, and what `latest.json` says of a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One thing that is measured.

    Attributes:
        name: its key in `latest.json`.
        what: in words.
        goal: what its ratio may be at most; None if it is there for comparison.
        goal_words: the same as people say it.
        always: the others stand on it, so it is measured in every run.
    """

    name: str
    what: str
    goal: float | None = None
    goal_words: str = ""
    always: bool = False


#: In the order of the table. All are multiples of F but the disk, which is a part of the first lab's.
FIGURES = (
    Figure("first", "the first `labctl up full` with a box: it also makes the machines to copy", always=True),
    Figure("cold", "`labctl up full --fresh` with a built box: verified and saved", 2, "2 F", always=True),
    Figure("warm", "`labctl up full` from its snapshot, quick verify included", 1 / 12, "F / 12"),
    Figure("reset", "`labctl reset` of a running lab", 1 / 15, "F / 15"),
    Figure("noop_up", "second `labctl up` of a running lab that needs nothing", 1 / 20, "F / 20"),
    Figure("noop_converge", "`labctl converge` that changes nothing", 1 / 3, "F / 3"),
    Figure(
        "second_lab_disk", "host disk of a second lab of the same definition", 1 / 10, "1/10 of the first"
    ),
    Figure("naive", "`vagrant up` of a plain box and `ansible-playbook` as they come"),
)
NAMES = tuple(figure.name for figure in FIGURES)
DISK = "second_lab_disk"
NAIVE = "naive"


@dataclass
class Measured:
    """What a run found out; what it did not measure is missing.

    Attributes:
        preset: the lab that was measured.
        nodes: how many machines it has.
        driver: kvm or qemu.
        seconds: wall time by figure, ``F`` and ``bare_restore`` among them.
        bare_boots: the seconds of each measurement of F, which is their mean.
        steps: where the time of a figure went, in order: ``{"step": ..., "seconds": ...}``.
        disk_bytes: of the ``first`` lab with all that it stands on, and what the ``second`` takes beyond that.
    """

    preset: str
    nodes: int = 0
    driver: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    bare_boots: list[float] = field(default_factory=list)
    steps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    disk_bytes: dict[str, int] = field(default_factory=dict)


def chosen(only: Sequence[str], *, skip_naive: bool) -> frozenset[str]:
    """The figures of a run: the named ones, all if none is named, and those that the others stand on.

    Raises:
        ValueError: there is no such figure.
    """
    unknown = sorted(set(only) - set(NAMES))
    if unknown:
        raise ValueError(f"no such figure: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    wanted = set(only or NAMES) | {figure.name for figure in FIGURES if figure.always}
    return frozenset(wanted - {NAIVE} if skip_naive else wanted)


def ratios(measured: Measured) -> dict[str, float | None]:
    """Each figure's ratio; None if it was not measured."""
    return {name: _ratio(measured, name) for name in NAMES}


def _ratio(measured: Measured, name: str) -> float | None:
    if name == DISK:
        first, second = measured.disk_bytes.get("first"), measured.disk_bytes.get("second")
        return second / first if first and second is not None else None
    bare, seconds = measured.seconds.get("F"), measured.seconds.get(name)
    return seconds / bare if bare and seconds is not None else None


def missed(found: Mapping[str, float | None]) -> tuple[str, ...]:
    """The figures that were measured and are above their goals."""
    return tuple(
        figure.name
        for figure in FIGURES
        if figure.goal is not None and (ratio := found.get(figure.name)) is not None and ratio > figure.goal
    )


def report(measured: Measured, machine: Mapping[str, Any]) -> dict[str, Any]:
    """What `latest.json` says of a run. A figure that was not measured is null in it."""
    found = ratios(measured)
    timed = ("F", *(name for name in NAMES if name != DISK), "bare_restore")
    return {
        "preset": measured.preset,
        "nodes": measured.nodes,
        "F_seconds": _rounded(measured.seconds.get("F"), 2),
        "F_measured": [_rounded(seconds, 2) for seconds in measured.bare_boots],
        "ratios": {name: _rounded(found[name], 4) for name in NAMES},
        "goals": {figure.name: _rounded(figure.goal, 4) for figure in FIGURES},
        "missed": list(missed(found)),
        "seconds": {name: _rounded(measured.seconds.get(name), 2) for name in timed},
        "steps": measured.steps,
        "disk_bytes": measured.disk_bytes or None,
        "machine": dict(machine),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
