"""A lab and its snapshots: `up` brings back what it has saved, and builds when it cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from savers import FakeSaver
from small_lab import FROM_NOTHING, lab, record, small, up
from worlds import Notes, World

from labctl import keeping, snapshots
from labctl.errors import BootError, HostError, LabError, LockedError, SnapshotError, VerifyError
from labctl.lab import Lab
from labctl.steps.snapshot import Saved

RESTORED = ["require", "stage", "connect small", "await head cpu-0 cpu-1", "verify restored"]
NODES = ["cpu-0", "cpu-1", "head"]


@pytest.fixture
def saver(world: World) -> FakeSaver:
    """The world's provider can save machines."""
    made = FakeSaver(world.provider.machines)
    world.provider.saver = made
    return made


def contents(saver: FakeSaver, name: str = "small") -> list[tuple[bytes, bytes]]:
    return [saver.content(name, node) for node in NODES]


def gone(world: World, notes: Notes) -> None:
    """The lab is destroyed."""
    lab(world).destroy(notes)
    world.taken()


def folder(world: World) -> Path:
    return world.home / ".labctl" / "small"


def damaged(name: str) -> None:
    """The one snapshot is not what it was."""
    (saved,) = snapshots.snapshots()
    path = saved.path / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def of_now(world: World) -> dict[str, Any]:
    files = ("lab.yml", "secrets.yml", "id_ed25519", "ssh_config", "Vagrantfile")
    return {name: (folder(world) / name).read_bytes() for name in files}


# up


def test_what_was_verified_is_saved_once(world: World, saver: FakeSaver, notes: Notes) -> None:
    result = lab(world).up(notes)
    assert [name for name, _ in result.steps][-2:] == ["verify", "snapshot"]
    assert world.taken() == FROM_NOTHING
    (saved,) = snapshots.snapshots()
    snapshots.check(saved)
    assert (saved.lab, saved.label, saved.key) == ("small", "", keeping.key(small()))
    assert saved.secrets == keeping.secrets_of(lab(world).files)
    assert record(world)["snapshot"] == saved.id
    assert saver.did("clock") == NODES  # they stood still
    assert up(world) == ["require"]
    assert snapshots.snapshots() == (saved,)


def test_a_lab_that_is_gone_is_brought_back_as_it_was(world: World, saver: FakeSaver, notes: Notes) -> None:
    up(world)
    before, files, known = contents(saver), of_now(world), record(world)
    gone(world, notes)
    assert not folder(world).exists()
    saver.memory.clear()
    saver.disks.clear()
    saver.calls.clear()
    assert [action.kind for action in lab(world).plan()] == ["restore", "verify"]
    result = lab(world).up(notes)
    assert world.taken() == RESTORED
    assert [name for name, _ in result.steps] == ["plan", "box", "prepare", "restore", "verify"]
    assert (result.changed, result.status.state) == (True, "running")
    assert result.verify is not None
    assert contents(saver) == before
    assert of_now(world) == files
    assert record(world) == known
    assert saver.did("clock") == NODES
    assert world.through.function == "labctl.providers.agent:ask"
    assert world.through.environment == {"LABCTL_DOMAIN_PREFIX": "labctl_small_"}
    assert notes.notes == []
    assert up(world) == ["require"]
    assert len(snapshots.snapshots()) == 1


def test_the_network_is_the_one_that_the_machines_know(world: World, saver: FakeSaver, notes: Notes) -> None:
    up(world)
    subnet = record(world)["network"]["subnet"]
    gone(world, notes)
    world.provider.leased["another"] = world.provider.leased["small"]
    up(world)
    assert record(world)["network"]["subnet"] == subnet
    assert saver.did("brought") == NODES


def test_a_machine_that_is_there_is_not_thrown_away_for_a_snapshot(world: World, saver: FakeSaver) -> None:
    up(world)
    world.provider.machines["small", "cpu-0"] = "stopped"
    assert up(world) == ["require", "stage", "connect small", "start cpu-0", "await cpu-0", "verify full"]
    assert saver.did("brought") == []


def test_a_machine_that_was_frozen_is_told_the_time(world: World, saver: FakeSaver, notes: Notes) -> None:
    up(world)
    for bring_on in (lambda: up(world), lambda: lab(world).start(notes, "cpu-0")):
        world.provider.machines["small", "cpu-0"] = "suspended"
        saver.calls.clear()
        bring_on()
        assert next(call for call in saver.calls if call.startswith("clock")) == "clock cpu-0"


def test_another_definition_is_built_and_saved_beside_the_first(
    world: World, saver: FakeSaver, notes: Notes
) -> None:
    up(world)
    gone(world, notes)
    assert up(world, small("nodes.head.memory=1000")) == FROM_NOTHING
    assert saver.did("brought") == []
    assert len(snapshots.snapshots()) == 2


def test_what_is_not_to_be_verified_is_neither_brought_back_nor_saved(
    world: World, saver: FakeSaver, notes: Notes
) -> None:
    up(world)
    gone(world, notes)
    assert up(world, verify=False) == FROM_NOTHING[:-1]
    assert saver.did("brought") == []
    assert len(snapshots.snapshots()) == 1


def test_where_machines_cannot_be_saved_nothing_is(world: World) -> None:
    assert up(world) == FROM_NOTHING
    assert snapshots.snapshots() == ()
    assert "snapshot" not in [action.kind for action in lab(world, name="other").plan()]


def test_up_afresh_makes_every_machine_anew_and_saves_it_instead(world: World, saver: FakeSaver) -> None:
    up(world)
    (first,) = snapshots.snapshots()
    calls = up(world, fresh=True)
    assert [call for call in calls if call.startswith("remove")] == [
        "remove head",
        "remove cpu-0",
        "remove cpu-1",
    ]
    assert calls[-4:] == ["make head cpu-0 cpu-1", "await head cpu-0 cpu-1", "converge", "verify full"]
    (second,) = snapshots.snapshots()
    assert second.id != first.id
    assert saver.did("brought") == []
    gone(world, Notes())
    assert up(world, fresh=True) == FROM_NOTHING
    assert saver.did("brought") == []


def test_disks_of_a_lab_that_was_made_anew_are_never_those_of_before(
    world: World, saver: FakeSaver, notes: Notes
) -> None:
    """A saved disk is put into the pool but once; memory of another save on top of it would be a ruined machine."""
    up(world)
    gone(world, notes)
    up(world)
    up(world, fresh=True)
    saver.memory.clear()
    saver.disks.clear()
    up(world, fresh=True)
    before = contents(saver)
    lab(world).reset(notes)
    assert contents(saver) == before


# When it cannot be brought back


@pytest.mark.parametrize("name", ["head.memory.zst", "cpu-0.disk.zst", "lab.tar"])
def test_a_damaged_snapshot_is_said_and_the_lab_is_built(
    world: World, saver: FakeSaver, notes: Notes, name: str
) -> None:
    up(world)
    gone(world, notes)
    damaged(name)
    result = lab(world).up(notes)
    assert result.status.state == "running"
    assert [call for call in world.taken() if call in FROM_NOTHING] == FROM_NOTHING
    (said,) = notes.notes
    assert name in said
    assert said.endswith("so the lab is built anew")
    assert saver.did("brought") == []
    assert up(world) == ["require"]
    gone(world, notes)
    assert up(world) == RESTORED  # from the one that was saved then


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("bring cpu-1", SnapshotError("QEMU said no")),
        ("connect", HostError("the network is taken")),
        ("await", BootError("cpu-1 does not answer")),
        ("verify", VerifyError("1 of 50 tests failed")),
    ],
)
def test_a_lab_that_cannot_be_brought_back_is_built_and_that_is_said(
    world: World, saver: FakeSaver, notes: Notes, where: str, error: LabError
) -> None:
    up(world)
    gone(world, notes)
    if " " in where:
        saver.failures[where] = error
    else:
        world.failing(where, error)
    result = lab(world).up(notes)
    assert (result.status.state, result.status.problems) == ("running", ())
    assert notes.notes == [f"{error.what}\nso the lab is built anew"]
    calls = world.taken()
    assert calls[calls.index("destroy small") + 1 :] == FROM_NOTHING[1:]
    assert not record(world)["restoring"]
    assert up(world) == ["require"]


@pytest.mark.usefixtures("saver")
def test_a_box_that_is_gone_is_no_reason_not_to_come_up(world: World, notes: Notes) -> None:
    up(world)
    gone(world, notes)
    world.boxes = ()
    lab(world).up(notes)
    assert "the box of the snapshot" in notes.notes[0]
    assert world.taken()[-1] == "verify full"


@pytest.mark.parametrize("where", ["bring cpu-1", "clock cpu-0", "verify"])
def test_a_restore_that_was_cut_off_is_done_again(
    world: World, saver: FakeSaver, notes: Notes, where: str
) -> None:
    up(world)
    before = contents(saver)
    gone(world, notes)
    if " " in where:
        saver.failures[where] = KeyboardInterrupt()
    else:
        world.failing(where, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world)
    if where == "verify":  # all was back by then
        assert not record(world)["restoring"]
        return
    assert record(world)["restoring"]
    assert [action.kind for action in lab(world).plan()] == ["restore", "verify"]
    saver.memory.clear()
    assert up(world) == RESTORED
    assert contents(saver) == before
    assert not record(world)["restoring"]
    assert up(world) == ["require"]


def test_a_restore_that_was_cut_off_and_cannot_be_done_again_is_built_once(
    world: World, saver: FakeSaver, notes: Notes
) -> None:
    up(world)
    saved = snapshots.snapshots()[0]
    saver.failures["bring cpu-1"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        lab(world).restore_snapshot(notes, saved)
    snapshots.remove(saved)
    world.taken()
    why = {action.reason for action in lab(world).plan() if action.kind == "recreate"}
    assert why == {"it was being brought back and that was cut off"}
    calls = up(world)
    assert [call for call in calls if call.startswith(("remove", "make"))] == [
        *("remove head", "remove cpu-0", "remove cpu-1"),
        "make head cpu-0 cpu-1",
    ]
    assert not record(world)["restoring"]
    assert up(world) == ["require"]


@pytest.mark.parametrize("error", [SnapshotError("no space left", hint="make room"), KeyboardInterrupt()])
def test_a_save_that_failed_is_said_and_the_lab_is_up_and_proven(
    world: World, saver: FakeSaver, error: BaseException
) -> None:
    saver.failures["memory cpu-0"] = error
    notes = Notes()
    if isinstance(error, SnapshotError):
        assert lab(world).up(notes).changed
        assert "no space left" in "".join(notes.notes)
    else:
        with pytest.raises(type(error)):
            lab(world).up(notes)
    world.taken()
    assert snapshots.snapshots() == ()
    assert (record(world)["snapshot"], bool(record(world)["verified"])) == ("", True)
    assert lab(world).status().state == "running"
    assert up(world) == ["require"]


# By hand


def save(world: World, label: str = "mine") -> Saved:
    return lab(world).save_snapshot(Notes(), label)


def test_one_of_the_users_own_is_saved_and_one_of_its_name_replaced(world: World, saver: FakeSaver) -> None:
    up(world)
    up(world, small(), name="other")
    theirs = lab(world, name="other").save_snapshot(Notes(), "mine").snapshot
    first = save(world).snapshot
    second = save(world).snapshot
    labels = [(one.lab, one.label) for one in snapshots.snapshots()]
    assert sorted(labels) == [("other", ""), ("other", "mine"), ("small", ""), ("small", "mine")]
    assert snapshots.get(first.id) is None
    assert snapshots.get(second.id) == second
    assert snapshots.get(theirs.id) == theirs
    assert first.volumes in saver.did("unstage")
    assert second.key == ""  # whatever the lab has become, `up` takes none of these


def test_a_save_that_fails_leaves_the_one_that_was_there(world: World, saver: FakeSaver) -> None:
    up(world)
    before = save(world).snapshot
    saver.failures["disk head"] = SnapshotError("no space left")
    with pytest.raises(SnapshotError, match="no space left"):
        save(world)
    assert before in snapshots.snapshots()
    assert lab(world).reset(Notes()) == before


@pytest.mark.usefixtures("saver")
def test_only_a_lab_that_runs_as_a_whole_is_saved(world: World) -> None:
    up(world)
    world.provider.machines["small", "cpu-0"] = "stopped"
    with pytest.raises(LabError, match="not running: cpu-0"):
        save(world)
    world.provider.machines["small", "cpu-0"] = "running"
    with lab(world).files.locked("small", "up"), pytest.raises(LockedError):
        save(world)
    world.provider.saver = None
    with pytest.raises(SnapshotError, match="cannot save machines"):
        save(world)


def test_a_lab_that_has_changed_is_as_it_was(world: World, saver: FakeSaver, notes: Notes) -> None:
    up(world)
    saved = save(world).snapshot
    before, files = contents(saver), of_now(world)
    up(world, small("nodes.head.memory=1000", "nodes.cpu-[0-1].name=cpu-[0-2]"))
    saver.memory = dict.fromkeys(saver.memory, b"changed")
    assert of_now(world) != files
    world.taken()
    lab(world).restore_snapshot(notes, saved)
    assert world.taken() == ["stage", "connect small", "remove cpu-2", "await head cpu-0 cpu-1"]
    assert contents(saver) == before
    assert of_now(world) == files
    assert record(world)["snapshot"] == saved.id
    assert {node for _, node in world.provider.machines} == set(NODES)
    assert up(world) == ["require"]


@pytest.mark.usefixtures("saver")
def test_a_lab_that_was_destroyed_is_there_again(world: World, notes: Notes) -> None:
    up(world)
    saved = save(world).snapshot
    gone(world, notes)
    found = Lab.of(saved, base=world.home)
    found.restore_snapshot(notes, saved)
    assert found.directory == folder(world)
    assert lab(world).status().state == "running"
    assert up(world) == ["require"]


@pytest.mark.usefixtures("saver")
def test_a_lab_that_is_elsewhere_is_brought_back_there(world: World) -> None:
    up(world)
    saved = save(world).snapshot
    assert Lab.of(saved, base=Path("/")).directory == folder(world)
    assert Lab.of(saved, base=folder(world) / "logs").directory == folder(world)


@pytest.mark.parametrize("unfit", ["damaged", "another QEMU", "another driver", "box gone"])
def test_what_does_not_fit_is_refused_before_anything_is_touched(
    world: World, saver: FakeSaver, notes: Notes, monkeypatch: pytest.MonkeyPatch, *, unfit: str
) -> None:
    up(world)
    saved = save(world).snapshot
    up(world, small("vars.common_timezone=UTC"))
    before, files, known = contents(saver), of_now(world), record(world)
    if unfit == "damaged":
        (saved.path / "head.disk.zst").unlink()
    elif unfit == "another QEMU":
        saver.host["qemu"] = "8000000"
    elif unfit == "another driver":
        monkeypatch.setattr("labctl.kvm.driver", lambda *_: "kvm")
    else:
        world.boxes = ()
    world.taken()
    with pytest.raises(SnapshotError):
        lab(world).restore_snapshot(notes, saved)
    assert world.taken() == []
    assert (contents(saver), of_now(world), record(world)) == (before, files, known)
    assert lab(world).status().state == "running"


@pytest.mark.usefixtures("saver")
def test_a_lab_of_that_name_in_another_folder_is_left_alone(
    world: World, notes: Notes, tmp_path: Path
) -> None:
    up(world)
    saved = save(world).snapshot
    with pytest.raises(LabError, match="of another folder"):
        Lab("small", tmp_path / "other" / "small", None).restore_snapshot(notes, saved)


def test_reset_goes_back_to_where_the_lab_was_last_saved(
    world: World, saver: FakeSaver, notes: Notes
) -> None:
    up(world)
    (by_up,) = snapshots.snapshots()
    before = contents(saver)
    saver.memory.clear()
    assert lab(world).reset(notes) == by_up
    assert contents(saver) == before
    mine = save(world).snapshot
    assert lab(world).reset(notes) == mine
    lab(world).restore_snapshot(notes, by_up)
    assert lab(world).reset(notes) == by_up


def test_reset_brings_back_a_machine_that_was_lost(world: World, saver: FakeSaver, notes: Notes) -> None:
    up(world)
    before = contents(saver)
    del world.provider.machines["small", "cpu-1"]
    world.provider.machines["small", "head"] = "stopped"
    lab(world).reset(notes)
    assert lab(world).status().state == "running"
    assert contents(saver) == before


def test_a_lab_without_a_snapshot_cannot_be_reset(world: World, saver: FakeSaver, notes: Notes) -> None:
    up(world, verify=False)
    with pytest.raises(SnapshotError, match="small has no snapshot to go back to") as refused:
        lab(world).reset(notes)
    assert "labctl snapshot save" in refused.value.hint
    saved = save(world).snapshot
    shutil.rmtree(saved.path)
    with pytest.raises(SnapshotError, match="no snapshot to go back to"):
        lab(world).reset(notes)
    assert saver.did("off") == []


def test_a_record_of_before_there_were_snapshots_is_read(world: World) -> None:
    up(world)
    path = folder(world) / "record.json"
    known = json.loads(path.read_text())
    for word in ("snapshot", "restoring"):
        del known[word]
    path.write_text(json.dumps(known))
    assert up(world) == ["require"]
