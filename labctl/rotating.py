"""Rotating: a new secret for a lab that runs, kept first and carried to every node after that; jobs go on."""

from __future__ import annotations

import time
from dataclasses import dataclass

from labctl import secrets
from labctl.definition.models import Definition
from labctl.files import LabFiles
from labctl.render import groups
from labctl.render.layout import Layout
from labctl.rotation import Kind, overlapping, stages
from labctl.snapshots import Snapshot
from labctl.steps.verify import INVENTORY_CACHE
from labctl.steps.witness import witness
from labctl.work import Work


@dataclass(frozen=True)
class Planned:
    """A stage of a rotation, and the nodes that it changes."""

    does: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Rotated:
    """What was done: the kind of secret, the seconds of each step, and what was seen of it, in words."""

    kind: Kind
    steps: list[tuple[str, float]]
    proofs: tuple[str, ...]


def planned(definition: Definition, kind: Kind, *, authority: bool) -> tuple[Planned, ...]:
    """What would be done."""
    members = groups.members(definition.machines())
    return tuple(
        Planned(
            stage.does,
            tuple(dict.fromkeys(node for group in stage.groups for node in members.get(group, ()))),
        )
        for stage in stages(kind, authority=authority)
    )


def rotate(work: Work, files: LabFiles, layout: Layout, kind: Kind, *, authority: bool) -> Rotated:
    """Replace a secret of a lab that runs.

    The lab's own file has the new one before any node does, and the record says so: whatever interrupts us, `up`
    takes it to every node, and so does this if it is asked again, with another new one.

    Raises:
        LabError: the cluster does not go by the secret that it has; nothing was touched.
        ConvergeError: a task failed.
        VerifyError: the new secret does not work, or the old one does.
    """
    with work.step("witness"):
        known = witness(kind, layout, work.ask)
    users = [user.name for user in layout.definition.users]
    renewal = secrets.renewed(files.secrets, layout.lab, layout.machines, users, kind, authority=authority)
    files.note(rotating=kind, rotated={**files.record().rotated, kind: time.time()})
    secrets.keep(files.secrets, renewal)
    (files.directory / INVENTORY_CACHE).unlink(missing_ok=True)  # it has the old one in it
    for stage in stages(kind, authority=authority):
        now = overlapping(renewal.before, renewal.after) if stage.overlap else renewal.after
        files.render_with(layout, now)
        work.converge(layout.definition, playbook=stage.playbook, tags=stage.tags)
    with work.step("prove") as view:
        proofs = known.prove(renewal.before, renewal.after, authority=authority)
        view.note(f"{len(proofs)} times")
    files.note(rotating="")
    return Rotated(kind, work.timings.steps, proofs)


def since(files: LabFiles, saved: Snapshot) -> tuple[str, ...]:
    """The kinds of secrets that were replaced after a snapshot was saved: it would bring the old ones back."""
    return tuple(kind for kind, when in files.record().rotated.items() if when > saved.created)
