"""Nodes that go away get no new jobs, and jobs that run on them keep them unless somebody says otherwise."""

from __future__ import annotations

import pytest

from labctl.console import StepView
from labctl.errors import JobsRunError, LabError
from labctl.providers.base import Answer
from labctl.steps import drain


class Controller:
    """Runs no script; says what Slurm would say to each, in turn."""

    def __init__(self, *said: str, code: int = 0) -> None:
        self.asked: list[str] = []
        self._said = list(said)
        self._code = code

    def __call__(self, script: str) -> Answer:
        self.asked.append(script)
        return Answer(self._code, self._said.pop(0) if self._said else "", "slurm_update error: no such node")


def test_idle_nodes_are_drained_with_a_reason_of_ours(view: StepView) -> None:
    controller = Controller("")
    drain.drain(controller, ["cpu-0", "cpu-1"], view, force=False)
    (script,) = controller.asked
    assert "NodeName=cpu-0,cpu-1 State=DRAIN Reason='labctl: goes away'" in script
    assert "--nodelist=cpu-0,cpu-1" in script


def test_jobs_that_run_keep_the_nodes_and_the_nodes_take_jobs_again(view: StepView) -> None:
    controller = Controller("7 nucci research cpu-1\n9 nucci array cpu-[0-1]\n", "cpu-0\ncpu-1\n")
    with pytest.raises(JobsRunError, match="jobs run on nodes that are to go: cpu-0, cpu-1") as refused:
        drain.drain(controller, ["cpu-0", "cpu-1"], view, force=False)
    assert refused.value.why == "job 7: nucci research cpu-1\njob 9: nucci array cpu-[0-1]"
    assert "--force" in refused.value.hint
    assert "State=RESUME" in controller.asked[1]


def test_by_force_jobs_are_queued_again_before_their_nodes_go(view: StepView) -> None:
    controller = Controller("7 nucci research cpu-1\n")
    drain.drain(controller, ["cpu-1"], view, force=True)
    assert "for job in 7; do scontrol requeue" in controller.asked[1]
    assert "--nodelist=cpu-1" in controller.asked[1]  # until they have ended there
    assert "State=RESUME" not in controller.asked[1]


def test_what_slurm_refuses_is_said(view: StepView) -> None:
    with pytest.raises(LabError, match="cannot be told") as failed:
        drain.drain(Controller(code=1), ["cpu-1"], view, force=False)
    assert failed.value.why == "slurm_update error: no such node"


def test_those_that_were_drained_by_us_come_back() -> None:
    assert drain.resume(Controller("cpu-0\ncpu-1\n")) == ("cpu-0", "cpu-1")
