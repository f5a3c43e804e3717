"""A lab with login: verified, the same after a second run, and compute nodes are open again once it is turned off."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from conftest import Said, User

pytestmark = pytest.mark.skipif(
    "LABCTL_TEST_SERVICES" not in os.environ, reason="some five minutes more: LABCTL_TEST_SERVICES=1 make lab"
)
LAB, NODE = "multi-node", "compute-0"
ON = ("--set", "services.login=true")


def enter(user: User) -> Said:
    """What a user without a job is told on a compute node."""
    anew = ("-o", "ControlPath=none", "-o", "LogLevel=INFO")
    return user("ssh", "--name", LAB, *anew, "-l", "nucci", NODE, "--", "id", "-un")


@pytest.fixture(scope="module")
def lab(user: User) -> Iterator[User]:
    assert "verified:" in user.ok("up", LAB, *ON).out
    yield user
    user("destroy", LAB)


def test_a_second_run_changes_nothing_and_check_foretells_that(lab: User) -> None:
    for mode in ((), ("--check",)):
        assert lab.ok("converge", LAB, *mode, "--json").json()["changed"] == 0


def test_compute_nodes_are_for_jobs_until_that_is_turned_off(lab: User) -> None:
    refused = enter(lab)
    assert refused.code != 0
    assert "no active jobs on this node" in refused.all
    lab.ok("up", LAB)
    assert enter(lab).out.strip() == "nucci"
