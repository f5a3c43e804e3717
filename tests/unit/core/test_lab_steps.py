"""The steps of `up`, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from small_lab import FROM_NOTHING, lab, record, small, up
from worlds import World

from labctl import lock
from labctl.console import BaseReporter
from labctl.errors import (
    BootError,
    ConvergeError,
    HostError,
    LabError,
    LockedError,
    UsageError,
)
from labctl.lab import Lab
from labctl.steps.settle import DEADLINES


def test_create_writes_files_and_starts_nothing(world: World, reporter: BaseReporter) -> None:
    lab(world).create(reporter)
    assert world.taken() == ["require", "stage", "connect small"]
    assert (world.home / ".labctl/small/Vagrantfile").is_file()
    assert up(world) == FROM_NOTHING


def test_nobody_else_leases_a_subnet_before_it_is_taken(
    world: World, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, ours = list[str](), "the networks of this host"

    def holding(verb: str) -> Callable[..., Any]:
        real = getattr(world.provider, verb)

        def call(*arguments: Any) -> Any:
            with pytest.raises(LockedError), lock.of_the_host(ours, deadline=0):
                pass
            seen.append(verb)
            return real(*arguments)

        return call

    for verb in ("lease", "connect"):
        monkeypatch.setattr(world.provider, verb, holding(verb))
    lab(world).create(reporter)
    assert seen == ["lease", "connect"]
    with lock.of_the_host(ours, deadline=60):  # other tests take it as well
        pass


def test_a_plan_touches_nothing(world: World) -> None:
    kinds = [action.kind for action in lab(world).plan()]
    assert kinds == ["create", "create", "create", "converge", "verify"]
    assert world.calls == []
    assert list(world.home.iterdir()) == []


def test_converge_in_parts_is_no_converged_lab(world: World, reporter: BaseReporter) -> None:
    up(world)
    up(world, small("vars.common_timezone=UTC"), verify=False)
    before = record(world)["converged"]
    made = Lab.find("small", base=world.home)
    made.converge(reporter, tags="munge", limit="head", check=True)
    assert world.taken() == ["converge tags=munge limit=head check=True"]
    assert record(world)["converged"] == before
    world.failing("converge", ConvergeError("a task failed"))
    with pytest.raises(ConvergeError):
        made.converge(reporter)
    assert record(world)["converged"] == ""
    made.converge(reporter)
    assert record(world)["converged"]


def test_nodes_to_converge_are_named_as_everywhere(world: World, reporter: BaseReporter) -> None:
    up(world)
    world.taken()
    for pattern in ("@slurmd", "cpu-[0-1]"):
        lab(world).converge(reporter, limit=pattern)
        assert world.taken() == ["converge limit=cpu-0,cpu-1"]
    with pytest.raises(UsageError, match="small has no node cpu-7"):
        lab(world).converge(reporter, limit="cpu-7")


def test_verify_in_parts_is_no_proof(world: World, reporter: BaseReporter) -> None:
    up(world, verify=False)
    world.taken()
    lab(world).verify(reporter, expression="munge")
    lab(world).verify(reporter, level="quick")
    assert record(world)["verified"] == ""
    lab(world).verify(reporter)
    assert world.taken() == ["verify full munge", "verify quick", "verify full"]
    assert up(world) == ["require"]


def test_what_was_verified_before_it_was_converged_is_verified_again(
    world: World, reporter: BaseReporter
) -> None:
    up(world)
    changed = lab(world, small("vars.common_timezone=UTC"))
    changed.create(reporter)
    changed.verify(reporter)
    changed.converge(reporter)
    world.taken()
    changed.up(reporter)
    assert world.taken()[-1] == "verify full"


@pytest.mark.parametrize("verb", ["converge", "verify"])
def test_what_does_not_run_is_neither_converged_nor_verified(
    world: World, reporter: BaseReporter, verb: str
) -> None:
    up(world)
    world.provider.machines["small", "cpu-0"] = "suspended"
    with pytest.raises(LabError, match="not running: cpu-0") as refused:
        getattr(lab(world), verb)(reporter)
    assert "labctl up --name small" in refused.value.hint


def test_start_and_stop_ask_all_machines_or_those_that_are_named(
    world: World, reporter: BaseReporter
) -> None:
    up(world)
    world.taken()
    lab(world).stop(reporter, "cpu-[0-1]")
    assert sorted(world.taken()) == ["stop cpu-0", "stop cpu-1"]
    lab(world).stop(reporter, force=True)
    assert sorted(world.taken()) == ["force cpu-0", "force cpu-1", "force head"]
    lab(world).start(reporter)
    calls = world.taken()
    assert calls[:2] == ["require", "connect small"]
    assert sorted(calls[2:5]) == ["start cpu-0", "start cpu-1", "start head"]
    assert calls[5] == "await head cpu-0 cpu-1"


def edit(world: World, before: str, after: str) -> Lab:
    """The lab after somebody has edited its lab.yml, and nothing else."""
    path = world.home / ".labctl/small/lab.yml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return Lab.find("small", base=world.home)


@pytest.mark.parametrize("work", [Lab.converge, Lab.verify, partial(Lab.rotate, kind="munge")])
@pytest.mark.parametrize(
    ("before", "after"),
    [("cpu-[0-1]", "cpu-[0-2]"), ("cpu-[0-1]", "cpu-0"), ("uid: 10000", "uid: 10005"), ("ann", "eve")],
)
def test_what_up_has_not_made_of_lab_yml_is_not_taken_for_done(
    world: World, reporter: BaseReporter, work: Callable[..., object], before: str, after: str
) -> None:
    up(world)
    world.taken()
    edited = edit(world, before, after)
    with pytest.raises(LabError, match=r"lab\.yml is not what the lab small was last made from") as refused:
        work(edited, reporter)
    assert "labctl up --name small" in refused.value.hint
    assert world.taken() == []
    assert "converge" in [action.kind for action in edited.plan()]
    edited.up(reporter)
    assert world.taken()[-2:] == ["converge", "verify full"]
    Lab.find("small", base=world.home).converge(reporter)


def test_an_edit_that_was_undone_keeps_nobody_from_converging(world: World, reporter: BaseReporter) -> None:
    up(world)
    edit(world, "ann", "eve")
    edit(world, "eve", "ann").converge(reporter)
    assert up(world) == ["require"]


def looks(world: World, monkeypatch: pytest.MonkeyPatch, *, away: int, **states: str) -> list[str]:
    """Slurm says this of nodes at the first so many looks; which looks there were."""
    monkeypatch.setattr("labctl.steps.settle._POLL", 0.01)
    seen, real = list[str](), world.sinfo

    def sinfo() -> str:
        seen.append("look")
        world.slurm = {node: (state, "none") for node, state in states.items() if len(seen) <= away}
        return real()

    monkeypatch.setattr(world, "sinfo", sinfo)
    return seen


@pytest.mark.parametrize("verb", ["stop", "suspend"])
def test_start_waits_until_slurm_uses_what_was_started(
    world: World, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    up(world)
    getattr(lab(world), verb)(reporter)
    seen = looks(world, monkeypatch, away=3, **{"cpu-0": "unknown*", "cpu-1": "idle*"})
    (lab(world).start if verb == "stop" else lab(world).resume)(reporter)
    assert len(seen) == 3 + 1


def test_a_node_that_slurm_does_not_use_in_time_is_an_error_of_start(
    world: World, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(world)
    lab(world).stop(reporter, "cpu-1")
    world.slurm["cpu-1"] = ("down*", "Not responding")
    monkeypatch.setitem(DEADLINES, "qemu", 0.0)
    monkeypatch.setattr("labctl.steps.settle._POLL", 0.01)
    with pytest.raises(BootError, match="Slurm does not use all of them in time") as late:
        lab(world).start(reporter, "cpu-1")
    assert late.value.why == "cpu-1 is down*"
    assert "labctl up --name small" in late.value.hint


@pytest.mark.parametrize(
    ("off", "started", "lost", "converged"),
    [
        ("cpu-1", "cpu-1", "cpu-0", True),  # it was away before
        ("cpu-[0-1]", "cpu-1", "cpu-0", True),  # nobody starts it
        ("head,cpu-1", "cpu-1", "cpu-1", True),  # nobody is there to use it
        ("", "", "cpu-0", True),  # all run
        ("cpu-1", "cpu-1", "cpu-1", False),  # nothing has set Slurm up
    ],
)
def test_start_waits_for_nothing_that_will_not_come(
    world: World, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch, *,
    off: str, started: str, lost: str, converged: bool,
) -> None:  # fmt: skip
    up(world)
    if off:
        lab(world).stop(reporter, off)
    if not converged:
        lab(world).files.note(converged="")
    world.slurm[lost] = ("down*", "Not responding")
    monkeypatch.setitem(DEADLINES, "qemu", 0.0)
    lab(world).start(reporter, started)


def test_what_the_host_has_no_room_for_is_not_started(world: World, reporter: BaseReporter) -> None:
    up(world)
    lab(world).stop(reporter)
    lab(world).suspend(reporter, "cpu-1")
    world.taken()
    world.failing("require", HostError("no memory"))
    with pytest.raises(HostError, match="no memory"):
        lab(world).start(reporter)
    assert world.taken() == ["require"]
    assert world.required[-1] == {"cpu-1": 1024}  # one that is suspended has its memory
    lab(world).start(reporter, "head")
    assert world.required[-1] == {"cpu-0": 1024, "cpu-1": 1024}  # nobody starts cpu-0


def test_machines_are_suspended_and_only_those_are_resumed(world: World, reporter: BaseReporter) -> None:
    up(world)
    world.taken()
    lab(world).suspend(reporter, "cpu-[0-1]")
    assert sorted(world.taken()) == ["suspend cpu-0", "suspend cpu-1"]
    assert lab(world).resume(reporter, "head,cpu-0") == ("cpu-0",)
    assert world.taken() == ["require", "connect small", "start cpu-0", "await cpu-0"]
    assert lab(world).resume(reporter) == ("cpu-1",)
    world.taken()
    assert lab(world).resume(reporter) == ()
    assert world.taken() == []


def test_servers_are_shut_down_once_their_clients_are(world: World, reporter: BaseReporter) -> None:
    up(world)
    world.taken()
    lab(world).stop(reporter)
    stopped = world.taken()
    assert stopped[-1] == "stop head"
    assert sorted(stopped[:-1]) == ["stop cpu-0", "stop cpu-1"]


@pytest.mark.parametrize("verb", ["start", "stop", "suspend"])
def test_a_machine_that_was_never_made_is_neither_started_nor_stopped(
    world: World, reporter: BaseReporter, verb: str
) -> None:
    lab(world).create(reporter)
    with pytest.raises(LabError, match="head, cpu-0, cpu-1 of small has no machine"):
        getattr(lab(world), verb)(reporter)


def test_a_lab_that_was_never_made_is_not_started(world: World, reporter: BaseReporter) -> None:
    with pytest.raises(LabError, match="never made"):
        lab(world).start(reporter)
