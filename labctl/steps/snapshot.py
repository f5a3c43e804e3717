"""Snapshot: a whole lab, disks and memory, saved at one point in time while it lives, and brought back."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from labctl import packing, saved_machines, scratch, snapshots
from labctl.console import StepView
from labctl.providers.base import Saver
from labctl.render.layout import Layout
from labctl.side_by_side import each
from labctl.snapshots import SavedBox, Snapshot

#: The files of a lab that cannot be rendered again: what it shall be, what it knows, and Vagrant's own notes.
LAB_FILES = (
    "lab.yml",
    "secrets.yml",
    "id_ed25519",
    "id_ed25519.pub",
    "known_hosts",
    "record.json",
    ".inventory.json",  # it could be made again, in half a second
    ".vagrant",
)


@dataclass(frozen=True)
class Saved:
    """What save did: the snapshot, and for how many seconds the lab stood still."""

    snapshot: Snapshot
    paused: float


def save(
    saver: Saver,
    layout: Layout,
    view: StepView,
    *,
    id_: str,
    label: str,
    key: str,
    secrets: str,
    host: dict[str, str],
) -> Saved:
    """Save a running lab; it goes on running.

    Args:
        saver: the provider's.
        layout: the lab.
        view: is told of each node.
        id_: the snapshot's.
        label: the user's name for it; empty for one that `up` takes.
        key: content hash of all that made the lab.
        secrets: content hash of its secrets.
        host: what a host must be like that brings it back.

    Raises:
        SnapshotError: it could not be saved; the lab goes on as if nothing had happened.
    """
    nodes = [machine.node.name for machine in layout.machines]
    with snapshots.draft(id_) as work:
        saved, paused = saved_machines.write_down(saver, layout.lab, nodes, work, view)
        view.note(f"stood still for {paused:.1f} s")
        snapshot = Snapshot(
            id=id_,
            lab=layout.lab,
            label=label,
            key=key,
            secrets=secrets,
            created=time.time(),
            host=host,
            box=SavedBox(name=layout.definition.box, vagrant_name=layout.box.name),
            files=packing.tar_of(work / "lab.tar", layout.directory, LAB_FILES),
            nodes=saved,
        )
        snapshots.write_manifest(work, snapshot)
    snapshot.note_use()
    return Saved(snapshot, paused)


def restore(saver: Saver, snapshot: Snapshot, layout: Layout, view: StepView) -> None:
    """Bring a lab's machines back as they were; those that are there are thrown away.

    Raises:
        SnapshotError: a machine could not be brought back; what is there is half a lab.
    """
    nodes = list(snapshot.nodes)
    by_size = sorted(nodes, key=lambda node: -snapshot.nodes[node].memory.content)
    saved_machines.stage(saver, snapshot)
    with scratch.scratch(layout.lab, "pipes") as pipes:

        def bring_back(node: str) -> None:
            view.node(node, "brought back")
            saved_machines.bring_back(saver, snapshot, node, layout=layout, node=node, pipes=pipes)

        # The largest first, and few at once: while libvirt ends and starts some, the memory of others is read.
        each(by_size, bring_back, at_once=2 * (os.cpu_count() or 1))
    each(nodes, lambda node: saver.resume(layout.lab, node))
    for node in nodes:
        view.node(node, "as it was", "ok")
