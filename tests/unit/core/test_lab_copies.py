"""A lab whose machines are copies: what `up` does, what it falls back to, and what is left when it is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from savers import FakeSaver
from small_lab import lab, record, small, up
from worlds import Notes, World

from labctl import snapshots
from labctl.errors import BootError, SnapshotError
from labctl.providers.base import Answer

NODES = ["cpu-0", "cpu-1", "head"]
SEEDS = ["_seed-1-768", "_seed-1-1024"]
BEFORE, AFTER = ["require", "stage", "connect small"], ["await head cpu-0 cpu-1", "converge", "verify full"]
SEEDED = [f"make {' '.join(SEEDS)}", *(f"remove {seed}" for seed in SEEDS)]


@pytest.fixture
def saver(world: World, monkeypatch: pytest.MonkeyPatch) -> FakeSaver:
    """The world's machines can be saved, and are of a box that has a guest agent."""
    monkeypatch.setattr("labctl.steps.seed._POLL", 0.01)
    monkeypatch.setattr("labctl.steps.copies._POLL", 0.01)
    monkeypatch.setattr("labctl.steps.copies._DEADLINE", 0.2)
    made = FakeSaver(world.provider.machines)
    world.provider.saver, world.provider.kernel = made, "/vmlinuz"
    return made


def folder(world: World) -> Path:
    return world.home / ".labctl" / "small"


def planned(world: World) -> dict[str, tuple[str, str]]:
    return {action.node: (action.kind, action.reason) for action in lab(world).plan() if action.node}


def complete(world: World) -> bool:
    """All nodes run, and nobody else; nothing more is to be done."""
    running = world.provider.machines == {("small", node): "running" for node in NODES}
    return running and not record(world)["copying"] and up(world) == ["require"]


def no_seedling_is_left(world: World) -> bool:
    return {node for _, node in world.provider.machines} <= set(NODES) and not list(
        folder(world).glob("*.seed")
    )


# As it should be


def test_the_machines_of_the_first_lab_are_copies_of_two_that_boot(world: World, saver: FakeSaver) -> None:
    assert up(world) == [*BEFORE, *SEEDED, *AFTER]
    assert saver.did("adopt") == NODES
    assert no_seedling_is_left(world)
    assert complete(world)


def test_those_of_the_next_lab_are_copies_of_the_same(world: World, saver: FakeSaver, notes: Notes) -> None:
    up(world)
    lab(world).destroy(notes)
    up(world, small("vars.common_timezone=UTC"))
    world.taken()
    assert saver.did("adopt") == sorted(2 * NODES)
    assert up(world, name="other")[3:] == AFTER


def test_a_node_more_is_a_copy_as_well(world: World, saver: FakeSaver) -> None:
    up(world)
    saver.calls.clear()
    assert up(world, small("nodes.cpu-[0-1].name=cpu-[0-2]")) == [
        *BEFORE, "await cpu-2", "converge", "verify full",
    ]  # fmt: skip
    assert saver.did("adopt") == ["cpu-2"]


def test_a_lab_of_copies_is_saved_and_brought_back(world: World, saver: FakeSaver, notes: Notes) -> None:
    up(world)
    before = [saver.content("small", node) for node in NODES]
    (saved,) = snapshots.snapshots()
    lab(world).destroy(notes)
    for seed in snapshots.everything():
        if seed != saved:  # it stands on none of these
            snapshots.remove(seed)
            saver.unstage(seed.volumes)
    assert [action.kind for action in lab(world).plan()] == ["restore", "verify"]
    up(world)
    assert [saver.content("small", node) for node in NODES] == before


@pytest.mark.parametrize("lacking", ["a guest agent", "a way to save machines"])
def test_where_machines_cannot_be_copied_each_boots_by_itself(
    world: World, saver: FakeSaver, lacking: str
) -> None:
    if lacking == "a guest agent":
        world.provider.kernel = None
    else:
        world.provider.saver = None
    assert up(world) == [*BEFORE, "make head cpu-0 cpu-1", *AFTER]
    assert saver.did("adopt") == []


# When it does not work


@pytest.mark.parametrize("where", ["memory _seed-1-768", "disk _seed-1-1024"])
def test_if_none_can_be_saved_each_boots_by_itself(
    world: World, saver: FakeSaver, notes: Notes, where: str
) -> None:
    saver.failures[where] = SnapshotError("no space left", hint="make room")
    lab(world).up(notes)
    assert world.taken() == [*BEFORE, *SEEDED, "make head cpu-0 cpu-1", *AFTER]
    assert notes.notes == ["no space left\nmake room\nso each machine boots by itself"]
    assert no_seedling_is_left(world)
    assert complete(world)


@pytest.mark.parametrize("refusal", ["libvirt", "the copy", "no agent"])
def test_if_one_cannot_be_copied_each_boots_by_itself(
    world: World, saver: FakeSaver, notes: Notes, refusal: str
) -> None:
    if refusal == "libvirt":
        saver.failures["brought cpu-0"] = SnapshotError("cpu-0 could not be brought back", why="no memory")
    elif refusal == "the copy":
        saver.answers["cpu-0"] = Answer(1, "", "no memory")
    else:
        saver.mute = {"cpu-0"}
    lab(world).up(notes)
    (said,) = notes.notes
    assert "cpu-0" in said
    assert said.endswith("\nso each machine boots by itself")
    removed = ["remove head", "remove cpu-0", "remove cpu-1"]
    assert world.taken() == [*BEFORE, *SEEDED, *removed, "make head cpu-0 cpu-1", *AFTER]
    assert complete(world)


def test_what_one_could_not_be_a_copy_of_is_made_anew_the_next_time(
    world: World, saver: FakeSaver, notes: Notes
) -> None:
    up(world)
    lab(world).destroy(notes)
    for one in snapshots.snapshots():
        snapshots.remove(one)
    world.taken()
    seeds = {one.id for one in snapshots.everything()}
    saver.failures["brought cpu-0"] = SnapshotError("load of migration failed")
    assert up(world)[3:4] == ["remove head"]
    assert not {one.id for one in snapshots.everything()} & seeds
    assert not any(seed in volume for volume in saver.pool for seed in seeds)
    lab(world).destroy(notes)
    world.taken()
    assert up(world, fresh=True) == [*BEFORE, *SEEDED, *AFTER]


def test_a_copy_that_does_not_answer_is_an_error_and_made_anew(world: World, saver: FakeSaver) -> None:
    world.failing("await", BootError("cpu-1 did not answer"))
    with pytest.raises(BootError, match="cpu-1 did not answer"):
        up(world)
    reason = "it was being copied and that was cut off"
    assert planned(world) == dict.fromkeys(["head", "cpu-0", "cpu-1"], ("recreate", reason))
    saver.calls.clear()
    assert set(SEEDED) < set(up(world))  # that of which it was a copy is not trusted any more
    assert saver.did("adopt") == NODES
    assert complete(world)


@pytest.mark.usefixtures("saver")
def test_a_machine_to_copy_that_is_not_made_is_an_error(world: World) -> None:
    world.failing("make", BootError("Vagrant could not make the machines"))
    with pytest.raises(BootError, match="Vagrant could not"):
        up(world)
    assert world.provider.machines == {}
    assert no_seedling_is_left(world)
    assert up(world) == [*BEFORE, *SEEDED, *AFTER]


# Cut off


@pytest.mark.parametrize(
    "where",
    [
        *("tell _seed-1-768", "slim _seed-1-768", "memory _seed-1-1024", "resume _seed-1-1024"),
        *("bring cpu-0", "brought cpu-1", "adopt cpu-0", "resume head", "tell cpu-0"),
        *("make", "await", "remove"),
    ],
)
def test_wherever_it_is_interrupted_the_next_up_goes_on(world: World, saver: FakeSaver, where: str) -> None:
    if " " in where:
        saver.failures[where] = KeyboardInterrupt()
    else:
        world.failing(where, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world)
    if where != "remove":  # that was a second Ctrl-C, while the first was cleaned up after
        assert no_seedling_is_left(world)
    for _, node in world.provider.machines:
        if node in NODES:  # whoever may be nobody yet goes
            assert planned(world)[node][0] == "recreate"
    up(world)
    assert no_seedling_is_left(world)
    assert complete(world)


def test_machines_to_copy_of_one_that_was_killed_are_removed(world: World, saver: FakeSaver) -> None:
    world.failing("connect", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world)
    world.provider.machines["small", SEEDS[0]] = "running"
    world.provider.directories["small"] = str(folder(world))
    assert planned(world)[SEEDS[0]] == ("remove", "it is not in the definition")
    assert up(world)[3] == f"remove {SEEDS[0]}"
    assert saver.did("adopt") == NODES
    assert complete(world)


@pytest.mark.usefixtures("saver")
def test_copies_that_were_cut_off_are_made_anew_but_once_where_they_can_be_none(world: World) -> None:
    world.failing("await", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world)
    world.provider.kernel = None
    assert [call for call in up(world) if call.startswith("make")] == ["make head cpu-0 cpu-1"]
    assert complete(world)


def test_a_lab_that_stood_whole_is_not_made_anew_for_a_node_that_was_cut_off(
    world: World, saver: FakeSaver
) -> None:
    up(world)
    more = small("nodes.cpu-[0-1].name=cpu-[0-2]")
    saver.failures["tell cpu-2"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        up(world, more)
    actions = {(action.kind, action.node) for action in lab(world, more).plan() if action.node}
    assert actions == {("recreate", "cpu-2")}
