"""A lab with services: limits follow the definition, no job is lost while the database is away, backups come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import DEADLINE, Said, User
from saved import wait_for

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


# New secrets, while a job runs from the first to the last of them


@pytest.fixture(scope="module")
def job(lab: Lab) -> str:
    """The id of a job that ends when it is told to."""
    lab.on("rm -f /tmp/enough")
    script = "srun sh -c 'until [ -e /tmp/enough ]; do sleep 1; done'"
    job = lab.on(f'cd /tmp && sbatch --parsable --output=/dev/null --time=1:00:00 --wrap="{script}"')
    lab.on(
        f"for i in $(seq 60); do squeue -h -j {job} -o %T | grep -q RUNNING && exit; sleep 1; done; exit 1"
    )
    return job


def rest(lab: Lab, token: str) -> str:
    """The code with which the REST daemon answers whoever shows this token."""
    to = lab.user.ok("config", LAB).json()
    script = (
        "import ssl, sys, urllib.error, urllib.request as web\n"
        f"request = web.Request('{to['rest_url']}/slurm/v0.0.38/ping')\n"
        "request.add_header('X-SLURM-USER-NAME', 'root')\n"
        "request.add_header('X-SLURM-USER-TOKEN', sys.stdin.read().strip())\n"
        f"trusted = ssl.create_default_context(cafile='{to['rest_ca']}')\n"
        "try:\n"
        "    print(web.urlopen(request, context=trusted, timeout=60).status)\n"
        "except urllib.error.HTTPError as error:\n"
        "    print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=token,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def rotated(lab: Lab, job: str, *words: str) -> Said:
    """Rotate; the job goes on, and nothing is left to do."""
    said = lab.user.ok("rotate", *words, "--name", LAB, "--json")
    assert lab.on(f"squeue -h -j {job} -o %T") == "RUNNING"
    assert lab.user.ok("up", "--name", LAB, "--dry-run", "--json").json() == []
    return said


def test_a_munge_key_is_replaced_while_a_job_runs_and_the_old_one_is_dead(lab: Lab, job: str) -> None:
    key = lab.user.ok("config", LAB, "--format", "munge", "--output", "old.key")
    old = lab.on("munge -n")
    rotated(lab, job, "munge")
    assert key.out == ""
    assert "Invalid credential" in lab.user("ssh", "--name", LAB, NODE, "--", f"echo {old} | unmunge").all
    lab.user.ok("config", LAB, "--format", "munge", "--output", "new.key")
    assert (lab.user.home / "old.key").read_bytes() != (lab.user.home / "new.key").read_bytes()


def test_tokens_of_an_old_key_are_refused(lab: Lab, job: str) -> None:
    old = lab.on("scontrol token lifespan=3600").partition("=")[2]
    assert rest(lab, old) == "200"
    rotated(lab, job, "jwt")
    assert rest(lab, old) != "200"
    assert rest(lab, lab.on("scontrol token lifespan=3600").partition("=")[2]) == "200"


def test_clients_trust_a_new_authority_and_the_old_one_no_more(lab: Lab, job: str) -> None:
    trusted = lab.user.home / ".labctl" / LAB / "ca.pem"
    before = trusted.read_text()
    said = rotated(lab, job, "tls", "--authority")
    assert any("no certificate of the old authority" in proof for proof in said.json()["proofs"])
    assert before not in trusted.read_text()
    assert rest(lab, lab.on("scontrol token lifespan=3600").partition("=")[2]) == "200"


def test_passwords_are_replaced(lab: Lab, job: str) -> None:
    said = rotated(lab, job, "ldap")
    assert said.json()["proofs"] == [f"{NODE}: nucci logs in with the new password, and not with the old one"]


def test_what_was_cut_off_is_brought_to_its_end_by_up(lab: Lab, job: str) -> None:
    record, secrets = (lab.user.home / ".labctl" / LAB / name for name in ("record.json", "secrets.yml"))
    rotating = lab.user.start("rotate", "munge", "--name", LAB)
    wait_for("the new key is kept", DEADLINE, lambda: '"rotating": "munge"' in record.read_text())
    os.kill(rotating.pid, signal.SIGINT)
    rotating.communicate(timeout=DEADLINE)
    key = secrets.read_text()
    assert "did not reach every node" in lab.user.ok("up", "--name", LAB, "--dry-run").out
    lab.user.ok("up", "--name", LAB)
    assert secrets.read_text() == key
    assert lab.user.ok("up", "--name", LAB, "--dry-run", "--json").json() == []
    assert lab.on(f"squeue -h -j {job} -o %T") == "RUNNING"


def test_the_job_ends_well_and_reset_brings_no_old_secret_back(lab: Lab, job: str) -> None:
    lab.on("touch /tmp/enough")
    asked = f"scontrol -o show job {job} | grep -o JobState=.*COMPLETED"
    assert lab.on(f"for i in $(seq 60); do {asked} && exit; sleep 1; done; exit 1")
    refused = lab.user("reset", LAB)
    assert refused.code != 0
    assert "secrets that were replaced since" in refused.all
