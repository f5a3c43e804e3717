"""What lives as long as a command is in a folder that is ours alone, and nothing of it stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labctl import scratch
from labctl.errors import HostError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, elsewhere."""
    where = tmp_path / "place"
    monkeypatch.setattr(scratch, "place", lambda: where)
    return where


def test_the_folder_of_shared_connections_is_ours_alone(place: Path) -> None:
    before = os.umask(0)
    try:
        scratch.folder()
        scratch.folder()
    finally:
        os.umask(before)
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_read_is_refused(place: Path) -> None:
    place.mkdir()
    place.chmod(0o755)
    with pytest.raises(HostError, match="is not yours alone") as refused:
        scratch.folder()
    assert refused.value.hint == f"rm -rf {place}"


def test_a_link_to_a_folder_of_ours_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "mine")
    with pytest.raises(HostError, match="is not yours alone"):
        scratch.folder()


def test_a_folder_of_somebody_else_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(HostError, match="is not yours alone"):
        scratch.folder()


def test_what_a_killed_command_left_is_cleared_away(place: Path) -> None:
    left = place / "full.pipes"
    left.mkdir(parents=True)
    (left / "cpu-0").touch()
    place.chmod(0o700)
    with scratch.scratch("full", "pipes") as path:
        assert path == left
        assert list(path.iterdir()) == []
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "cpu-1").touch()
    assert not left.exists()


def test_a_lab_that_is_no_more_leaves_nothing(place: Path) -> None:
    for name in ("full.pipes/x", "full.ansible/y", "full-2.pipes/z"):
        (place / name).mkdir(parents=True)
    scratch.forget("full")
    assert [path.name for path in place.iterdir()] == ["full-2.pipes"]
