"""The snapshots of labs in the user's cache: each whole or not there at all, and checked before it is used.

A snapshot is a folder named by its id, with `manifest.json`, the lab's own files (`lab.tar`, secrets among
them) and for each node its memory and its disk, compressed. Nothing in it is ever changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from labctl import lock, packing, words
from labctl.errors import DamagedError, LockedError, SnapshotError, UsageError
from labctl.packing import Piece
from labctl.providers.base import STAGED

#: Raised when a snapshot of before could be misread.
FORMAT = 1
#: Of a snapshot that `up` takes by itself; a user's own name cannot be empty.
AUTOMATIC = ""
#: The lab of a saved machine that belongs to none: the labs' machines are copies of it.
NO_LAB = ""
_DRAFT = "new-"  # before the id: the name of the folder while a snapshot is made


class SavedNode(BaseModel):
    """One machine: libvirt's words for it, the size of its disk (bytes), and what was on it and in it."""

    model_config = ConfigDict(frozen=True)
    defined: str
    running: str
    capacity: int
    memory: Piece
    disk: Piece


class SavedBox(BaseModel):
    """The very box that the machines' disks stand on."""

    model_config = ConfigDict(frozen=True)
    name: str
    vagrant_name: str


class Snapshot(BaseModel):
    """What is known of a snapshot.

    Attributes:
        id: its name in the cache.
        lab: the lab it is of.
        label: the user's name for it; empty if `up` took it.
        key: content hash of all that made the lab, its secrets aside; see `labctl.keeping.key`.
        secrets: content hash of the lab's secrets.
        created: seconds since the epoch.
        host: what the host must be like: architecture, driver, versions of QEMU and libvirt, storage pool.
        box: the box.
        files: the lab's own files.
        nodes: its machines.
    """

    model_config = ConfigDict(frozen=True)
    format: int = FORMAT
    id: str
    lab: str
    label: str
    key: str
    secrets: str
    created: float
    host: dict[str, str]
    box: SavedBox
    files: Piece
    nodes: dict[str, SavedNode]

    @property
    def path(self) -> Path:
        """Its folder."""
        return store() / self.id

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All its files but the manifest."""
        return (self.files, *(piece for node in self.nodes.values() for piece in (node.memory, node.disk)))

    @property
    def stored(self) -> int:
        """Bytes on disk."""
        return sum(piece.stored for piece in self.pieces)

    @property
    def used(self) -> float:
        """When it was last taken or brought back, in seconds since the epoch."""
        with suppress(OSError):
            return (self.path / "used").stat().st_mtime
        return self.created

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.label or self.id

    def volume(self, node: str) -> str:
        """The name of a node's saved disk in the storage pool."""
        return f"{self.volumes}{node}.img"

    @property
    def volumes(self) -> str:
        """What the names of its disks in the storage pool begin with."""
        return f"{STAGED}{self.id}_"

    def note_use(self) -> None:
        """It was used just now."""
        (self.path / "used").touch()


def store() -> Path:
    """Where all snapshots are."""
    own = os.environ.get("LABCTL_SNAPSHOTS")
    return Path(own).absolute() if own else platformdirs.user_cache_path("labctl") / "snapshots"


def all_are_known() -> bool:
    """Whether the user has no snapshots but those in `store`: somebody who put them elsewhere may have others, too."""
    return not os.environ.get("LABCTL_SNAPSHOTS")


def snapshots() -> tuple[Snapshot, ...]:
    """Those of labs, the newest first."""
    return tuple(one for one in everything() if one.lab != NO_LAB)


def everything() -> tuple[Snapshot, ...]:
    """All that can be read, those of machines that belong to no lab among them; the newest first."""
    manifests = store().glob("*/manifest.json")
    found = (_read(path) for path in manifests if not path.parent.name.startswith(_DRAFT))
    return tuple(sorted((one for one in found if one), key=lambda one: -one.created))


def get(id_: str) -> Snapshot | None:
    """The snapshot of this id."""
    return _read(store() / id_ / "manifest.json") if id_ else None


def named(lab: str, name: str) -> Snapshot:
    """A lab's snapshot by the user's name for it, or by its id or the beginning of that.

    Raises:
        UsageError: there is none, or more than one.
    """
    mine = [one for one in snapshots() if not lab or one.lab == lab]
    found = [one for one in mine if name and one.label == name] or [
        one for one in mine if name and one.id.startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        many = ", ".join(f"{one.id} of {one.lab}" for one in found)
        raise UsageError(f"which snapshot {name}?", why=f"there are {many}", hint="name one by its id")
    known = [one.name for one in mine]
    there = f"there are: {', '.join(known)}" if known else "labctl snapshot save NAME takes one"
    raise UsageError(
        f"there is no snapshot {name}" + (f" of the lab {lab}" if lab else ""),
        hint=words.hint(name, known, there),
    )


def of_key(key: str) -> tuple[Snapshot, ...]:
    """Those that `up` took of labs, or of machines to copy, with this key; the newest first."""
    return tuple(one for one in everything() if one.key == key and one.label == AUTOMATIC)


def check(snapshot: Snapshot) -> None:
    """Make sure that a snapshot is what was saved. A file that has not been written since the last check is not read.

    What rots on a disk without being written is found when it is unpacked: zstd has a checksum of its own.

    Raises:
        DamagedError: a file is missing, cut short or changed.
    """
    stamps = _stamps(snapshot)
    checked = snapshot.path / "checked.json"
    with suppress(OSError, ValueError):
        if json.loads(checked.read_text()) == stamps:
            return
    for piece in snapshot.pieces:
        _check(snapshot.path / piece.file, piece, snapshot)
    checked.write_text(json.dumps(stamps))


def _stamps(snapshot: Snapshot) -> dict[str, list[int]]:
    stamps = {}
    for piece in snapshot.pieces:
        with suppress(FileNotFoundError):
            facts = (snapshot.path / piece.file).stat()
            stamps[piece.file] = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]
    return stamps


def _check(path: Path, piece: Piece, snapshot: Snapshot) -> None:
    damage = packing.damage(path, piece)
    if damage:
        raise DamagedError(
            f"the snapshot {snapshot.name} is damaged", why=damage, hint=f"labctl snapshot rm {snapshot.id}"
        )


@contextmanager
def draft(id_: str) -> Iterator[Path]:
    """A folder to make a snapshot in, which becomes the snapshot when the block has ended well and is gone otherwise.

    Raises:
        LockedError: another process makes the same one.
        SnapshotError: it cannot be written, for want of space perhaps.
    """
    store().mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock.held(store() / f".{id_}.lock", f"the snapshot {id_}", "snapshot"):
        work = store() / f"{_DRAFT}{id_}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            yield work
            target = store() / id_
            shutil.rmtree(target, ignore_errors=True)
            work.rename(target)
        except OSError as error:
            raise SnapshotError("the snapshot cannot be written", why=str(error)) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def sweep() -> None:
    """Remove what saves and imports that were killed have left."""
    for work in store().glob(f"{_DRAFT}*"):
        id_ = work.name.removeprefix(_DRAFT)
        with suppress(LockedError), lock.held(store() / f".{id_}.lock", f"the snapshot {id_}", "prune"):
            shutil.rmtree(work, ignore_errors=True)


def write_manifest(folder: Path, snapshot: Snapshot) -> None:
    """Put the manifest into a draft; last of all, because with it the snapshot counts."""
    path = folder / "manifest.json"
    path.touch(mode=0o600)
    path.write_text(snapshot.model_dump_json(indent=1) + "\n")


def remove(snapshot: Snapshot) -> None:
    """The snapshot gone from the cache."""
    (snapshot.path / "manifest.json").unlink(missing_ok=True)  # first: what is half gone is no snapshot
    shutil.rmtree(snapshot.path, ignore_errors=True)


# One file for another machine


def export(snapshot: Snapshot, target: Path, extra: Mapping[str, Path]) -> int:
    """Write a snapshot as one file that only its owner can read, and return its size in bytes.

    Args:
        snapshot: the snapshot.
        target: the file; whole or not there.
        extra: files to go with it, by their names in it.
    """
    check(snapshot)
    new = target.with_name(f".{target.name}.new")
    names = ["manifest.json", *(piece.file for piece in snapshot.pieces)]
    files = {f"snapshot/{name}": snapshot.path / name for name in names}
    try:
        packing.tar(new, {**files, **extra})
        new.replace(target)
    except OSError as error:
        hint = "name a file where there is room, and that you may write"
        raise SnapshotError(f"{target} cannot be written", why=str(error), hint=hint) from error
    finally:
        new.unlink(missing_ok=True)
    return target.stat().st_size


@contextmanager
def exported(source: Path) -> Iterator[tuple[Snapshot, Path]]:
    """What an exported file has: its snapshot, and a folder with all that goes with it.

    Raises:
        SnapshotError: it is not such a file.
    """
    store().mkdir(parents=True, exist_ok=True, mode=0o700)
    id_ = f"import-{os.getpid()}"
    with lock.held(store() / f".{id_}.lock", f"the import {source}", "snapshot import"):
        work = store() / f"{_DRAFT}{id_}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            packing.untar(source, work)
            snapshot = _read(work / "snapshot" / "manifest.json")
            if snapshot is None or snapshot.lab == NO_LAB:
                raise SnapshotError(
                    f"{source} is no exported snapshot", hint="labctl snapshot export makes one"
                )
            yield snapshot, work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def take_in(snapshot: Snapshot, folder: Path) -> None:
    """Make an unpacked folder a snapshot of this cache.

    Raises:
        SnapshotError: it is damaged; nothing is left of it.
    """
    for piece in snapshot.pieces:
        _check(folder / piece.file, piece, snapshot)
    with draft(snapshot.id) as work:
        for name in ("manifest.json", *(piece.file for piece in snapshot.pieces)):
            (folder / name).rename(work / name)
    snapshot.note_use()


def new_id(*parts: object) -> str:
    """An id for a snapshot: a hash of all that is to tell it from others."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def unused(days: float, kept: Iterable[str]) -> tuple[Snapshot, ...]:
    """Those that `up` took, that were not used for so long, and that no lab needs.

    Args:
        days: how long.
        kept: ids of those that labs need.
    """
    limit = time.time() - days * 86400
    needed = set(kept)
    return tuple(
        one for one in everything() if one.label == AUTOMATIC and one.used < limit and one.id not in needed
    )


def _read(path: Path) -> Snapshot | None:
    try:
        snapshot = Snapshot.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    names = [snapshot.lab, *snapshot.nodes, *(piece.file for piece in snapshot.pieces)]
    # No way out of a folder.
    plain = all(Path(name).name == name and not name.startswith(".") for name in names)
    return snapshot if snapshot.format == FORMAT and plain and snapshot.id.isalnum() else None


def facts(snapshot: Snapshot) -> dict[str, Any]:
    """What `snapshot list` says of one."""
    return {
        "id": snapshot.id,
        "lab": snapshot.lab,
        "name": snapshot.label,
        "created": snapshot.created,
        "used": snapshot.used,
        "nodes": list(snapshot.nodes),
        "memory_bytes": sum(node.memory.content for node in snapshot.nodes.values()),
        "stored_bytes": snapshot.stored,
        "path": str(snapshot.path),
    }
