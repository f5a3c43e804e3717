"""`labctl scale`: counts on the command line become a definition that is brought up."""

from __future__ import annotations

import json

import pytest
from fake_lab import Cli, FakeLab

from labctl.definition.loading import load
from labctl.errors import JobsRunError
from labctl.plan import Action


@pytest.fixture(autouse=True)
def _full(lab: FakeLab) -> None:
    lab.definition = load("full")


def nodes(lab: FakeLab) -> str:
    return " ".join(node.name for node in lab.definition.machines() if "slurmd" in node.roles)


def test_a_group_gets_so_many_nodes_and_the_lab_is_brought_up(cli: Cli, lab: FakeLab) -> None:
    run = cli("scale", "cpu=3", "gpu=2")
    assert run.code == 0
    assert run.out.startswith("full: running")
    assert lab.calls == ["find None", "define full auto", "up verify=True fresh=False as they are"]
    assert nodes(lab) == "cpu-0 cpu-1 cpu-2 gpu-0 gpu-1"
    assert str(lab.base) == "/labs"


def test_its_options_are_those_of_up(cli: Cli, lab: FakeLab) -> None:
    cli("scale", "--name", "full", "cpu=1", "--no-verify", "--force")
    assert lab.calls[0] == "find full"
    assert lab.calls[-1] == "up verify=False fresh=False force as they are"
    assert json.loads(cli("scale", "cpu=1", "--json").out)["changed"] is True


def test_the_plan_alone(cli: Cli, lab: FakeLab) -> None:
    lab.actions = (Action("create", "cpu-2", "it has no machine yet"),)
    assert "create  cpu-2  live" in cli("scale", "cpu=3", "--dry-run").out
    assert json.loads(cli("scale", "cpu=3", "--dry-run", "--json").out)[0]["node"] == "cpu-2"
    assert not any(call.startswith("up") for call in lab.calls)


def test_jobs_on_nodes_that_go_are_an_exit_code_of_their_own(cli: Cli, lab: FakeLab) -> None:
    lab.failure = JobsRunError("jobs run on nodes that are to go: cpu-1")
    assert cli("scale", "cpu=1").code == JobsRunError.exit_code


def test_an_unknown_group_is_told_which_one_was_meant(cli: Cli, lab: FakeLab) -> None:
    run = cli("scale", "cpus=3")
    assert run.code == 2
    assert "no group 'cpus' of nodes that compute; did you mean 'cpu'?" in run.err
    assert lab.calls == ["find None"]


@pytest.mark.parametrize("words", [["cpu"], ["cpu="], ["=4"], ["cpu=many"], ["cpu=-1"], ["full", "cpu=4"]])
def test_what_is_no_count_is_told_the_form(cli: Cli, lab: FakeLab, words: list[str]) -> None:
    run = cli("scale", *words)
    assert run.code == 2
    assert "is not of the form GROUP=COUNT" in run.err
    assert "labctl scale cpu=4" in run.err
    assert lab.calls == []


def test_nobody_can_want_two_counts_of_one_group(cli: Cli) -> None:
    assert "cpu is counted twice" in cli("scale", "cpu=4", "cpu=5").err
