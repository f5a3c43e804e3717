"""Saving and bringing back a whole lab: all machines or none, and every byte as it was."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from layouts import lay_out, network
from savers import FakeSaver, Machine, save_file
from small_lab import small

from labctl import packing, saved_machines, side_by_side, snapshots
from labctl.console import Step
from labctl.errors import BootError, SnapshotError
from labctl.providers.base import MachineState, MachineXml
from labctl.render.layout import Layout
from labctl.snapshots import Snapshot
from labctl.steps import snapshot
from labctl.steps.snapshot import Saved

NODES = ["cpu-0", "cpu-1", "head"]


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_machines, "_SLIM", 0.0)


@pytest.fixture
def saver() -> FakeSaver:
    states: dict[Machine, MachineState] = {("small", node): "running" for node in NODES}
    return FakeSaver(states)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    directory = tmp_path / ".labctl" / "small"
    (directory / ".vagrant").mkdir(parents=True)
    (directory / "logs").mkdir()
    for name in ("lab.yml", "secrets.yml", "record.json", "Vagrantfile"):
        (directory / name).write_text(name)
        (directory / name).chmod(0o600)
    return lay_out(small(), network("10.20.30.0/24", "lc-small"), directory=directory)


def save(saver: FakeSaver, layout: Layout, view: Step, id_: str = "abc", **changes: Any) -> Saved:
    words: dict[str, Any] = {"label": "", "key": "k", "secrets": "s", "host": {"driver": "qemu"}}
    return snapshot.save(saver, layout, view, id_=id_, **words | changes)


def running(saver: FakeSaver) -> bool:
    return set(saver.states.values()) == {"running"}


def left() -> list[str]:
    return [path.name for path in snapshots.store().iterdir()]


# Saving


def test_all_of_the_lab_is_saved_and_it_goes_on(saver: FakeSaver, layout: Layout, view: Step) -> None:
    saved = save(saver, layout, view, label="mine")
    assert running(saver)
    made = saved.snapshot
    assert snapshots.snapshots() == (made,)
    snapshots.check(made)
    assert (made.lab, made.label, made.key, made.secrets) == ("small", "mine", "k", "s")
    assert made.host == {"driver": "qemu"}
    assert (made.box.name, made.box.vagrant_name) == ("debian-12", "labctl-debian-12-abc")
    assert sorted(made.nodes) == NODES
    for node in NODES:
        memory, disk = saver.content("small", node)
        with_head = save_file(f"running small/{node}", memory)
        for piece, content in ((made.nodes[node].memory, with_head), (made.nodes[node].disk, disk)):
            with packing.unpacking(made.path / piece.file) as stream:
                assert stream.read() == content
    assert 0 < saved.paused < 60
    assert {line.state for line in view.nodes.values()} == {"ok"}


def test_nothing_but_what_is_needed_is_in_it(saver: FakeSaver, layout: Layout, view: Step) -> None:
    made = save(saver, layout, view).snapshot
    pieces = {piece.file for piece in made.pieces}
    assert {path.name for path in made.path.iterdir()} == {"manifest.json", "used", *pieces}
    again = layout.directory.parent / "again"
    again.mkdir()
    packing.untar(made.path / "lab.tar", again)
    assert {path.name for path in again.iterdir()} == {"lab.yml", "secrets.yml", "record.json", ".vagrant"}


def test_nobody_is_saved_before_everybody_stands_still(saver: FakeSaver, layout: Layout, view: Step) -> None:
    save(saver, layout, view)
    verbs = [call.partition(" ")[0] for call in saver.calls]
    assert verbs[:9] == ["slim"] * 3 + ["alone"] * 3 + ["pause"] * 3
    assert sorted(verbs[9:15]) == ["disk"] * 3 + ["memory"] * 3
    assert verbs[15:] == ["resume"] * 3


@pytest.mark.parametrize(
    "case", [((0.7, 1.2, 1.2), 1.3), ((0.0, 9.0, 9.0), 2.0), ((3.0, 4.0, 5.0), 0.0)], ids=str
)
def test_what_the_last_machine_has_not_waited_yet_is_waited(
    saver: FakeSaver,
    layout: Layout,
    view: Step,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[tuple[float, ...], float],
) -> None:
    slim_for, waited = case
    monkeypatch.setattr(saved_machines, "_SLIM", 2.5)
    naps: list[float] = []
    monkeypatch.setattr(saved_machines.time, "sleep", naps.append)
    clock = [0.0]
    monkeypatch.setattr(saved_machines.time, "monotonic", lambda: clock[0])
    # That disks come to stand alone takes time as well, in which nobody need wait.
    monkeypatch.setattr(saver, "stand_alone", lambda *_: clock.__setitem__(0, 0.5))
    saver.slim_for = dict(zip(NODES, slim_for, strict=True))
    save(saver, layout, view)
    assert naps == [pytest.approx(waited)]


@pytest.mark.parametrize(
    "error", [SnapshotError("no space"), KeyboardInterrupt()], ids=["fails", "interrupted"]
)
@pytest.mark.parametrize("verb", ["alone", "slim", "pause", "memory", "disk"])
def test_whatever_happens_every_machine_goes_on_and_nothing_is_left(
    saver: FakeSaver, layout: Layout, view: Step, verb: str, error: BaseException
) -> None:
    saver.failures[f"{verb} cpu-0"] = error
    with pytest.raises(type(error)):
        save(saver, layout, view)
    assert running(saver)
    assert left() == []


def test_one_machine_that_cannot_go_on_does_not_keep_the_others(
    saver: FakeSaver, layout: Layout, view: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver.failures["resume head"] = BootError("head is gone")
    real = saver.resume

    def slowly(lab: str, node: str) -> None:
        real(lab, node)
        time.sleep(0.05)

    monkeypatch.setattr(saver, "resume", slowly)
    # The others have not begun to go on when the first of them has failed.
    monkeypatch.setattr(side_by_side, "ThreadPoolExecutor", lambda max_workers: ThreadPoolExecutor(1))  # noqa: ARG005
    with pytest.raises(BootError, match="head is gone"):
        save(saver, layout, view)
    assert saver.did("resume") == NODES
    assert left() == []


@pytest.mark.parametrize(
    "error", [SnapshotError("no space"), KeyboardInterrupt()], ids=["fails", "interrupted"]
)
@pytest.mark.parametrize(("slow", "failing"), [("head", "cpu-1"), ("cpu-1", "head")])
def test_who_still_writes_when_another_has_failed_is_not_waited_for(
    saver: FakeSaver, layout: Layout, view: Step, *, slow: str, failing: str, error: BaseException
) -> None:
    saver.slow.add(slow)
    saver.failures[f"memory {failing}"] = error
    with pytest.raises(type(error)):
        save(saver, layout, view)
    assert slow in saver.did("abandon")
    assert running(saver)
    assert left() == []


# Bringing back


def contents(saver: FakeSaver) -> list[tuple[bytes, bytes]]:
    return [saver.content("small", node) for node in NODES]


@pytest.fixture
def saved(saver: FakeSaver, layout: Layout, view: Step) -> Snapshot:
    """A snapshot of a lab in which much has happened since."""
    made = save(saver, layout, view).snapshot
    saver.then = contents(saver)  # type: ignore[attr-defined]
    saver.memory, saver.disks = {}, {}
    saver.states["small", "cpu-1"] = "stopped"
    del saver.states["small", "head"]
    saver.calls.clear()
    return made


def as_it_was(saver: FakeSaver) -> bool:
    return running(saver) and contents(saver) == saver.then  # type: ignore[attr-defined]


def test_every_machine_is_as_it_was_to_the_last_byte(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot
) -> None:
    snapshot.restore(saver, saved, layout, view)
    assert as_it_was(saver)
    assert saver.did("off") == ["cpu-0", "cpu-1"]
    assert {line.text for line in view.nodes.values()} == {"as it was"}
    place = saver.places["head"]
    assert (place.lab, place.directory, place.network) == ("small", layout.directory, "lc-small")
    assert (place.kernel, place.initrd) == ("/pool/vmlinuz", "/pool/initrd")
    assert place.disk == "/pool/small_head.img"


def test_nobody_goes_on_before_everybody_is_back(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot
) -> None:
    saver.failures["bring cpu-1"] = SnapshotError("QEMU said no")
    with pytest.raises(SnapshotError, match="QEMU said no"):
        snapshot.restore(saver, saved, layout, view)
    assert saver.did("resume") == []


def test_a_disk_is_put_into_the_pool_once(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot
) -> None:
    for _ in range(2):
        snapshot.restore(saver, saved, layout, view)
    assert saver.did("stage") == [f"labctl-snapshot-abc_{node}.img" for node in NODES]
    assert as_it_was(saver)


def test_a_lab_that_was_brought_back_is_saved_whole(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot
) -> None:
    """Its disks then stand on the first snapshot's, which may be gone when the second is brought back."""
    snapshot.restore(saver, saved, layout, view)
    again = save(saver, layout, view, "def").snapshot
    saver.unstage(saved.volumes)
    saver.memory.clear()
    saver.disks.clear()
    snapshot.restore(saver, again, layout, view)
    assert as_it_was(saver)
    assert set(saver.pool) == {again.volume(node) for node in NODES}


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("offset", [200000, -1], ids=["in the middle", "in the checksum"])
@pytest.mark.parametrize("content", [False, True], ids=["libvirt refuses it", "libvirt is content"])
def test_memory_that_has_rotted_is_reported_as_that(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot, offset: int, *, content: bool
) -> None:
    flip(saved.path / "cpu-0.memory.zst", offset)
    if not content:
        saver.failures["brought cpu-0"] = SnapshotError(
            "cpu-0 could not be brought back", why="load of migration failed"
        )
    with pytest.raises(SnapshotError, match=r"cpu-0\.memory\.zst is damaged") as found:
        snapshot.restore(saver, saved, layout, view)
    assert "migration" not in str(found.value)
    assert saver.did("resume") == []


def test_what_libvirt_says_of_memory_that_is_whole_is_handed_on(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot
) -> None:
    saver.failures["brought cpu-0"] = SnapshotError(
        "cpu-0 could not be brought back", why="load of migration failed"
    )
    with pytest.raises(SnapshotError, match="cpu-0 could not") as found:
        snapshot.restore(saver, saved, layout, view)
    assert found.value.why == "load of migration failed"


def test_a_disk_that_has_rotted_is_reported_as_that_and_not_staged(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot
) -> None:
    flip(saved.path / "cpu-0.disk.zst", -1)
    with pytest.raises(SnapshotError, match=r"cpu-0\.disk\.zst is damaged"):
        snapshot.restore(saver, saved, layout, view)
    assert saved.volume("cpu-0") not in saver.staged()


def within(seconds: float, work: Callable[[], object]) -> None:
    """Fail, and do not hang, if it takes longer."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"


def test_memory_that_nobody_reads_does_not_hang(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot
) -> None:
    saver.blind = set(NODES)
    before = threading.active_count()
    within(10, lambda: snapshot.restore(saver, saved, layout, view))
    assert threading.active_count() == before


def test_a_reader_that_goes_away_does_not_hang(
    saver: FakeSaver, layout: Layout, view: Step, saved: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(machine: MachineXml, memory: Path) -> None:
        with memory.open("rb") as stream:
            stream.read(100)
        raise SnapshotError(f"{machine.defined} could not be brought back")

    monkeypatch.setattr(saver, "bring_back", refuse)
    errors: list[Exception] = []

    def restore() -> None:
        try:
            snapshot.restore(saver, saved, layout, view)
        except SnapshotError as error:
            errors.append(error)

    within(10, restore)
    assert "could not be brought back" in str(errors[0])


def test_no_pipe_is_left(
    saver: FakeSaver,
    layout: Layout,
    view: Step,
    saved: Snapshot,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipes = tmp_path / "pipes"
    pipes.mkdir(mode=0o700)
    monkeypatch.setattr("labctl.scratch.place", lambda: pipes)
    seen: list[str] = []
    real = os.mkfifo
    monkeypatch.setattr(os, "mkfifo", lambda path, mode: seen.append(str(path)) or real(path, mode))
    snapshot.restore(saver, saved, layout, view)
    assert len(seen) == 3
    assert all(path.startswith(str(pipes)) for path in seen)
    assert list(pipes.iterdir()) == []
