"""`up`: from wherever the lab is to where it shall be, and whatever interrupts it, the next `up` goes on."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from small_lab import FROM_NOTHING, lab, small, up
from worlds import World

from labctl.console import BaseReporter
from labctl.definition.loading import load
from labctl.errors import (
    BootError,
    BoxError,
    ConvergeError,
    HostError,
    LabError,
    LockedError,
    VerifyError,
)
from labctl.lab import Lab
from labctl.work import Work


def test_from_nothing_the_steps_go_in_order(world: World) -> None:
    assert up(world) == FROM_NOTHING


def test_the_result_says_what_was_done(world: World, reporter: BaseReporter) -> None:
    result = lab(world).up(reporter)
    assert result.changed
    assert [name for name, _ in result.steps] == ["plan", "box", "prepare", "boot", "converge", "verify"]
    assert result.verify is not None
    assert result.status.state == "running"


def test_the_second_time_nothing_is_done_and_said_so(world: World, reporter: BaseReporter) -> None:
    up(world)
    again = lab(world).up(reporter)
    assert world.taken() == ["require"]
    assert (again.changed, again.verify) == (False, None)
    assert again.status.state == "running"


def test_where_the_time_went_is_written_down(world: World) -> None:
    up(world)
    timings = json.loads((world.home / ".labctl/small/timings.json").read_text())
    assert [step["step"] for step in timings["steps"]] == [
        "plan",
        "box",
        "prepare",
        "boot",
        "converge",
        "verify",
    ]
    assert timings["tasks"] == {"munge : Run it": 1.23}


def test_where_the_time_went_is_written_down_also_when_a_step_fails(world: World) -> None:
    world.failing("converge", ConvergeError("a task failed"))
    with pytest.raises(ConvergeError):
        up(world)
    timings = json.loads((world.home / ".labctl/small/timings.json").read_text())
    assert [step["step"] for step in timings["steps"]] == ["plan", "box", "prepare", "boot", "converge"]
    assert [step["step"] for step in timings["steps"] if step.get("failed")] == ["converge"]


def test_a_refusal_leaves_the_times_of_the_last_up(world: World) -> None:
    up(world)
    path = world.home / ".labctl/small/timings.json"
    before = path.read_text()
    with pytest.raises(LabError, match="cannot become"):
        up(world, small("network=10.9.9.0/24"))
    assert path.read_text() == before


def test_the_files_of_the_lab_are_all_there_and_the_secret_ones_private(world: World) -> None:
    up(world)
    directory = world.home / ".labctl" / "small"
    for name in (
        "lab.yml",
        "Vagrantfile",
        "ssh_config",
        "inventory/hosts.yml",
        "inventory/host_vars/head.yml",
    ):
        assert (directory / name).is_file(), name
    for name in ("secrets.yml", "id_ed25519", "record.json", "inventory/group_vars/all/secrets.yml"):
        assert (directory / name).stat().st_mode & 0o077 == 0, name
    assert load(str(directory / "lab.yml")) == small()


@pytest.mark.parametrize(
    ("step", "error", "goes_on_with"),
    [
        ("require", HostError("no memory"), FROM_NOTHING),
        ("stage", BoxError("damaged"), FROM_NOTHING),
        ("connect", HostError("no network"), FROM_NOTHING),
        ("make", BootError("Vagrant failed"), FROM_NOTHING),
        ("await", BootError("no answer"), ["require", "stage", "connect small", "converge", "verify full"]),
        ("converge", ConvergeError("a task failed"), ["require", "stage", "connect small", "converge", "verify full"]),
        ("verify", VerifyError("a test failed"), ["require", "stage", "connect small", "verify full"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("interrupted", [False, True], ids=["fails", "is interrupted"])
def test_after_a_step_that_did_not_end_well_up_goes_on(
    world: World, step: str, error: LabError, goes_on_with: list[str], *, interrupted: bool
) -> None:
    world.failing(step, KeyboardInterrupt() if interrupted else error)
    with pytest.raises(KeyboardInterrupt if interrupted else type(error)):
        up(world)
    assert up(world) == goes_on_with
    assert up(world) == ["require"]


def test_what_the_host_cannot_run_is_refused_before_anything_is_touched(world: World) -> None:
    world.failing("require", HostError("no memory"))
    with pytest.raises(HostError):
        up(world)
    assert list(world.home.iterdir()) == []


def test_a_host_that_cannot_even_be_asked_is_told_all_that_it_lacks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise HostError("libvirt does not answer")

    monkeypatch.setattr("labctl.providers.choose", refuse)
    world.failing("require", HostError("programs, libvirt and memory are missing"))
    with pytest.raises(HostError, match="programs, libvirt and memory"):
        up(world)


def test_machines_that_run_are_not_counted_twice(world: World) -> None:
    up(world)
    up(world, small("nodes.head.memory=2048"))
    assert world.required[0] == {}
    assert world.required[1] == {"head": 768, "cpu-0": 1024, "cpu-1": 1024}


def test_a_lab_that_another_command_works_on_is_left_alone(world: World) -> None:
    with lab(world).files.locked("small", "verify"), pytest.raises(LockedError, match="labctl verify"):
        up(world)
    assert world.calls == ["require"]


def test_nobody_comes_between_the_plan_and_its_execution(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is never free from the plan to the last step."""
    free: list[str] = []

    def look(moment: str) -> None:
        try:
            with lab(world).files.locked("small", "look"):
                free.append(moment)
        except LockedError:
            pass

    planned, prepared = Lab._plan, Work.prepare

    def plan(self: Lab, saved: Any, **options: Any) -> Any:
        look("plan")
        return planned(self, saved, **options)

    def prepare(self: Work, *words: Any) -> Any:
        look("prepare")
        return prepared(self, *words)

    entered = threading.local()
    monkeypatch.setattr(Lab, "_plan", plan)
    monkeypatch.setattr(Work, "prepare", prepare)
    real = Lab.define(small(), base=world.home).files.__class__.locked

    def locked(self: Any, name: str, doing: str) -> Any:
        if doing == "up":
            entered.times = getattr(entered, "times", 0) + 1
        return real(self, name, doing)

    monkeypatch.setattr("labctl.files.LabFiles.locked", locked)
    up(world)
    assert free == []
    assert entered.times == 1


def test_without_verify_nothing_is_proven_and_the_next_up_makes_up_for_it(world: World) -> None:
    assert "verify full" not in up(world, verify=False)
    assert up(world, verify=False) == ["require"]
    assert up(world)[-1] == "verify full"
