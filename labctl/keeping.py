"""Which snapshot is right for a lab on this host, which are still needed, and how one travels to another host."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labctl import __version__, kvm, providers, snapshots, target
from labctl.definition.models import Definition
from labctl.errors import SnapshotError
from labctl.files import LabFiles
from labctl.finding import summaries
from labctl.providers.base import Provider, Saver
from labctl.resources import resource
from labctl.snapshots import Snapshot
from labctl.steps import box
from labctl.steps.box import Box

# Whoever has just handed a box to libvirt is about to make machines of it: seconds, whatever `prune` is told.
_JUST_NOW = 3600.0


@dataclass(frozen=True)
class Removed:
    """What `prune` removed (or would), and the bytes that it took."""

    what: str
    bytes: int


@dataclass(frozen=True)
class SnapshotKey:
    """What a cache may call the snapshot that `up` would bring back, and the snapshot's id; empty if it is not here."""

    key: str
    snapshot: str


class Keeper:
    """What one provider can do with snapshots: bring them back, if they fit, and drop their disks from its pool."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def saver(self) -> Saver:
        """The provider's way to save machines.

        Raises:
            SnapshotError: it has none.
        """
        if self._provider.saver is None:
            raise SnapshotError(
                f"{self._provider.name} cannot save machines with their memory",
                hint="snapshots need --provider libvirt",
            )
        return self._provider.saver

    def host(self, driver: str) -> dict[str, str]:
        """What must be equal on the host where a snapshot is taken and on the one where it is brought back."""
        facts = self.saver().facts()
        return {"machine": platform.machine(), "driver": driver, "labctl": __version__, **facts}

    def equal(self, definition: Definition, files: LabFiles) -> Snapshot | None:
        """The snapshot of a verified lab that is just what the definition would become here; None if there is none."""
        if self._provider.saver is None:
            return None
        own = secrets_of(files)
        for snapshot in snapshots.of_key(key(definition)):
            driver = snapshot.host.get("driver", "")
            if own in ("", snapshot.secrets) and not self._differences(snapshot, driver):
                return snapshot
        return None

    def named(self, definition: Definition, files: LabFiles) -> SnapshotKey:
        """The snapshot that `up` would bring back: what it depends on, this host included, and whether it is here.

        Raises:
            SnapshotError: machines cannot be saved here.
        """
        host = self.host(kvm.driver(None, None))
        words = "\0".join([key(definition), *(f"{name}={value}" for name, value in sorted(host.items()))])
        saved = self.equal(definition, files)
        return SnapshotKey(hashlib.sha256(words.encode()).hexdigest()[:16], saved.id if saved else "")

    def fits(self, snapshot: Snapshot, driver: str) -> None:
        """Refuse a snapshot of another kind of host.

        Raises:
            SnapshotError: says in what they differ.
        """
        differences = self._differences(snapshot, driver)
        if differences:
            raise SnapshotError(
                f"the snapshot {snapshot.name} is of another kind of host",
                why="\n".join(differences),
                hint="labctl up builds the lab anew",
            )

    def _differences(self, snapshot: Snapshot, driver: str) -> list[str]:
        here = self.host(driver)
        return [
            f"{name}: {there} there, {here.get(name, 'none')} here"
            for name, there in snapshot.host.items()
            if here.get(name) != there
        ]

    def remove(self, snapshot: Snapshot) -> None:
        """A snapshot gone from the cache and from the storage pool; labs that stand on its disks keep those."""
        snapshots.remove(snapshot)
        self.unstage(snapshot.volumes)

    def unstage(self, prefix: str) -> None:
        """Disks whose names begin so gone from the storage pool, but for those that a machine stands on."""
        if self._provider.saver is not None:
            self._provider.saver.unstage(prefix)

    def idle_boxes(self, kept: Collection[str], since: float) -> dict[str, int]:
        """Boxes in the storage pool, and their bytes, that no machine needs and nobody has read of late.

        Args:
            kept: names of those that are not meant.
            since: what was read later than this, in seconds since the epoch, is not meant either.
        """
        found = self._provider.saver.idle_boxes() if self._provider.saver is not None else {}
        return {name: one.bytes for name, one in found.items() if name not in kept and one.used < since}

    def unstage_others(self) -> None:
        """Disks of snapshots that are no more gone from the storage pool, but for those that a machine stands on."""
        if self._provider.saver is not None:
            self._provider.saver.unstage_others({one.id for one in snapshots.everything()})


def here() -> Keeper:
    """The keeper for this host, whatever lab it is for."""
    return Keeper(providers.choose("auto"))


def key(definition: Definition) -> str:
    """Content hash of all that a verified lab is made of, but for its secrets and this host."""
    digest = hashlib.sha256(target.key(definition).encode())
    suite, code = resource("tests/verify"), Path(__file__).parent
    for path in [resource("Vagrantfile.j2"), *sorted(suite.rglob("*")), *sorted(code.rglob("*.py"))]:
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def secrets_of(files: LabFiles) -> str:
    """Content hash of a lab's secrets; empty if it has none yet."""
    if not files.secrets.is_file():
        return ""
    return hashlib.sha256(files.secrets.read_bytes()).hexdigest()[:16]


def replaced(lab: str, label: str, key: str) -> tuple[Snapshot, ...]:
    """The snapshots that a new one takes the place of: those of its name, or of an equal lab if `up` takes it."""
    return tuple(
        one
        for one in snapshots.snapshots()
        if (one.lab, one.label) == (lab, label) and (label or one.key == key)
    )


def in_words(snapshot: Snapshot) -> str:
    """Why there is no need to build."""
    age = datetime.fromtimestamp(snapshot.created, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    return f"just this was verified and saved at {age}"


def box_of(snapshot: Snapshot) -> Box | None:
    """The very box that a snapshot stands on; None for one that labctl did not build.

    Raises:
        SnapshotError: it is gone.
    """
    if not box.is_own(snapshot.box.name):
        return None
    found = next((one for one in box.boxes() if one.vagrant_name == snapshot.box.vagrant_name), None)
    if found is None:
        raise SnapshotError(
            f"the box of the snapshot {snapshot.name} is gone",
            why=f"it was {snapshot.box.vagrant_name}",
            hint="labctl up builds the lab anew",
        )
    return found


def export(snapshot: Snapshot, target_file: Path) -> int:
    """Write a snapshot as one file, with its box; its size in bytes."""
    found = box_of(snapshot)
    if found is None:
        raise SnapshotError(
            f"the snapshot {snapshot.name} cannot be exported",
            why=f"it stands on the box {snapshot.box.name}, which labctl did not build",
            hint="a lab on one of labctl's own boxes, such as debian-12, can be exported",
        )
    extra = {f"box/{path.name}": path for path in sorted(found.path.iterdir()) if path.is_file()}
    return snapshots.export(snapshot, target_file, extra)


def take_in(file: Path) -> Snapshot:
    """Take in an exported snapshot, and its box unless it is there.

    Raises:
        SnapshotError: it is none, damaged, or of another kind of host.
    """
    keeper = here()
    keeper.saver()  # if there is none, that is said before anything is unpacked
    with snapshots.exported(file) as (snapshot, work):
        keeper.fits(snapshot, snapshot.host.get("driver", ""))
        if (work / "box").is_dir():
            box.take_in(work / "box")
        snapshots.take_in(snapshot, work / "snapshot")
        return snapshot


def prune(days: float, *, dry_run: bool) -> list[Removed]:
    """Remove what no lab needs and nobody used for so many days: snapshots that `up` took, boxes, leftovers.

    Boxes stay where there may be snapshots that are not known here and stand on them. Those of other caches go from
    libvirt's pool alone: whoever still has such a cache hands them over again.
    """
    keeper, own_boxes = here(), {one.vagrant_name for one in box.boxes()}
    labs = [LabFiles(lab.directory) for lab in summaries() if lab.directory]
    needed = {files.record().snapshot for files in labs}
    removed = []
    doomed = snapshots.unused(days, needed)
    for snapshot in doomed:
        whose = snapshot.lab or f"a machine to copy, on the box {snapshot.box.vagrant_name}"
        removed.append(Removed(f"the snapshot {snapshot.id} of {whose}", snapshot.stored))
        if not dry_run:
            keeper.remove(snapshot)
    stand_on = {one.box.vagrant_name for one in snapshots.everything() if one not in doomed}
    stand_on |= {str(files.record().image.get("name", "")) for files in labs}
    for one in _old_boxes(stand_on, days) if snapshots.all_are_known() else ():
        removed.append(Removed(f"the box {one.name} {one.version}", one.size_bytes))
        if not dry_run:
            box.discard(one)
            keeper.unstage(f"{one.vagrant_name}_")
    for name, size in keeper.idle_boxes(own_boxes, time.time() - max(days * 86400, _JUST_NOW)).items():
        removed.append(Removed(f"the box {name} of another cache from libvirt's pool", size))
        if not dry_run:
            keeper.unstage(f"{name}_")
    if not dry_run:
        snapshots.sweep()
        keeper.unstage_others()
    return removed


def _old_boxes(needed: set[str], days: float) -> Iterator[Box]:
    for one in box.boxes():
        current = box.is_own(one.name) and one == box.current(one.name)  # others have no recipe any more
        if one.vagrant_name not in needed and not current and box.older(one, days):
            yield one
