"""What keeps a lab from being as defined, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from labctl import troubles
from labctl.definition.loading import load
from labctl.definition.models import Definition
from labctl.services import ServiceStatus
from labctl.slurm import SlurmView
from labctl.status import NodeStatus
from labctl.steps import drain


@pytest.fixture(scope="module")
def full() -> Definition:
    return load("full")


def nodes(definition: Definition, **states: str) -> list[NodeStatus]:
    return [
        NodeStatus(
            node.name,
            states.get(node.name.replace("-", "_"), "running"),
            "",
            node.roles,
            node.cpus,
            node.memory,
            0,
        )
        for node in definition.machines()
    ]


def idle(definition: Definition, **changes: tuple[str, str]) -> SlurmView:
    everyone = {node.name: ("idle", "") for node in definition.machines() if "slurmd" in node.roles}
    return SlurmView(everyone | {name.replace("_", "-"): told for name, told in changes.items()}, ())


def said(definition: Definition, *looked: Any) -> tuple[str, ...]:
    return tuple(trouble.what for trouble in troubles.found(definition, *looked, lab="full"))


def hints(definition: Definition, *looked: Any) -> list[str]:
    return [trouble.hint for trouble in troubles.found(definition, *looked, lab="full")]


def test_a_lab_as_defined_has_no_problem(full: Definition) -> None:
    assert said(full, nodes(full), idle(full)) == ()


def test_a_node_that_slurm_never_heard_of_is_a_problem(full: Definition) -> None:
    view = SlurmView({"cpu-0": ("idle", ""), "cpu-1": ("idle", "")}, ())
    assert said(full, nodes(full), view) == ("gpu-0 is unknown: Slurm does not know it",)


def test_a_machine_that_does_not_run_is_the_problem_not_what_slurm_thinks_of_it(full: Definition) -> None:
    found = said(full, nodes(full, cpu_1="stopped", gpu_0="missing"), idle(full, cpu_1=("down*", "")))
    assert found == ("cpu-1 is stopped", "gpu-0 is missing")


def test_a_controller_that_says_nothing_is_a_problem(full: Definition) -> None:
    view = SlurmView({}, (), "slurmctld-0 did not answer within 20 s")
    assert said(full, nodes(full), view) == ("Slurm does not answer: slurmctld-0 did not answer within 20 s",)


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ("stopped", "labctl start full"),
        ("suspended", "labctl resume full"),
        ("missing", "labctl up --name full"),
        ("crashed", "labctl up --name full"),
    ],
)
def test_a_machine_that_is_away_is_brought_back(full: Definition, state: str, hint: str) -> None:
    assert hints(full, nodes(full, cpu_1=state), None) == [hint]


@pytest.mark.parametrize(
    ("told", "hint"),
    [
        (("down", "Not responding"), "labctl up --name full"),
        (("drained", drain.REASON), "labctl up --name full"),
        (("drained", "disk"), "labctl ssh --name full slurmctld-0 -- scontrol update nodename=cpu-0 state=resume"),
    ],
)  # fmt: skip
def test_a_node_that_slurm_does_not_use_is_given_back_by_who_took_it(
    full: Definition, told: tuple[str, str], hint: str
) -> None:
    assert hints(full, nodes(full), idle(full, cpu_0=told)) == [hint]


def test_a_service_that_is_not_active_is_a_problem_before_what_comes_of_it(full: Definition) -> None:
    asked = [ServiceStatus("slapd", "ldap-0", "failed"), ServiceStatus("munge", "cpu-0", "active")]
    view = SlurmView({}, (), "Unable to contact slurm controller")
    assert said(full, nodes(full), view, asked) == (
        "slapd on ldap-0 is failed",
        "Slurm does not answer: Unable to contact slurm controller",
    )
    first, second = hints(full, nodes(full), view, asked)
    assert first == "labctl converge full; or see labctl logs --name full ldap-0 -u slapd"
    assert second == "labctl converge full; or see labctl logs --name full slurmctld-0 -u slurmctld"


def test_a_node_that_does_not_answer_is_said_once(full: Definition) -> None:
    asked = [ServiceStatus(unit, "cpu-1", "unknown") for unit in ("slurmd", "munge", "sssd")]
    assert said(full, nodes(full), idle(full), asked) == ("cpu-1 does not answer",)
    assert "labctl stop full --nodes cpu-1 --force" in hints(full, nodes(full), idle(full), asked)[0]
