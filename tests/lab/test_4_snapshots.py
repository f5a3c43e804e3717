"""Snapshots of a small lab, with nothing beside it: a save or a restore is killed, one is damaged, one carried off."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import STAGED, Said, User, World
from saved import drafts, snapshots, steps, tell

from labctl import scratch

SMALL = "side"  # test_3_side_by_side has built and saved it already


@pytest.fixture(scope="module")
def small(user: User) -> Iterator[User]:
    user.ok("up", "gpu", "--name", SMALL)
    yield user
    user("destroy", SMALL)
    for one in snapshots(user, SMALL).values():
        user("snapshot", "rm", str(one["id"]))


def healthy(user: User) -> None:
    assert user.ok("status", "--name", SMALL, "--json").json()["problems"] == []
    user.ok("verify", "--quick", "--name", SMALL)


@pytest.mark.parametrize("moment", ["saving its memory", "stood still for"])
def test_a_save_that_is_killed_leaves_a_lab_that_up_and_prune_put_right(small: User, moment: str) -> None:
    _killed(small, ("snapshot", "save", "dead", "--name", SMALL), moment)
    if moment == "stood still for" and "dead" in snapshots(small, SMALL):  # a moment later all of it is there
        small.ok("snapshot", "restore", "dead")
        small.ok("snapshot", "rm", "dead")
    assert "dead" not in snapshots(small, SMALL)
    small.ok("up", "gpu", "--name", SMALL)
    small.ok("prune")
    assert not drafts(small)
    healthy(small)


def test_an_interrupted_save_lets_the_lab_go_on(small: User) -> None:
    said = _killed(small, ("snapshot", "save", "cut", "--name", SMALL), "saving its memory", signal.SIGINT)
    assert said.code == 130
    assert "cut" not in snapshots(small, SMALL)
    assert not drafts(small)
    healthy(small)


@pytest.mark.parametrize("after", [0.0, 0.4, 0.8])
def test_a_restore_that_is_killed_is_done_again_by_up(small: User, after: float) -> None:
    _killed(small, ("reset", SMALL), "brought back", after=after)
    small.ok("up", "gpu", "--name", SMALL)
    healthy(small)


def test_a_restore_that_is_killed_can_be_destroyed(small: User) -> None:
    _killed(small, ("reset", SMALL), "brought back", after=0.3)
    small.ok("destroy", SMALL)
    left = World.now()
    for kind in (left.domains, left.networks, left.volumes, left.leases):
        assert not [name for name in kind if f"_{SMALL}_" in name]
    assert not list(scratch.place().glob(f"{SMALL}.*"))
    small.ok("up", "gpu", "--name", SMALL)


def test_a_snapshot_goes_through_a_file_to_another_cache(small: User, tmp_path: Path) -> None:
    tell(small, SMALL, "all", "echo here > /root/here")
    small.ok("snapshot", "save", "travels", "--name", SMALL)
    file = tmp_path / "travels.snapshot"
    small.ok("snapshot", "export", "travels", str(file), "--name", SMALL)
    assert file.stat().st_mode & 0o077 == 0
    small.ok("destroy", SMALL)
    other = User(small.home, {"LABCTL_SNAPSHOTS": str(tmp_path / "other")})
    other.ok("snapshot", "import", str(file))
    other.ok("snapshot", "restore", "travels")
    assert "here" in tell(other, SMALL, "all", "cat", "/root/here")
    healthy(other)
    other.ok("snapshot", "rm", "travels")
    small.ok("snapshot", "rm", "travels")


def test_a_snapshot_that_is_cut_short_is_refused_before_anything_is_touched(small: User) -> None:
    saved = snapshots(small, SMALL)[""]
    memory = _memory(saved)
    whole = memory.read_bytes()
    memory.write_bytes(whole[: len(whole) // 2])
    refused = small("snapshot", "restore", str(saved["id"]))
    memory.write_bytes(whole)
    assert refused.code == 9
    assert "damaged" in refused.err
    assert memory.name in refused.err
    healthy(small)


def test_a_snapshot_with_a_bit_turned_is_said_so_and_the_lab_is_built(small: User) -> None:
    memory = _memory(snapshots(small, SMALL)[""])
    small.ok("destroy", SMALL)
    with memory.open("r+b") as stream:
        stream.seek(memory.stat().st_size // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))
    said = small.ok("up", "gpu", "--name", SMALL)
    assert "damaged" in said.err
    assert memory.name in said.err
    assert "converge" in steps(small, SMALL)
    assert not memory.exists()  # it is of no use to anybody
    small.ok("destroy", SMALL)
    assert "damaged" not in small.ok("up", "gpu", "--name", SMALL).err  # it was saved anew
    assert "restore" in steps(small, SMALL)


def _memory(saved: dict[str, object]) -> Path:
    """The file with what was in the machine's memory."""
    return next(Path(str(saved["path"])).glob("*.memory.zst"))


def test_a_snapshot_of_another_kind_of_host_is_not_used(small: User) -> None:
    saved = snapshots(small, SMALL)[""]
    manifest = Path(str(saved["path"])) / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["host"]["qemu"] = "1"
    manifest.write_text(json.dumps(facts))
    refused = small("snapshot", "restore", str(saved["id"]))
    assert refused.code == 9
    assert "another kind of host" in refused.err
    healthy(small)  # nothing was touched


def test_after_a_reboot_the_cluster_comes_back(small: User) -> None:
    """Several machines that boot at once are in test_6_testing."""
    small.ok("verify", "--disruptive", "-k", "reboot", "--name", SMALL)
    assert small.ok("status", "--name", SMALL, "--json").json()["problems"] == []


def test_what_nobody_needs_is_pruned(small: User) -> None:
    small.ok("destroy", SMALL)
    gone = small.ok("prune", "--days", "0", "--json").json()
    assert any(SMALL in one["what"] for one in gone)
    assert "" not in snapshots(small, SMALL)
    assert not [name for name in World.now().volumes if name.startswith(STAGED) and SMALL in name]


def _killed(
    user: User, words: tuple[str, ...], moment: str, number: int = signal.SIGKILL, *, after: float = 0.0
) -> Said:
    """A command that is sent a signal some seconds after it has said these words."""
    busy = user.start(*words)
    assert busy.stdout is not None
    said = ""
    for line in busy.stdout:
        said += line
        if moment in line:
            break
    assert moment in said, said
    time.sleep(after)
    os.kill(busy.pid, number)
    rest, _ = busy.communicate(timeout=120)
    return Said(busy.returncode, said + rest, "")
