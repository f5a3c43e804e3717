"""`snapshot`, `reset` and `prune`: what they ask for and what they say."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_lab import Cli, FakeLab
from saved_labs import a_snapshot

from labctl import keeping, snapshots
from labctl.errors import SnapshotError
from labctl.keeping import Removed

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _a_cache_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_SNAPSHOTS", str(tmp_path / "snapshots"))
    monkeypatch.setattr("labctl.providers.choose", lambda _: SimpleNamespace(saver=None))


def test_save_says_what_it_takes_and_how_long_the_lab_stood_still(cli: Cli, lab: FakeLab) -> None:
    lab.saved = a_snapshot(label="mine")
    run = cli("snapshot", "save", "mine", "--name", "full")
    assert (run.code, run.out) == (0, "saved mine: 14 KiB; the lab stood still for 1.3 s\n")
    assert lab.calls == ["find full", "save mine"]
    facts = json.loads(cli("snapshot", "save", "mine", "--json").out)
    assert (facts["name"], facts["lab"], facts["paused_seconds"]) == ("mine", "full", 1.26)
    assert facts["nodes"] == ["head", "cpu-0"]


def test_restore_finds_the_lab_by_the_snapshot(cli: Cli, lab: FakeLab, work: Path) -> None:
    a_snapshot("ab12", label="clean")
    run = cli("snapshot", "restore", "clean")
    assert (run.code, run.out) == (0, "full is as it was when clean was saved\n")
    assert lab.calls == ["of ab12", "restore ab12"]
    assert lab.base == work
    cli("snapshot", "restore", "ab", "--name", "full")
    assert lab.calls[2:] == ["of ab12", "restore ab12"]


@pytest.mark.parametrize("verb", ["restore", "rm", "export"])
def test_what_is_not_there_is_refused_with_what_is(cli: Cli, lab: FakeLab, tmp_path: Path, verb: str) -> None:
    a_snapshot("ab12", label="clean")
    words = [str(tmp_path / "file")] if verb == "export" else []
    run = cli("snapshot", verb, "dirty", *words)
    assert run.code == 2
    assert "there is no snapshot dirty" in run.err
    assert "there are: clean" in run.err
    assert cli("snapshot", verb, "clean", *words, "--name", "other").code == 2
    assert lab.calls == []
    assert len(snapshots.snapshots()) == 1


def test_list_shows_the_newest_first_and_what_they_take(cli: Cli) -> None:
    assert cli("snapshot", "list").out.startswith("no snapshots; ")
    assert json.loads(cli("snapshot", "list", "--json").out) == []
    a_snapshot("ab12", created=86400.0 * 365, nodes={"head": bytes(5 * MIB), "cpu-0": bytes(3 * MIB)})
    a_snapshot("cd34", label="clean", lab="play", created=86400.0 * 366)
    head, first, second, total = cli("snapshot", "list").out.splitlines()
    assert head.split() == ["ID", "LAB", "NAME", "NODES", "MEMORY", "ON", "DISK", "CREATED", "LAST", "USED"]
    assert first.split()[:6] == ["cd34", "play", "clean", "2", "0", "KiB"]
    assert second.split()[:7] == ["ab12", "full", "(by", "up)", "2", "8", "MiB"]
    assert second.count("1971-01-01") == 2
    assert total == "28 KiB in all"
    facts = json.loads(cli("snapshot", "list", "--json", "--name", "play").out)
    assert [(one["id"], one["name"], one["lab"]) for one in facts] == [("cd34", "clean", "play")]
    assert "ab12" not in cli("snapshot", "list", "--name", "play").out


def test_rm_removes_one(cli: Cli) -> None:
    a_snapshot("ab12", label="clean")
    a_snapshot("cd34")
    assert cli("snapshot", "rm", "clean").out == "removed clean of full: 14 KiB\n"
    assert [one.id for one in snapshots.snapshots()] == ["cd34"]


def test_export_warns_of_the_secrets(
    cli: Cli, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, asked = a_snapshot("ab12", label="clean"), []
    monkeypatch.setattr(keeping, "export", lambda *words: asked.append(words) or 3 * 1024 * MIB)
    run = cli("snapshot", "export", "clean", "a.snapshot")
    assert run.out == "a.snapshot: 3.0 GiB; it has the lab's secrets in it\n"
    assert asked == [(saved, work / "a.snapshot")]
    assert cli("snapshot", "export", "clean", str(tmp_path)).code == 2  # a folder


def test_import_says_what_to_do_with_it(cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("snapshot", "import", "a.snapshot").code == 2  # there is no such file
    (work / "a.snapshot").write_text("exported")
    asked: list[Path] = []
    monkeypatch.setattr(
        keeping, "take_in", lambda file: asked.append(file) or a_snapshot("ab12", label="clean")
    )
    run = cli("snapshot", "import", "a.snapshot")
    assert run.out == "ab12 of the lab full; labctl snapshot restore clean brings it up\n"
    assert asked == [work / "a.snapshot"]
    assert json.loads(cli("snapshot", "import", "a.snapshot", "--json").out)["id"] == "ab12"


def test_a_snapshot_that_cannot_be_used_is_an_error_of_its_own(cli: Cli, lab: FakeLab) -> None:
    a_snapshot("ab12", label="clean")
    lab.failure = SnapshotError(
        "the snapshot clean is damaged", why="head.memory.zst", hint="labctl snapshot rm ab12"
    )
    for words in (("snapshot", "restore", "clean"), ("snapshot", "save", "x"), ("reset",)):
        run = cli(*words)
        assert (run.code, run.out) == (9, "")
        assert "error: the snapshot clean is damaged" in run.err
        assert "labctl snapshot rm ab12" in run.err


def test_reset_says_where_the_lab_is_now(cli: Cli, lab: FakeLab) -> None:
    lab.saved = a_snapshot(label="clean")
    assert cli("reset").out == "full is as it was when clean was saved\n"
    assert lab.calls == ["find None", "reset"]
    cli("reset", "play")
    cli("reset", "--name", "play")
    assert lab.calls[2:] == ["find play", "reset"] * 2


def test_prune_says_what_went(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = [Removed("the snapshot ab12 of full", 300 * MIB), Removed("the box debian-12 abc", 1024 * MIB)]
    asked: list[tuple[float, bool]] = []

    def prune(days: float, *, dry_run: bool) -> list[Removed]:
        asked.append((days, dry_run))
        return gone

    monkeypatch.setattr(keeping, "prune", prune)
    assert cli("prune").out.splitlines() == [
        "removed the snapshot ab12 of full: 300 MiB",
        "removed the box debian-12 abc: 1.0 GiB",
        "1.3 GiB in all",
    ]
    assert cli("prune", "--dry-run", "--days", "0").out.startswith("would remove the snapshot ab12")
    facts = json.loads(cli("prune", "--json").out)
    assert facts[0] == {"what": "the snapshot ab12 of full", "bytes": 300 * MIB}
    assert asked == [(14.0, False), (0.0, True), (14.0, False)]
    assert cli("prune", "--days", "-1").code == 2
    gone.clear()
    assert cli("prune").out == "nothing to remove\n"
    assert json.loads(cli("prune", "--json").out) == []


def test_prune_removes_what_nobody_needs(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keeping, "summaries", lambda: ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    a_snapshot("old", created=time.time() - 20 * 86400)
    a_snapshot("new", created=time.time())
    assert cli("prune").out.startswith("removed the snapshot old of full: ")
    assert [one.id for one in snapshots.snapshots()] == ["new"]
