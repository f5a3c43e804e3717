"""Which snapshot is right for a lab, which are still needed, and how one travels."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from saved_labs import a_snapshot
from savers import HOST, FakeSaver
from small_lab import lab, small, up
from worlds import FakeProvider, World

from labctl import keeping, snapshots
from labctl.definition.models import Definition
from labctl.errors import SnapshotError
from labctl.files import LabFiles
from labctl.keeping import Keeper
from labctl.providers.base import StagedBox
from labctl.snapshots import SavedBox, Snapshot
from labctl.steps import box
from labctl.steps.recipe import recipe

DAY = 86400


@pytest.fixture
def saver(monkeypatch: pytest.MonkeyPatch) -> FakeSaver:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return FakeSaver({})


@pytest.fixture
def files(tmp_path: Path) -> LabFiles:
    made = LabFiles(tmp_path / "lab")
    made.make()
    return made


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The suite and the Vagrantfile's template, where they can be changed."""
    (tmp_path / "tests" / "verify").mkdir(parents=True)
    (tmp_path / "tests" / "verify" / "test_munge.py").write_text("a test")
    (tmp_path / "Vagrantfile.j2").write_text("a template")
    monkeypatch.setattr(keeping, "resource", lambda name: tmp_path / name)
    return tmp_path


def keeper(saver: FakeSaver) -> Keeper:
    return Keeper(FakeProvider(saver=saver))


def matching(saver: FakeSaver, definition: Definition | None = None, **changes: Any) -> Snapshot:
    """A snapshot, taken by `up` here, of this definition."""
    words = {"key": keeping.key(definition or small()), "host": keeper(saver).host("qemu"), "lab": "small"}
    return a_snapshot(**words | changes)


# The key


def test_the_key_stays_as_long_as_nothing_changes(shipped: Path) -> None:
    before = keeping.key(small())
    (shipped / "tests" / "verify" / "test_munge.pyc").write_text("compiled")
    assert keeping.key(small()) == before


@pytest.mark.parametrize(
    "change",
    ["tests/verify/test_munge.py", "tests/verify/test_new.py", "Vagrantfile.j2", "box", "definition", "role"],
)
def test_the_key_changes_with_all_that_a_verified_lab_is_made_of(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    before, definition = keeping.key(small()), small()
    if change == "definition":
        definition = small("nodes.head.memory=1000")
    elif change == "box":
        monkeypatch.setattr("labctl.steps.box.recipe_key", lambda _: "another")
    elif change == "role":
        (shipped / "roles").mkdir()
        (shipped / "roles" / "main.yml").write_text("a task")
        monkeypatch.setattr("labctl.files.resource", lambda name: shipped / name)
    else:
        (shipped / change).write_text("changed")
    assert keeping.key(definition) != before


# Which one is right


def test_the_newest_that_is_just_the_same_is_brought_back(saver: FakeSaver, files: LabFiles) -> None:
    matching(saver, id_="old", created=1.0)
    new = matching(saver, id_="new", created=2.0)
    assert keeper(saver).equal(small(), files) == new
    words = keeping.in_words(new)
    assert "saved at 1970-01-01" in words or "saved at 1969-12-31" in words


def test_a_lab_with_secrets_of_its_own_gets_those_back_and_no_others(
    saver: FakeSaver, files: LabFiles
) -> None:
    assert keeping.secrets_of(files) == ""
    files.secrets.write_text("munge: abc")
    own = keeping.secrets_of(files)
    matching(saver, id_="theirs", secrets="other")
    assert keeper(saver).equal(small(), files) is None
    ours = matching(saver, id_="ours", secrets=own, created=1.0)
    assert keeper(saver).equal(small(), files) == ours


@pytest.mark.parametrize(
    "change",
    [{"label": "mine"}, {"key": "other"}, {"host": {"machine": "x86_64"} | HOST | {"qemu": "8000000"}}],
    ids=["a user's own", "another definition", "another QEMU"],
)
def test_what_is_not_just_the_same_is_not(saver: FakeSaver, files: LabFiles, change: dict[str, Any]) -> None:
    matching(saver, **change)
    assert keeper(saver).equal(small(), files) is None


@pytest.mark.parametrize("fact", ["qemu", "libvirt", "pool"])
def test_another_kind_of_host_is_refused_with_what_differs(saver: FakeSaver, fact: str) -> None:
    saved = matching(saver)
    keeper(saver).fits(saved, "qemu")
    saver.host[fact] = "other"
    with pytest.raises(SnapshotError, match="another kind of host") as refused:
        keeper(saver).fits(saved, "qemu")
    assert refused.value.why == f"{fact}: {HOST[fact]} there, other here"


def test_all_differences_are_said_at_once(saver: FakeSaver, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = matching(saver)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    del saver.host["pool"]
    with pytest.raises(SnapshotError) as refused:
        keeper(saver).fits(saved, "kvm")
    assert set(refused.value.why.splitlines()) == {
        "machine: x86_64 there, aarch64 here",
        "driver: qemu there, kvm here",
        "pool: /pool there, none here",
    }


def test_a_provider_that_cannot_save_machines_says_which_can(world: World) -> None:
    world.provider.name = "virtualbox"
    with pytest.raises(SnapshotError, match="virtualbox cannot save machines") as refused:
        Keeper(world.provider).saver()
    assert "--provider libvirt" in refused.value.hint


def test_a_new_one_takes_the_place_of_that_of_its_name_or_of_an_equal_lab() -> None:
    a_snapshot("1", label="mine", key="", lab="other")
    mine = a_snapshot("2", label="mine", key="")
    equal = a_snapshot("3", key="k", secrets="other")
    a_snapshot("4", key="other", secrets="s")
    assert keeping.replaced("full", "mine", "") == (mine,)
    assert keeping.replaced("full", "", "k") == (equal,)


# To and from other hosts


def built(name: str = "debian-12", version: str = "", content: str = "a box", age: float = 0.0) -> box.Box:
    """A box in the cache."""
    home = box._cache() / f"{name}-{version or recipe(name).key}"
    home.mkdir(parents=True)
    texts = {f"{name}.box": content, "vmlinuz": "a kernel", "initrd": "an initrd"}
    for file, text in texts.items():
        (home / file).write_text(text)
    facts = {
        "name": name,
        "version": version or recipe(name).key,
        "created": time.time() - age * DAY,
        "disk_size": 4096,
        "size_bytes": len(content),
        "sha256": {file: hashlib.sha256(text.encode()).hexdigest() for file, text in texts.items()},
    }
    (home / "box.json").write_text(json.dumps(facts))
    return next(one for one in box.boxes() if one.path == home)


def on(made: box.Box) -> SavedBox:
    return SavedBox(name=made.name, vagrant_name=made.vagrant_name)


def test_a_snapshot_travels_with_its_box(
    world: World, saver: FakeSaver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labctl.steps.box.boxes", REAL_BOXES)
    world.provider.saver = saver
    made = built()
    saved = matching(saver, box=on(made))
    size = keeping.export(saved, tmp_path / "file")
    assert size == (tmp_path / "file").stat().st_size > saved.stored + made.size_bytes
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert keeping.take_in(tmp_path / "file") == saved
    assert snapshots.snapshots() == (saved,)
    snapshots.check(saved)
    (taken,) = box.boxes()
    taken.check()
    assert keeping.box_of(saved) == taken
    assert keeping.take_in(tmp_path / "file") == saved  # again is no mistake
    assert len(box.boxes()) == 1


def test_one_of_another_kind_of_host_is_not_taken_in(
    world: World, saver: FakeSaver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labctl.steps.box.boxes", REAL_BOXES)
    world.provider.saver = saver
    keeping.export(matching(saver, box=on(built())), tmp_path / "file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    saver.host["libvirt"] = "other"
    with pytest.raises(SnapshotError, match="another kind of host"):
        keeping.take_in(tmp_path / "file")
    assert snapshots.snapshots() == ()
    assert box.boxes() == ()


def test_a_snapshot_whose_box_is_gone_or_is_nobodys_cannot_travel(saver: FakeSaver, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"the box of the snapshot \w+ is gone"):
        keeping.export(matching(saver), tmp_path / "file")
    public = SavedBox(name="debian/bookworm64", vagrant_name="debian/bookworm64")
    assert keeping.box_of(matching(saver, box=public)) is None
    with pytest.raises(SnapshotError, match="cannot be exported") as refused:
        keeping.export(matching(saver, box=public), tmp_path / "file")
    assert "debian/bookworm64" in refused.value.why
    assert not (tmp_path / "file").exists()


# What is no longer needed

REAL_BOXES = box.boxes


@pytest.fixture
def much(world: World, saver: FakeSaver, monkeypatch: pytest.MonkeyPatch) -> FakeSaver:
    """A cache in which much has gathered, and a lab that was made from one of the snapshots."""
    monkeypatch.setattr("labctl.steps.box.boxes", REAL_BOXES)
    world.provider.saver = None
    up(world)
    lab(world).files.note(snapshot="needed", image={"name": built(version="ofalab", age=90).vagrant_name})
    under = built(version="undera", age=90)
    built(version="unused", age=90)
    built(version="recent", age=1)
    built(age=90)  # the current one
    for id_, label, age in (("old", "", 90), ("needed", "", 90), ("named", "mine", 90), ("new", "", 1)):
        a_snapshot(id_, label=label, created=time.time() - age * DAY, box=on(under))
    (snapshots.store() / "new-dead").mkdir()
    saver.pool = {f"labctl-snapshot-{id_}_head.img": b"" for id_ in ("old", "needed", "named", "new")}
    world.provider.saver = saver
    return saver


def kept() -> tuple[set[str], set[str]]:
    """Snapshots, and versions of boxes but for the current one."""
    current = recipe("debian-12").key
    return {one.id for one in snapshots.snapshots()}, {one.version for one in box.boxes()} - {current}


def test_what_is_needed_named_or_was_used_of_late_is_kept(much: FakeSaver) -> None:
    unused = next(one for one in box.boxes() if one.version == "unused")
    old = snapshots.get("old")
    assert old is not None
    removed = keeping.prune(14, dry_run=False)
    assert {(one.what, one.bytes) for one in removed} == {
        ("the snapshot old of full", old.stored),
        ("the box debian-12 unused", unused.size_bytes),
    }
    assert kept() == ({"needed", "named", "new"}, {"ofalab", "undera", "recent"})
    assert box.current("debian-12") is not None
    assert set(much.pool) == {f"labctl-snapshot-{id_}_head.img" for id_ in ("needed", "named", "new")}
    assert f"{unused.vagrant_name}_" in much.did("unstage")
    assert not (snapshots.store() / "new-dead").exists()
    assert keeping.prune(14, dry_run=False) == []


def test_machines_to_copy_go_like_snapshots_and_keep_their_box_until_then(much: FakeSaver) -> None:
    under = next(one for one in box.boxes() if one.version == "unused")
    seed = a_snapshot("seedling", lab="", created=time.time() - 1 * DAY, box=on(under))
    much.pool[seed.volume("seed")] = b""
    assert keeping.prune(14, dry_run=False)[0].what == "the snapshot old of full"
    assert snapshots.get("seedling") == seed
    assert seed.volume("seed") in much.pool
    assert "unused" in kept()[1]
    (seed.path / "used").touch()
    os.utime(seed.path / "used", (time.time() - 90 * DAY,) * 2)
    assert {(one.what, one.bytes) for one in keeping.prune(14, dry_run=False)} == {
        (f"the snapshot seedling of a machine to copy, on the box {under.vagrant_name}", seed.stored),
        ("the box debian-12 unused", under.size_bytes),
    }
    assert snapshots.get("seedling") is None
    assert seed.volume("seed") not in much.pool


@pytest.mark.usefixtures("much")
def test_zero_days_keep_what_is_needed_or_named() -> None:
    keeping.prune(0, dry_run=False)
    assert kept() == ({"needed", "named"}, {"ofalab", "undera"})


def test_boxes_of_other_caches_go_from_the_pool_once_nobody_needs_them(much: FakeSaver) -> None:
    own, now = box.boxes()[0].vagrant_name, time.time()
    ages = {own: 90.0, "labctl-a": 90.0, "labctl-b": 1.0}
    much.boxes = {name: StagedBox(7, now - age * DAY) for name, age in ages.items()}
    gone = {one.what for one in keeping.prune(14, dry_run=False)}
    assert {what for what in gone if "cache" in what} == {
        "the box labctl-a of another cache from libvirt's pool"
    }
    assert "labctl-a_" in much.did("unstage")
    much.boxes = {"labctl-b": StagedBox(7, now - 1 * DAY), "labctl-now": StagedBox(7, now)}
    (gone_too,) = [one for one in keeping.prune(0, dry_run=True) if "cache" in one.what]
    assert (gone_too.what.split()[2], gone_too.bytes) == (
        "labctl-b",
        7,
    )  # the other one has just been handed over


def test_a_dry_run_says_the_same_and_does_nothing(much: FakeSaver) -> None:
    before, disks = kept(), dict(much.pool)
    said = keeping.prune(14, dry_run=True)
    assert len(said) == 2
    assert kept() == before
    assert much.pool == disks
    assert (snapshots.store() / "new-dead").exists()
    assert keeping.prune(14, dry_run=False) == said


def test_a_box_goes_with_the_last_snapshot_that_stands_on_it(world: World, much: FakeSaver) -> None:
    world.provider.saver = None
    for one in snapshots.snapshots():
        snapshots.remove(one)
    keeping.prune(14, dry_run=False)
    assert kept() == (set(), {"ofalab", "recent"})
    assert much.did("unstage") == []


@pytest.mark.usefixtures("much")
def test_a_box_that_labctl_has_no_recipe_for_any_more_goes_as_well() -> None:
    built("debian-9", version="ancient", age=90)
    keeping.prune(14, dry_run=False)
    assert "debian-9" not in {one.name for one in box.boxes()}


def test_disks_that_a_machine_stands_on_stay_when_their_snapshot_goes(saver: FakeSaver) -> None:
    saved = a_snapshot()
    saver.pool = {saved.volume("head"): b"", saved.volume("cpu-0"): b""}
    saver.below = {("full", "head"): saved.volume("head")}
    keeper(saver).remove(saved)
    assert snapshots.snapshots() == ()
    assert len(saver.pool) == 2


@pytest.mark.usefixtures("much")
def test_a_box_stays_where_there_may_be_snapshots_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LABCTL_SNAPSHOTS", str(tmp_path / "a-ci's-own"))
    before = {one.version for one in box.boxes()}
    keeping.prune(0, dry_run=False)
    assert {one.version for one in box.boxes()} == before
