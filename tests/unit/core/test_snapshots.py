"""Snapshots on the disk: each whole or not there at all, and found out if it is not what was saved."""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from saved_labs import a_snapshot

from labctl import packing, snapshots
from labctl.errors import LockedError, SnapshotError, UsageError


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def flip(path: Path, offset: int = -6) -> None:
    """One bit of a file is another, and the file has been written."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def rot(path: Path, offset: int = -1) -> None:
    """One bit of a file is another, and nobody has written it, as far as its times tell."""
    facts = path.stat()
    flip(path, offset)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


# Where they are


def test_they_are_in_the_cache_or_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert snapshots.store() == tmp_path / "cache" / "labctl" / "snapshots"
    monkeypatch.setenv("LABCTL_SNAPSHOTS", "here")
    assert snapshots.store() == Path.cwd() / "here"


def test_nobody_else_can_look_into_them() -> None:
    saved = a_snapshot()
    assert mode(snapshots.store()) == 0o700
    assert mode(saved.path) == 0o700
    assert {mode(path) for path in saved.path.iterdir()} == {0o600}


def test_they_are_listed_the_newest_first_without_what_is_none() -> None:
    old, new = a_snapshot("1", created=1.0), a_snapshot("2", created=2.0)
    assert snapshots.snapshots() == (new, old)
    (old.path / "manifest.json").write_text("{")
    assert snapshots.snapshots() == (new,)
    assert snapshots.get("1") is None
    assert snapshots.get("2") == new
    assert snapshots.get("") is None
    assert snapshots.get("3") is None


def test_one_whose_making_was_cut_off_at_the_last_moment_is_none() -> None:
    made = a_snapshot("1")
    made.path.rename(made.path.with_name("new-1"))
    assert snapshots.snapshots() == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(format=0),
        lambda facts: facts.update(id="../x"),
        lambda facts: facts.update(lab="../../etc"),
        lambda facts: facts.update(lab=".."),
        lambda facts: facts["files"].update(file="../lab.tar"),
        lambda facts: facts["nodes"]["head"]["disk"].update(file="/etc/passwd"),
        lambda facts: facts["nodes"].update({"../head": facts["nodes"]["head"]}),
    ],
    ids=["format", "id", "lab", "the folder above", "file", "absolute file", "node"],
)
def test_a_manifest_that_leads_out_of_its_folder_or_is_of_another_format_is_none(
    change: Callable[[dict[str, object]], None],
) -> None:
    saved = a_snapshot()
    manifest = saved.path / "manifest.json"
    facts = json.loads(manifest.read_text())
    change(facts)
    manifest.write_text(json.dumps(facts))
    assert snapshots.snapshots() == ()


def test_machines_to_copy_are_among_them_for_those_alone_who_ask_for_them() -> None:
    mine, seed = a_snapshot("ab12", created=1.0), a_snapshot("ab34", created=2.0, lab="", key="seed-1")
    assert snapshots.snapshots() == (mine,)
    assert snapshots.everything() == (seed, mine)
    assert snapshots.of_key("seed-1") == (seed,)
    assert snapshots.named("", "ab") == mine
    with pytest.raises(UsageError, match="no snapshot ab34"):
        snapshots.named("", "ab34")


# Their names


def test_one_is_named_by_its_label_its_id_or_the_beginning_of_that() -> None:
    first, second = a_snapshot("ab12", label="clean"), a_snapshot("cd34")
    assert snapshots.named("", "clean") == first
    assert snapshots.named("full", "ab") == first
    assert snapshots.named("full", "cd34") == second
    assert (first.name, second.name) == ("clean", "cd34")


def test_a_label_goes_before_the_beginning_of_an_id() -> None:
    labelled = a_snapshot("1234", label="ab")
    a_snapshot("ab12")
    assert snapshots.named("", "ab") == labelled


def test_a_name_that_could_be_two_is_refused_with_both() -> None:
    a_snapshot("a1", label="clean", lab="full")
    a_snapshot("a2", label="clean", lab="play")
    with pytest.raises(UsageError, match="which snapshot clean") as refused:
        snapshots.named("", "clean")
    assert "a1 of full" in refused.value.why
    assert "a2 of play" in refused.value.why
    assert snapshots.named("play", "clean").id == "a2"


def test_a_name_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="no snapshot x of the lab full") as refused:
        snapshots.named("full", "x")
    assert "labctl snapshot save" in refused.value.hint
    a_snapshot("a1", label="clean")
    a_snapshot("b2", lab="play")
    with pytest.raises(UsageError) as refused:
        snapshots.named("full", "x")
    assert refused.value.hint == "there are: clean"
    with pytest.raises(UsageError, match="there is no snapshot"):
        snapshots.named("", "")


def test_those_that_up_took_of_a_key_are_found_and_no_other() -> None:
    a_snapshot("1", label="mine")
    a_snapshot("2", key="other")
    new, old = a_snapshot("3", created=9.0), a_snapshot("4", created=8.0)
    assert snapshots.of_key("k") == (new, old)


# Whether one is what was saved


def test_what_was_saved_is_all_right_and_read_but_once(monkeypatch: pytest.MonkeyPatch) -> None:
    saved, read = a_snapshot(), []
    real = packing._sha256
    monkeypatch.setattr(packing, "_sha256", lambda path: read.append(path.name) or real(path))
    snapshots.check(saved)
    assert sorted(read) == sorted(piece.file for piece in saved.pieces)
    read.clear()
    snapshots.check(saved)
    assert read == []
    (saved.path / "head.memory.zst").touch()
    snapshots.check(saved)
    assert "head.memory.zst" in read


@pytest.mark.parametrize("checked", [False, True], ids=["never checked", "checked before"])
@pytest.mark.parametrize("name", ["lab.tar", "head.memory.zst", "cpu-0.disk.zst"])
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: os.truncate(path, path.stat().st_size - 1), "bytes and not"),
        (flip, "is not the file that was saved"),
        (rot, "is not the file that was saved"),
    ],
    ids=["missing", "cut short", "a bit flipped", "a bit flipped and the time set back"],
)
def test_damage_is_found_and_said_where(
    name: str, damage: Callable[[Path], None], why: str, *, checked: bool
) -> None:
    saved = a_snapshot()
    if checked:
        snapshots.check(saved)
    damage(saved.path / name)
    for _ in range(2):
        with pytest.raises(SnapshotError, match="the snapshot abc1 is damaged") as found:
            snapshots.check(saved)
        assert name in found.value.why
        assert why in found.value.why
        assert found.value.hint == "labctl snapshot rm abc1"


# Whole or not there


def test_a_snapshot_is_there_once_it_is_whole() -> None:
    with snapshots.draft("abc") as work:
        (work / "file").write_text("content")
        assert not (snapshots.store() / "abc").exists()
    assert names(snapshots.store()) == {"abc"}
    assert names(snapshots.store() / "abc") == {"file"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_of_one_that_was_not_finished_nothing_is_left(error: type[BaseException]) -> None:
    def half() -> None:
        with snapshots.draft("abc") as work:
            (work / "file").write_text("content")
            raise error

    before = a_snapshot("abc")
    with pytest.raises(error):
        half()
    assert names(snapshots.store()) == {"abc"}
    assert snapshots.snapshots() == (before,)
    snapshots.check(before)


def test_one_that_cannot_be_written_is_an_error_that_says_why() -> None:
    with pytest.raises(SnapshotError, match="cannot be written") as failed, snapshots.draft("1"):
        raise OSError(28, "No space left on device")
    assert "No space left on device" in failed.value.why
    assert names(snapshots.store()) == set()


def test_two_do_not_make_the_same_one_at_once() -> None:
    with (
        snapshots.draft("abc") as work,
        pytest.raises(LockedError, match="the snapshot abc"),
        snapshots.draft("abc"),
    ):
        pass
    assert not work.exists()
    assert names(snapshots.store()) == {"abc"}


def test_what_a_killed_save_has_left_is_swept_away_and_one_that_is_made_is_not() -> None:
    kept = a_snapshot("abc")
    (snapshots.store() / "new-dead").mkdir()
    (snapshots.store() / "new-dead" / "head.memory").write_text("half")
    with snapshots.draft("alive") as work:
        snapshots.sweep()
        assert work.is_dir()
        assert not (snapshots.store() / "new-dead").exists()
    assert names(snapshots.store()) == {"abc", "alive"}
    snapshots.check(kept)


def test_one_that_is_removed_is_gone() -> None:
    a_snapshot("1")
    snapshots.remove(a_snapshot("2"))
    assert names(snapshots.store()) == {"1"}


# For another machine


def test_an_exported_one_is_the_same_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = a_snapshot(nodes={"head": os.urandom(70000)})
    snapshots.check(saved)
    saved.note_use()
    (tmp_path / "box.json").write_text("a box")
    target = tmp_path / "one.snapshot"
    assert snapshots.export(saved, target, {"box/box.json": tmp_path / "box.json"}) == target.stat().st_size
    assert mode(target) == 0o600
    monkeypatch.setenv("LABCTL_SNAPSHOTS", str(tmp_path / "elsewhere"))
    assert snapshots.snapshots() == ()
    with snapshots.exported(target) as (found, work):
        assert found == saved
        assert (work / "box" / "box.json").read_text() == "a box"
        snapshots.take_in(found, work / "snapshot")
    assert names(snapshots.store()) == {"abc1"}
    assert snapshots.snapshots() == (saved,)
    snapshots.check(saved)
    assert {mode(saved.path / piece.file) for piece in saved.pieces} == {0o600}
    assert saved.used == pytest.approx(time.time(), abs=60)


def test_a_damaged_one_is_neither_exported_nor_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, target = a_snapshot(), tmp_path / "one.snapshot"
    snapshots.export(saved, target, {})
    with tarfile.open(target) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    flip(tmp_path / "unpacked" / "snapshot" / "head.memory.zst")
    flip(saved.path / "head.memory.zst")
    with pytest.raises(SnapshotError, match="damaged"):
        snapshots.export(saved, tmp_path / "two.snapshot", {})
    assert not (tmp_path / "two.snapshot").exists()
    monkeypatch.setenv("LABCTL_SNAPSHOTS", str(tmp_path / "elsewhere"))
    with pytest.raises(SnapshotError, match="damaged"):
        snapshots.take_in(saved, tmp_path / "unpacked" / "snapshot")
    assert snapshots.snapshots() == ()


def test_a_file_that_cannot_be_written_is_said_and_not_there(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be written"):
        snapshots.export(a_snapshot(), tmp_path / "no folder" / "x", {})
    with pytest.raises(SnapshotError, match="cannot be written"):
        snapshots.export(a_snapshot(), tmp_path / "x", {"box/box": tmp_path / "missing"})
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(("x", ".new"))]


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(20000))


def an_empty_archive(path: Path) -> None:
    tarfile.open(path, "w").close()


def half_an_archive(path: Path) -> None:
    snapshots.export(a_snapshot(nodes={"head": os.urandom(200000)}), path, {})
    os.truncate(path, 100000)


def a_way_out(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("../../outside"))


def a_machine_to_copy(path: Path) -> None:
    """Any lab's machines would become what somebody else put into it."""
    snapshots.export(a_snapshot(lab=""), path, {})


@pytest.mark.parametrize("make", [garbage, an_empty_archive, half_an_archive, a_way_out, a_machine_to_copy])
def test_what_is_no_exported_snapshot_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "file")
    monkeypatch.setenv("LABCTL_SNAPSHOTS", str(tmp_path / "elsewhere"))
    with pytest.raises(SnapshotError, match="file"), snapshots.exported(tmp_path / "file"):
        pytest.fail("it was taken for one")
    assert names(tmp_path / "elsewhere") == set()
    assert not (tmp_path / "outside").exists()


# How long they are kept


def test_only_what_up_took_nobody_needs_and_nobody_used_of_late_is_unused() -> None:
    day = 86400
    for id_, label, age in (("old", "", 30), ("needed", "", 30), ("named", "mine", 30), ("new", "", 1)):
        a_snapshot(id_, label=label, created=time.time() - age * day)
    used = a_snapshot("used", created=time.time() - 30 * day)
    used.note_use()
    assert {one.id for one in snapshots.unused(14, ["needed"])} == {"old"}
    assert {one.id for one in snapshots.unused(0.5, ["needed"])} == {"old", "new"}


def test_two_saves_never_have_one_id() -> None:
    made = {snapshots.new_id(*parts) for parts in (("a", "b"), ("ab", ""), ("a", "b", ""), (1, "b"))}
    assert len(made) == 4
    assert all(one.isalnum() for one in made)


def test_what_a_list_says_of_one() -> None:
    saved = a_snapshot(label="mine")
    facts = snapshots.facts(saved)
    assert facts["nodes"] == ["head", "cpu-0"]
    assert facts["memory_bytes"] == len("of head" + "of cpu-0")
    assert facts["stored_bytes"] == sum(
        path.stat().st_size for path in saved.path.iterdir() if path.name != "manifest.json"
    )
    assert (facts["id"], facts["name"], facts["path"]) == ("abc1", "mine", str(saved.path))
