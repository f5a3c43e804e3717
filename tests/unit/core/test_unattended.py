"""An `up` that nobody watches: its deadline, what a failure leaves, and the file that has the lab between runs."""

from __future__ import annotations

import signal
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from savers import FakeSaver
from small_lab import FROM_NOTHING, lab, small, up
from worlds import Notes, World

from labctl import keeping, snapshots
from labctl.errors import ConvergeError, DeadlineError, HostError, LabError
from labctl.reach import collecting
from labctl.unattended import unattended

RESTORED = ["require", "stage", "connect small", "await head cpu-0 cpu-1", "verify restored"]


def takes_too_long(world: World, notes: Notes, wait: Callable[[], object]) -> DeadlineError:
    with (
        pytest.raises(DeadlineError, match=r"small was not up within 0\.1 s") as caught,
        unattended(lab(world), notes, timeout=0.1),
    ):
        wait()
    return caught.value


# The deadline


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["in front", "behind"])
def test_what_takes_too_long_is_interrupted(world: World, notes: Notes, handler: Any) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        error = takes_too_long(world, notes, lambda: threading.Event().wait(600))
    finally:
        signal.signal(signal.SIGINT, before)
    assert "--timeout" in error.hint
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_step_that_takes_an_interrupt_its_own_way_is_told_in_that_way(world: World, notes: Notes) -> None:
    told = threading.Event()

    def converge() -> None:
        """Ends Ansible first."""
        assert told.wait(600)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, lambda *_: told.set())
    try:
        takes_too_long(world, notes, converge)
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_no_deadline(world: World, notes: Notes) -> None:
    with pytest.raises(KeyboardInterrupt), unattended(lab(world), notes, timeout=600):
        raise KeyboardInterrupt
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


# What it leaves when it fails


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that know but one thing, which is asked here."""
    monkeypatch.setattr(collecting, "QUESTIONS", {"uptime.txt": "echo up"})
    monkeypatch.setattr(collecting, "FILES", ("/nonexistent",))
    monkeypatch.setattr(
        "labctl.lab.Lab.root_command", lambda _, __, script, *words: ["sh", "-c", script, "sh", *words]
    )


@pytest.mark.usefixtures("answers")
def test_what_fails_leaves_what_the_lab_can_tell(world: World, notes: Notes, tmp_path: Path) -> None:
    world.failing("converge", ConvergeError("a task failed", hint="mend it"))
    with (
        pytest.raises(ConvergeError) as caught,
        unattended(lab(world), notes, logs=tmp_path / "new" / "logs"),
    ):
        lab(world).up(notes)
    archive = tmp_path / "new/logs/labctl-small.tar.gz"
    assert caught.value.hint == f"mend it\nall that the lab can tell is in {archive}"
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert {"labctl-small/lab/lab.yml", "labctl-small/nodes/cpu-0/uptime.txt"} <= set(names)


def test_what_is_refused_leaves_nothing(world: World, notes: Notes, tmp_path: Path) -> None:
    world.failing("require", HostError("no memory"))
    with pytest.raises(HostError) as caught, unattended(lab(world), notes, logs=tmp_path / "logs"):
        lab(world).up(notes)
    assert (caught.value.hint, list(tmp_path.glob("logs"))) == ("", [])


def test_what_cannot_be_collected_hides_no_failure(world: World, notes: Notes, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    world.failing("converge", ConvergeError("a task failed"))
    with pytest.raises(ConvergeError) as caught, unattended(lab(world), notes, logs=tmp_path / "logs"):
        lab(world).up(notes)
    assert "its logs could not be collected" in caught.value.hint


# The file that has the lab between runs


@pytest.fixture
def saver(world: World, tmp_path: Path) -> FakeSaver:
    """The world's provider can save machines, and its box can be exported."""
    (tmp_path / "box").mkdir()
    world.provider.saver = made = FakeSaver(world.provider.machines)
    return made


@pytest.fixture
def run(world: World, saver: FakeSaver, notes: Notes, tmp_path: Path) -> Callable[[], list[str]]:  # noqa: ARG001
    """Bring the lab up as on a host that knows nothing but the file; what was done."""

    def up_from_file() -> list[str]:
        lab(world).destroy(notes)
        for one in snapshots.snapshots():
            keeping.here().remove(one)
        world.taken()
        with unattended(lab(world), notes, cache=tmp_path / "cache" / "lab.snapshot"):
            lab(world).up(notes)
        return world.taken()

    return up_from_file


def test_a_lab_comes_from_the_file_if_it_is_there_and_goes_there_if_not(
    run: Callable[[], list[str]], notes: Notes, tmp_path: Path
) -> None:
    file = tmp_path / "cache/lab.snapshot"
    assert run() == FROM_NOTHING
    assert notes.notes == []
    written = file.read_bytes()
    assert run() == RESTORED
    assert file.read_bytes() == written


def test_a_file_that_is_of_no_use_is_named_and_replaced(
    run: Callable[[], list[str]], notes: Notes, tmp_path: Path
) -> None:
    run()
    file = tmp_path / "cache/lab.snapshot"
    file.write_bytes(b"something else")
    notes.notes.clear()
    assert run() == FROM_NOTHING
    assert f"so {file} is of no use here" in notes.notes[0]
    assert run() == RESTORED


@pytest.mark.usefixtures("saver")
def test_a_lab_that_is_up_already_is_left_alone_and_gets_its_file(
    world: World, notes: Notes, tmp_path: Path
) -> None:
    up(world)
    with unattended(lab(world), notes, cache=tmp_path / "lab.snapshot"):
        assert not lab(world).up(notes).changed
    assert (tmp_path / "lab.snapshot").is_file()
    assert len(snapshots.snapshots()) == 1


def test_no_file_can_be_written_and_the_lab_is_up(
    world: World, saver: FakeSaver, notes: Notes, tmp_path: Path  # noqa: ARG001
) -> None:  # fmt: skip
    (tmp_path / "file").write_text("")
    with unattended(lab(world), notes, cache=tmp_path / "file" / "lab.snapshot"):
        lab(world).up(notes)
    assert "the next run builds small" in notes.notes[-1]


# What a cache calls it


def test_the_key_tells_labs_and_hosts_apart_and_says_what_is_here(
    world: World, saver: FakeSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lab(world).snapshot_key()
    assert (lab(world).snapshot_key(), first.snapshot) == (first, "")
    assert lab(world, small("nodes.head.memory=1000")).snapshot_key().key != first.key
    up(world)
    assert lab(world).snapshot_key() == keeping.SnapshotKey(first.key, snapshots.snapshots()[0].id)
    monkeypatch.setattr(type(saver), "facts", lambda _: {"qemu": "8000000"})
    assert lab(world).snapshot_key().key != first.key
    assert not lab(world).snapshot_key().snapshot


def test_where_machines_cannot_be_saved_there_is_no_key(world: World) -> None:
    with pytest.raises(LabError, match="cannot save machines"):
        lab(world).snapshot_key()
