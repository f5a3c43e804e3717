"""What has to be done: the definition and what is observed, compared. Nothing here touches a process or libvirt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["create", "start", "remove", "recreate", "converge", "verify"]


@dataclass(frozen=True)
class Action:
    """One thing to do, and why.

    Attributes:
        kind: create a machine, start it, remove it, remove and create it, converge or verify the lab.
        node: the node's name; empty if it concerns the whole lab.
        reason: for the reader of ``--dry-run``.
    """

    kind: Kind
    node: str
    reason: str


@dataclass(frozen=True)
class Observed:
    """What is there.

    Attributes:
        states: of each machine of the lab, by node.
        shapes: CPUs and MiB of each machine, as it was made.
        converged: the key of what the lab was last converged to; empty if it never was.
        verified: the same for verify.
        problems: what the running lab itself says is wrong.
    """

    states: Mapping[str, str]
    shapes: Mapping[str, tuple[int, int]]
    converged: str = ""
    verified: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What shall be.

    Attributes:
        shapes: CPUs and MiB of each node, in the order of the definition.
        key: content hash of all that converge depends on.
        verify: whether the lab shall be verified.
    """

    shapes: Mapping[str, tuple[int, int]]
    key: str
    verify: bool = True


def plan(wanted: Wanted, observed: Observed) -> tuple[Action, ...]:
    """The actions that lead from what is observed to what is wanted, in order; none if it is so already."""
    machines = [*_removals(wanted, observed), *_machines(wanted, observed)]
    converge = _converge(wanted, observed, machines)
    verify = _verify(wanted, observed, [*machines, *converge])
    return (*machines, *converge, *verify)


def _removals(wanted: Wanted, observed: Observed) -> list[Action]:
    gone = [node for node in observed.states if node not in wanted.shapes]
    return [Action("remove", node, "it is not in the definition") for node in gone]


def _machines(wanted: Wanted, observed: Observed) -> list[Action]:
    actions = []
    for node, shape in wanted.shapes.items():
        state = observed.states.get(node)
        made = observed.shapes.get(node, shape)
        if state is None:
            actions.append(Action("create", node, "it has no machine yet"))
        elif made != shape:
            words = f"{shape[0]} CPUs and {shape[1]} MiB wanted, made with {made[0]} and {made[1]}"
            actions.append(Action("recreate", node, words))
        elif state != "running":
            actions.append(Action("start", node, f"it is {state}"))
    return actions


def _converge(wanted: Wanted, observed: Observed, machines: Sequence[Action]) -> list[Action]:
    if not observed.converged:
        return [Action("converge", "", "the lab was never converged to its end")]
    if observed.converged != wanted.key:
        return [Action("converge", "", "the definition, the roles or the box changed")]
    if any(action.kind in ("create", "recreate", "remove") for action in machines):
        return [Action("converge", "", "the nodes changed")]
    if observed.problems:
        return [Action("converge", "", observed.problems[0])]
    return []


def _verify(wanted: Wanted, observed: Observed, before: Sequence[Action]) -> list[Action]:
    if not wanted.verify:
        return []
    if before:
        return [Action("verify", "", "something changed")]
    if observed.verified != wanted.key:
        return [Action("verify", "", "the lab was never verified as it is now")]
    return []
