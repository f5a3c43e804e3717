"""Machines written down with their memory and their disks, and brought back: what snapshots and seeds share."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path

from labctl import packing
from labctl.console import StepView
from labctl.errors import LabError, SnapshotError
from labctl.packing import Packing, Piece
from labctl.providers.base import Identity, MachineXml, Place, Saver
from labctl.render.layout import Layout
from labctl.side_by_side import each, every
from labctl.snapshots import SavedNode, Snapshot

_SLIM = 2.5  # seconds until machines have handed freed memory back; Linux does it two seconds later
_PIPE = 1 << 20  # bytes; the kernel's limit for everybody
_POLL = 0.01  # seconds between two looks whether somebody reads a pipe


def write_down(
    saver: Saver, lab: str, nodes: Sequence[str], work: Path, view: StepView
) -> tuple[dict[str, SavedNode], float]:
    """Save running machines, all at one point in time, into files in a folder; they go on running.

    Returns:
        what was saved, by node, and for how many seconds the machines stood still.

    Raises:
        SnapshotError: one could not be saved; they go on as if nothing had happened.
    """
    slim_for = min(each(nodes, lambda node: saver.slim(lab, node)))
    slim_at = time.monotonic() + _SLIM - slim_for
    each(nodes, lambda node: saver.stand_alone(lab, node))
    time.sleep(max(0.0, slim_at - time.monotonic()))
    raw, disks, paused = _freeze(saver, lab, nodes, work, view)

    def pack(node: str) -> SavedNode:
        view.node(node, "packing its memory")
        memory = packing.pack(raw[node], work / f"{node}.memory.zst")
        raw[node].unlink()
        view.node(node, f"{(memory.stored + disks[node].stored) >> 20} MiB", "ok")
        machine = saver.describe(lab, node)
        return SavedNode(
            defined=machine.defined,
            running=machine.running,
            capacity=saver.capacity(lab, node),
            memory=memory,
            disk=disks[node],
        )

    saved = each(nodes, pack, at_once=os.cpu_count() or 1)
    return dict(zip(nodes, saved, strict=True)), paused


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
        every(nodes, lambda node: saver.resume(lab, node))
    return raw, dict(zip(nodes, disks, strict=True)), time.monotonic() - started


def bring_back(
    saver: Saver,
    snapshot: Snapshot,
    saved: str,
    *,
    layout: Layout,
    node: str,
    pipes: Path,
    identity: Identity | None = None,
) -> None:
    """Make a machine as it was saved; it stays frozen, and one of its name that is there is thrown away.

    Its saved disk must be there, see `stage`.

    Args:
        saver: the provider's.
        snapshot: where it was saved.
        saved: its name there.
        layout: the lab.
        node: its name in the lab.
        pipes: a folder for the pipe that its memory goes through.
        identity: who it is from now on, if it is a copy.

    Raises:
        SnapshotError: it could not be brought back; what is there is half a machine.
    """
    was = snapshot.nodes[saved]
    with suppress(LabError):
        saver.switch_off(layout.lab, node)
    place = Place(
        lab=layout.lab,
        node=node,
        directory=layout.directory,
        disk=saver.new_disk(layout.lab, node, snapshot.volume(saved)),
        kernel=layout.box.kernel,
        initrd=layout.box.initrd,
        network=layout.network.name,
        identity=identity,
    )
    machine = saver.placed(MachineXml(was.defined, was.running), place)
    with _fed(snapshot.path / was.memory.file, pipes / node, saver, machine) as memory:
        saver.bring_back(machine, memory)


def stage(saver: Saver, snapshot: Snapshot) -> None:
    """Have the saved disks in the storage pool, where each is put once."""

    def put(node: str) -> None:
        disk = snapshot.nodes[node].disk
        with packing.unpacking(snapshot.path / disk.file) as source:
            saver.stage(snapshot.volume(node), source, disk.content, snapshot.nodes[node].capacity)

    there = saver.staged()
    each([node for node in snapshot.nodes if snapshot.volume(node) not in there], put)


@contextmanager
def _fed(packed: Path, pipe: Path, saver: Saver, machine: MachineXml) -> Iterator[Path]:
    """A pipe from which a machine's packed memory can be read once."""
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
                packing.unpack(packed, saver.renamed(sink, machine))
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
