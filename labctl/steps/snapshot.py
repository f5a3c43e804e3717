"""Snapshot: a whole lab, disks and memory, saved at one point in time while it lives, and brought back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from tempfile import TemporaryDirectory

from labctl import packing, snapshots
from labctl.console import StepView
from labctl.errors import LabError, SnapshotError
from labctl.packing import Packing, Piece
from labctl.providers.base import MachineXml, Place, Saver
from labctl.render.layout import Layout
from labctl.side_by_side import each
from labctl.snapshots import SavedBox, SavedNode, Snapshot

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
_SLIM = 2.5  # seconds until machines have handed freed memory back; Linux does it two seconds later
_PIPE = 1 << 20  # bytes; the kernel's limit for everybody
_POLL = 0.01  # seconds between two looks whether somebody reads a pipe


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
        each(nodes, lambda node: saver.stand_alone(layout.lab, node))
        each(nodes, lambda node: saver.slim(layout.lab, node))
        time.sleep(_SLIM)
        raw, disks, paused = _freeze(saver, layout.lab, nodes, work, view)
        view.note(f"stood still for {paused:.1f} s")

        def pack(node: str) -> SavedNode:
            view.node(node, "packing its memory")
            memory = packing.pack(raw[node], work / f"{node}.memory.zst")
            raw[node].unlink()
            view.node(node, f"{(memory.stored + disks[node].stored) >> 20} MiB", "ok")
            machine = saver.describe(layout.lab, node)
            return SavedNode(
                defined=machine.defined,
                running=machine.running,
                capacity=saver.capacity(layout.lab, node),
                memory=memory,
                disk=disks[node],
            )

        saved = each(nodes, pack, at_once=os.cpu_count() or 1)
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
            nodes=dict(zip(nodes, saved, strict=True)),
        )
        snapshots.write_manifest(work, snapshot)
    snapshot.note_use()
    return Saved(snapshot, paused)


def _freeze(
    saver: Saver, lab: str, nodes: Sequence[str], work: Path, view: StepView
) -> tuple[dict[str, Path], dict[str, Piece], float]:
    """Freeze all machines, write down what is in them, let them go on; and for how long they stood still."""
    raw = {node: work / f"{node}.memory" for node in nodes}

    def write(node: str) -> Piece:
        view.node(node, "saving its memory")
        saver.save_memory(lab, node, raw[node])
        disk = Packing(work / f"{node}.disk.zst")
        saver.save_disk(lab, node, disk)
        return disk.close()

    started = time.monotonic()
    try:
        each(nodes, lambda node: saver.pause(lab, node))
        disks = each(nodes, write, abandon=lambda node: saver.abandon(lab, node))
    finally:
        each(nodes, lambda node: saver.resume(lab, node))
    return raw, dict(zip(nodes, disks, strict=True)), time.monotonic() - started


def restore(saver: Saver, snapshot: Snapshot, layout: Layout, view: StepView) -> None:
    """Bring a lab's machines back as they were; those that are there are thrown away.

    Raises:
        SnapshotError: a machine could not be brought back; what is there is half a lab.
    """
    nodes = list(snapshot.nodes)
    with TemporaryDirectory(prefix="labctl-") as pipes:

        def bring_back(node: str) -> None:
            view.node(node, "brought back")
            saved = snapshot.nodes[node]
            base = _staged(saver, snapshot, node)
            with suppress(LabError):
                saver.switch_off(layout.lab, node)
            place = Place(
                lab=layout.lab,
                node=node,
                directory=layout.directory,
                disk=saver.new_disk(layout.lab, node, base),
                kernel=layout.box.kernel,
                initrd=layout.box.initrd,
                network=layout.network.name,
            )
            with _fed(snapshot.path / saved.memory.file, Path(pipes) / node) as memory:
                saver.bring_back(MachineXml(saved.defined, saved.running), place, memory)

        each(nodes, bring_back)
    each(nodes, lambda node: saver.resume(layout.lab, node))
    for node in nodes:
        view.node(node, "as it was", "ok")


def _staged(saver: Saver, snapshot: Snapshot, node: str) -> str:
    """The name of a node's saved disk in the pool, where it is put once."""
    volume, saved = snapshot.volume(node), snapshot.nodes[node]
    if not saver.staged(volume):
        with packing.unpacking(snapshot.path / saved.disk.file) as source:
            saver.stage(volume, source, saved.disk.content, saved.capacity)
    return volume


@contextmanager
def _fed(packed: Path, pipe: Path) -> Iterator[Path]:
    """A pipe from which a packed file's content can be read once."""
    os.mkfifo(pipe, 0o600)
    over = threading.Event()
    failures: list[SnapshotError] = []

    def feed() -> None:
        descriptor = _opened(pipe, over)
        if descriptor is None:
            return
        with suppress(BrokenPipeError), os.fdopen(descriptor, "wb", buffering=0) as sink:
            with suppress(OSError):
                fcntl(sink, F_SETPIPE_SZ, _PIPE)
            try:
                packing.unpack(packed, sink)
            except SnapshotError as error:
                failures.append(error)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield pipe
    except SnapshotError as error:
        raise (failures or [error])[0] from error
    finally:
        over.set()
        feeder.join()
    # The last that is read is the checksum: the reader may have been content with what came before.
    if failures:
        raise failures[0]


def _opened(pipe: Path, over: threading.Event) -> int | None:
    """The pipe, open for writing once somebody reads; None if nobody ever will."""
    while not over.is_set():
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(_POLL)
            continue
        os.set_blocking(descriptor, True)
        return descriptor
    return None
