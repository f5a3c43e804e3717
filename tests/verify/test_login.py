"""Logging in: on a login node everybody, on a compute node whoever has a job there, and inside of that job."""

from __future__ import annotations

import pytest
from clusterfacts.connection import Answer
from clusterfacts.doors import Doors, Entry
from clusterfacts.topology import Topology, User

#: As pam_slurm_adopt words it.
NO_JOB = "no active jobs on this node"
#: limits.conf(5): units in which an item is counted, in those of setrlimit(2).
UNITS = {"cpu": 60, "as": 1024, "core": 1024, "data": 1024, "fsize": 1024, "memlock": 1024, "stack": 1024}


@pytest.mark.needs("login", "slurmctld")
def test_login_node_has_slurms_commands(topology: Topology, login: Answer) -> None:
    assert login.stdout.splitlines()[4:5] == ["/usr/bin/sinfo"], (
        f"{topology.entrance}: a user's shell has no sinfo: {login.stdout}{login.stderr}"
    )


@pytest.mark.needs("login")
def test_limits_of_the_login_node_hold(topology: Topology, login: Answer) -> None:
    wanted = topology.var(topology.entrance, "login_limits", {})
    if not wanted:
        pytest.skip("the inventory sets no login_limits")
    seen = dict(line.split() for line in login.stdout.splitlines()[5:])
    expected = {
        item.upper(): str(value * UNITS.get(item, 1))
        for item, value in wanted.items()
        if isinstance(value, int)
    }
    got = {name: seen.get(name) for name in expected}
    assert got == expected, f"{topology.entrance}: a user's limits are {got}, expected {expected}"


def assert_inside(user: User, doors: Doors, seen: Entry) -> None:
    """Whoever got in on the compute node is the user, and is in the job."""
    name, *cgroups = seen.said.splitlines()
    assert name == user.name, f"{doors.node}: logged in as {name}, expected {user.name}"
    assert any(one.startswith("0::") and f"/job_{doors.job}/" in one for one in cgroups), (
        f"{doors.node}: the shell of {user.name} is in {cgroups}, expected a cgroup of the job {doors.job}"
    )


@pytest.mark.needs("slurmctld")
def test_user_without_a_job_is_refused_on_a_compute_node(user: User, doors: Doors) -> None:
    seen = doors.without
    assert not seen.open, f"{doors.node}: {user.name} got in without a job: {seen.said}"
    assert NO_JOB in seen.said, (
        f"{doors.node}: {user.name} was refused, but not by pam_slurm_adopt: {seen.said}"
    )


@pytest.mark.needs("slurmctld")
def test_user_with_a_job_gets_in_and_is_inside_of_it(user: User, doors: Doors) -> None:
    seen = doors.inside
    assert seen.open, f"{doors.node}: {user.name} was refused in spite of the job {doors.job}: {seen.said}"
    assert_inside(user, doors, seen)


@pytest.mark.needs("login", "slurmctld")
def test_user_goes_from_the_login_node_to_the_node_of_their_job(
    topology: Topology, user: User, doors: Doors
) -> None:
    seen = doors.through
    if seen is None:
        pytest.skip("the inventory has no login node with login_user_keys")
    way = f"from {topology.key_maker} to {doors.node}"
    assert seen.open, f"{way}: {user.name} was refused in spite of the job {doors.job}: {seen.said}"
    assert_inside(user, doors, seen)


@pytest.mark.needs("slurmctld")
def test_whoever_administers_the_node_gets_in_without_a_job(doors: Doors) -> None:
    assert doors.admin.open, f"{doors.node}: the inventory's own user is refused: {doors.admin.said}"
