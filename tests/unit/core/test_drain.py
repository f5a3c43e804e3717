"""Nodes that go away get no new jobs, and jobs that run on them keep them unless somebody says otherwise."""

from __future__ import annotations

import subprocess

import pytest
from programs import Programs

from labctl.console import Step
from labctl.errors import JobsRunError, LabError
from labctl.providers.base import Answer
from labctl.steps import drain


class Controller:
    """Runs no script; says what Slurm would say to each, in turn."""

    def __init__(self, *said: str, codes: tuple[int, ...] = ()) -> None:
        self.asked: list[str] = []
        self._said = list(said)
        self._codes = list(codes)

    def __call__(self, script: str) -> Answer:
        self.asked.append(script)
        code = self._codes.pop(0) if self._codes else 0
        return Answer(code, self._said.pop(0) if self._said else "", "slurm_update error: no such node")


def test_idle_nodes_are_drained_with_a_reason_of_ours(view: Step) -> None:
    controller = Controller("")
    drain.drain(controller, ["cpu-0", "cpu-1"], view, force=False)
    (script,) = controller.asked
    assert "NodeName=cpu-0,cpu-1 State=DRAIN Reason='labctl: goes away'" in script
    assert "--nodelist=cpu-0,cpu-1" in script


def test_jobs_that_run_keep_the_nodes_and_the_nodes_take_jobs_again(view: Step) -> None:
    controller = Controller("7 nucci research cpu-1\n9 nucci array cpu-[0-1]\n", "cpu-0\ncpu-1\n")
    with pytest.raises(JobsRunError, match="jobs run on nodes that are to go: cpu-0, cpu-1") as refused:
        drain.drain(controller, ["cpu-0", "cpu-1"], view, force=False)
    assert refused.value.why == "job 7: nucci research cpu-1\njob 9: nucci array cpu-[0-1]"
    assert "--force" in refused.value.hint
    assert "State=RESUME" in controller.asked[1]


def test_by_force_jobs_are_queued_again_before_their_nodes_go(view: Step) -> None:
    controller = Controller("7 nucci research cpu-1\n")
    drain.drain(controller, ["cpu-1"], view, force=True)
    assert "for job in 7; do scontrol requeue" in controller.asked[1]
    assert "--nodelist=cpu-1" in controller.asked[1]  # until they have ended there
    assert "State=RESUME" not in controller.asked[1]


def test_what_slurm_refuses_is_said(view: Step) -> None:
    with pytest.raises(LabError, match="cannot be told") as failed:
        drain.drain(Controller(codes=(1,)), ["cpu-1"], view, force=False)
    assert failed.value.why == "slurm_update error: no such node"


def test_jobs_that_do_not_end_give_the_nodes_back(view: Step) -> None:
    controller = Controller("7 nucci research cpu-1\n", "", "cpu-1\n", codes=(0, 1))
    with pytest.raises(LabError, match="cannot be told"):
        drain.drain(controller, ["cpu-1"], view, force=True)
    assert ["State=DRAIN" in controller.asked[0], "requeue" in controller.asked[1]] == [True, True]
    assert "State=RESUME" in controller.asked[2]
    assert view.last_note == "cpu-1 take jobs again"


def test_nodes_that_cannot_be_given_back_are_said(view: Step) -> None:
    with pytest.raises(LabError):
        drain.drain(Controller(codes=(1, 1)), ["cpu-0", "cpu-1"], view, force=False)
    assert view.last_note.startswith("cpu-0, cpu-1 may still be drained (slurm_update error: no such node)")
    assert "labctl up" in view.last_note


def test_an_interrupt_gives_the_nodes_back_as_well(view: Step) -> None:
    asked: list[str] = []

    def controller(script: str) -> Answer:
        asked.append(script)
        if "requeue" in script:
            raise KeyboardInterrupt
        return Answer(0, "7 nucci research cpu-1\n", "")

    with pytest.raises(KeyboardInterrupt):
        drain.drain(controller, ["cpu-1"], view, force=True)
    assert "State=RESUME" in asked[-1]


@pytest.mark.parametrize(("left", "code"), [("", 0), ("7", 1)], ids=["they end", "they do not"])
def test_jobs_are_waited_for_as_long_as_they_may_take(
    programs: Programs, view: Step, left: str, *, code: int
) -> None:
    """The script itself, with a controller whose clock goes on ten seconds whenever somebody looks at it."""
    for program in ("scontrol", "scancel", "sleep"):
        programs.add(program)
    programs.add("squeue", f"echo {left}")
    programs.add("date", "n=$(cat $PROGRAMS/now 2>/dev/null || echo 0); echo $((n + 10)) | tee $PROGRAMS/now")
    controller = Controller("7 nucci research cpu-1\n")
    drain.drain(controller, ["cpu-1"], view, force=True)
    done = subprocess.run(["sh", "-c", controller.asked[1]], capture_output=True, text=True, check=False)
    assert (done.returncode, programs.calls("scontrol")) == (code, ["requeue 7"])
    assert ("do not end within 60 s" in done.stderr) == bool(code)


def test_those_that_were_drained_by_us_come_back() -> None:
    assert drain.resume(Controller("cpu-0\ncpu-1\n")) == ("cpu-0", "cpu-1")
