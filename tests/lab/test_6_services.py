"""A lab with services: limits follow the definition, no job is lost while the database is away, backups come back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import DEADLINE, User

from labctl.resources import resource

pytestmark = pytest.mark.skipif(
    "LABCTL_TEST_SERVICES" not in os.environ, reason="some ten minutes more: LABCTL_TEST_SERVICES=1 make lab"
)
LAB, NODE = "cpu", "cpu-0"
ON = ("--set", "services.accounting=true", "--set", "services.rest=true")


class Lab:
    """The lab, and its one node."""

    def __init__(self, user: User) -> None:
        self.user = user

    def on(self, command: str) -> str:
        return self.user.ok("ssh", "--name", LAB, NODE, "--", command).out.strip()

    def play(self, playbook: str) -> None:
        """Run a playbook of the project by hand, as the lab's inventory allows."""
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", ".labctl/cpu/inventory"]
        roles = {**os.environ, "ANSIBLE_ROLES_PATH": str(resource("roles"))}
        done = subprocess.run(
            [*command, resource("playbooks") / f"{playbook}.yml"],
            cwd=self.user.home, env=roles, capture_output=True, text=True, check=False, timeout=DEADLINE,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def job(self, name: str) -> str:
        """The id of a job that has ended."""
        return self.on(
            f"cd /tmp && sbatch --wait --parsable --job-name={name} --output=/dev/null --wrap=true"
        )

    def known(self, job: str) -> str:
        """What accounting says of a job, as soon as it says how that ended."""
        asked = f"sacct -nPX -j {job} -o JobName,State"
        return self.on(f"for i in $(seq 60); do {asked} | grep -q COMPLETED && break; sleep 1; done; {asked}")


@pytest.fixture(scope="module")
def lab(user: User) -> Iterator[Lab]:
    said = user.ok("up", LAB, *ON)
    assert "verified:" in said.out
    yield Lab(user)
    user("destroy", LAB)


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    assert lab.user.ok("converge", LAB, "--json").json()["changed"] == 0


def test_a_limit_that_is_changed_in_the_definition_is_changed_in_the_lab(lab: Lab) -> None:
    lab.user.ok(
        "up",
        LAB,
        *ON,
        "--no-verify",
        "--set",
        "vars.slurmdbd_qos=[{name: debug, options: {MaxSubmitJobsPerUser: 1}}]",
    )
    assert lab.on("sacctmgr -nP show qos where name=debug format=MaxSubmitJobsPerUser") == "1"
    lab.user.ok("up", LAB, *ON, "--no-verify")
    assert lab.on("sacctmgr -nP show qos where name=debug format=MaxSubmitJobsPerUser") == "2"


def test_jobs_run_while_the_database_is_away_and_are_accounted_for_afterwards(lab: Lab) -> None:
    lab.on("systemctl stop slurmdbd mariadb")
    job = lab.job("without-database")
    assert "is UP" in lab.on("scontrol ping")
    services = {one["name"]: one["state"] for one in lab.user("status", LAB, "--json").json()["services"]}
    assert services["slurmdbd"] == services["mariadb"] == "inactive"
    lab.on("systemctl start mariadb slurmdbd")
    assert lab.known(job) == "without-database|COMPLETED"


def test_a_restore_brings_back_what_was_and_jobs_go_on_being_accounted(lab: Lab) -> None:
    before = lab.job("before-the-backup")
    assert lab.known(before) == "before-the-backup|COMPLETED"
    lab.play("mariadb_backup")
    lab.on("sacctmgr -i add account made-afterwards")
    lab.play("mariadb_restore")
    assert lab.known(before) == "before-the-backup|COMPLETED"
    assert "made-afterwards" not in lab.on("sacctmgr -nP show account format=account")
    assert lab.known(lab.job("after-the-restore")) == "after-the-restore|COMPLETED"
