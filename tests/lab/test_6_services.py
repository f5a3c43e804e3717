"""A lab of several nodes with services: limits follow the definition, no job is lost while the database is away.

Backups come back, and secrets are replaced on every node while a job runs on two of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import DEADLINE, Said, User
from saved import wait_for

from labctl.resources import resource

pytestmark = pytest.mark.skipif(
    "LABCTL_TEST_SERVICES" not in os.environ,
    reason="some fifteen minutes more: LABCTL_TEST_SERVICES=1 make lab",
)
#: Who has the services: slurmctld, slurmdbd, MariaDB, slurmrestd, the registry; and users log in there.
LAB, CONTROLLER = "multi-node", "slurmctld-0"
COMPUTE = ("compute-0", "compute-1")
SERVICES = ("accounting", "rest", "registry", "login")
ON = tuple(word for service in SERVICES for word in ("--set", f"services.{service}=true"))


class Lab:
    """The lab, and how its nodes are asked."""

    def __init__(self, user: User) -> None:
        self.user = user

    def on(self, command: str, node: str = CONTROLLER) -> str:
        return self.user.ok("ssh", "--name", LAB, node, "--", command).out.strip()

    def everywhere(self, command: str) -> None:
        """Run it where jobs run."""
        self.user.ok("exec", "--name", LAB, "@slurmd", "--", command)

    def play(self, playbook: str) -> None:
        """Run a playbook of the project by hand, as the lab's inventory allows."""
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", f".labctl/{LAB}/inventory"]
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
        """What accounting says of a job, as soon as it says how that ended.

        Right after an outage the end of a job can be there before its beginning, under the name "allocation".
        """
        asked = f"sacct -nPX -j {job} -o JobName,State"
        ended = f"{asked} | grep -v ^allocation | grep -q COMPLETED"
        return self.on(f"for i in $(seq 60); do {ended} && break; sleep 1; done; {asked}")


@pytest.fixture(scope="module")
def lab(user: User) -> Iterator[Lab]:
    said = user.ok("up", LAB, *ON)
    assert "verified:" in said.out
    yield Lab(user)
    user("destroy", LAB)


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    assert lab.user.ok("converge", LAB, "--json").json()["changed"] == 0


# QOS are named in full: an account's list of them is replaced as a whole.
LIMITS = """vars.slurmdbd_qos=[
    {name: debug, options: {MaxSubmitJobsPerUser: 1}}, {name: narrow, options: {GrpTRES: {cpu: 1}}}]"""
ACCOUNTS = """vars.slurmdbd_accounts=[
    {name: guests}, {name: research, options: {QOS: [normal, debug, narrow]}}]"""
GONE = ("vars.slurmdbd_accounts=[{name: guests, state: absent}]", "vars.slurmdbd_purge=[qos]")


def accounted(lab: Lab) -> dict[str, set[str]]:
    """What accounting has: QOS with the limits that are changed here, and accounts with theirs."""
    asked = {
        "qos": "qos format=Name,MaxSubmitJobsPerUser,GrpTRES",
        "accounts": "account format=Account",
        "associations": "association format=Account,User,QOS",
    }
    return {kind: set(lab.on(f"sacctmgr -nP show {what}").splitlines()) for kind, what in asked.items()}


def test_limits_and_accounts_come_and_go_with_the_definition(lab: Lab) -> None:
    before = accounted(lab)
    assert "debug|2|" in before["qos"]
    lab.user.ok("up", LAB, *ON, "--no-verify", "--set", LIMITS, "--set", ACCOUNTS)
    now = accounted(lab)
    assert {"debug|1|", "narrow||cpu=1"} <= now["qos"]
    assert now["accounts"] - before["accounts"] == {"guests"}

    submit = "cd /tmp && runuser -u nucci -- sbatch --parsable --qos=narrow --output=/dev/null --wrap=true"
    wide = lab.on(f"{submit} --nodes=2")
    asked = f"squeue -h -j {wide} -o '%T %r'"
    waits = f"for i in $(seq 60); do {asked} | grep -q QOSGrp && break; sleep 1; done; {asked}"
    assert lab.on(waits) == "PENDING QOSGrpCpuLimit"
    lab.on(f"scancel {wide}")
    lab.on(f"{submit} --ntasks=1 --wait")  # what fits runs

    lab.on("sacctmgr -i add qos by-hand")
    lab.user.ok("up", LAB, *ON, "--no-verify", *(word for change in GONE for word in ("--set", change)))
    assert accounted(lab) == before
    lab.user.ok("up", LAB, *ON)  # the preset again, and verified


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
    """The id of a job that runs on two nodes and ends when it is told to."""
    lab.everywhere("rm -f /tmp/enough")
    script = "srun sh -c 'until [ -e /tmp/enough ]; do sleep 1; done'"
    options = "--nodes=2 --mem-per-cpu=128M --output=/dev/null --time=1:00:00"
    job = lab.on(f'cd /tmp && sbatch --parsable {options} --wrap="{script}"')
    lab.on(
        f"for i in $(seq 60); do squeue -h -j {job} -o %T | grep -q RUNNING && exit; sleep 1; done; exit 1"
    )
    return job


ASK = """
import json, ssl, sys, urllib.error, urllib.request as web
url, authority = sys.argv[1:]
request = web.Request(url, headers=json.load(sys.stdin))
try:
    print(web.urlopen(request, context=ssl.create_default_context(cafile=authority), timeout=60).status)
except urllib.error.HTTPError as error:
    print(error.code)
except urllib.error.URLError as error:
    print("untrusted" if isinstance(error.reason, ssl.SSLCertVerificationError) else error.reason)
"""


def answer(url: str, authority: str | Path, headers: Mapping[str, str] | None = None) -> str:
    """The code with which a server answers on this host, or that its certificate is none of that authority's."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, url, authority],
        input=json.dumps(headers or {}),  # a token is nothing for a command line
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def rest(lab: Lab, token: str) -> str:
    """How the REST daemon answers whoever shows this token."""
    to = lab.user.ok("config", LAB).json()
    shown = {"X-SLURM-USER-NAME": "root", "X-SLURM-USER-TOKEN": token}
    return answer(f"{to['rest_url']}/slurm/v0.0.38/ping", to["rest_ca"], shown)


def rotated(lab: Lab, job: str, *words: str) -> Said:
    """Rotate; the job goes on, and nothing is left to do."""
    said = lab.user.ok("rotate", *words, "--name", LAB, "--json")
    assert lab.on(f"squeue -h -j {job} -o '%T %D'") == "RUNNING 2"
    assert lab.user.ok("up", "--name", LAB, "--dry-run", "--json").json() == []
    return said


def nodes(said: Said, what: str) -> set[str]:
    """The nodes that this was seen of."""
    return {proof.partition(": ")[0] for proof in said.json()["proofs"] if what in proof}


def test_a_munge_key_is_replaced_while_a_job_runs_and_the_old_one_is_dead(lab: Lab, job: str) -> None:
    key = lab.user.ok("config", LAB, "--format", "munge", "--output", "old.key")
    assert key.out == ""
    old = lab.on("munge -n")
    said = rotated(lab, job, "munge")
    assert nodes(said, "reads what the new key signs") == {CONTROLLER, *COMPUTE}
    new = lab.on("munge -n", COMPUTE[0])
    lab.on(f"echo {new} | unmunge", COMPUTE[1])
    for node in (CONTROLLER, *COMPUTE):
        refused = lab.user("ssh", "--name", LAB, node, "--", f"echo {old} | unmunge")
        assert "Invalid credential" in refused.all
    lab.user.ok("config", LAB, "--format", "munge", "--output", "new.key")
    assert (lab.user.home / "old.key").read_bytes() != (lab.user.home / "new.key").read_bytes()


def test_tokens_of_an_old_key_are_refused(lab: Lab, job: str) -> None:
    old = lab.on("scontrol token lifespan=3600").partition("=")[2]
    assert rest(lab, old) == "200"
    rotated(lab, job, "jwt")
    assert rest(lab, old) != "200"
    assert rest(lab, lab.on("scontrol token lifespan=3600").partition("=")[2]) == "200"


def test_clients_trust_a_new_authority_and_the_old_one_no_more(lab: Lab, job: str) -> None:
    trusted, former = (lab.user.home / name for name in (f".labctl/{LAB}/ca.pem", "former.pem"))
    images = lab.user.ok("config", LAB).json()["registry_url"] + "/v2/"
    before = trusted.read_text()
    former.write_text(before)
    assert answer(images, former) == "200"
    said = rotated(lab, job, "tls", "--authority")
    assert nodes(said, "no certificate of the old authority") == {CONTROLLER, *COMPUTE}
    assert nodes(said, "docker-registry shows its new certificate") == {CONTROLLER}
    assert before not in trusted.read_text()
    assert (answer(images, trusted), answer(images, former)) == ("200", "untrusted")
    assert rest(lab, lab.on("scontrol token lifespan=3600").partition("=")[2]) == "200"


def test_passwords_are_replaced(lab: Lab, job: str) -> None:
    said = rotated(lab, job, "ldap")
    assert said.json()["proofs"] == [
        f"{CONTROLLER}: nucci logs in with the new password, and not with the old one"
    ]


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
    assert lab.on(f"squeue -h -j {job} -o '%T %D'") == "RUNNING 2"


def test_the_job_ends_well_and_reset_brings_no_old_secret_back(lab: Lab, job: str) -> None:
    lab.everywhere("touch /tmp/enough")
    asked = f"sacct -nPX -j {job} -o State,NNodes,ExitCode"
    waits = f"for i in $(seq 60); do {asked} | grep -q RUNNING || break; sleep 1; done; {asked}"
    assert lab.on(waits) == "COMPLETED|2|0:0"
    refused = lab.user("reset", LAB)
    assert refused.code != 0
    assert "secrets that were replaced since" in refused.all
