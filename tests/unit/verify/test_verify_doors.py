"""Who gets in on a compute node that is for jobs: what is tried, in which order, and what is left behind."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from clusterfacts import connection, doors
from clusterfacts.account import Account
from clusterfacts.connection import Answer, NodeError
from clusterfacts.topology import User

ANN = Account(User("ann", 10000, 10000, "/home/ann", "/bin/bash"), "", Path("/key"), "login-0")


class Cluster:
    """A controller, and a node that lets a user in as long as there is a job."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.said: list[str] = []
        self.there = False

    def login(self, node: str, user: str, _key: Path | None, script: str) -> list[str]:
        return ["ssh", user, node, script]

    def command(self, node: str, script: str) -> list[str]:
        return ["ssh", "-o", "ControlPath=shared", "root", node, script]

    def ask(self, node: str, script: str, *, deadline: float = 0) -> Answer:  # noqa: ARG002 - as the real one has it
        self.said.append(f"{node}: {script}")
        self.there = script == "occupy" and self.job.startswith("RUNNING")
        return Answer(0, f"{self.job}\n" if script == "occupy" else "", "")

    def run(self, command: list[str], **_: object) -> Answer:
        if "root" in command:
            assert command.index("ControlPath=none") < command.index(
                "ControlPath=shared"
            )  # ssh takes the first
            return Answer(0, "root\n", "")
        if "login-0" in command:
            self.said.append(f"login-0: {command[-1]}")
        else:
            assert "LogLevel=INFO" in command
        if not self.there:
            raise NodeError("cpu-0 cannot be reached: no active jobs on this node")
        return Answer(0, "ann\n0::/job_7/step_extern\n", "")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for the PATH, with an ssh to be written and a sleep that takes no time."""
    for name in ("ssh", "sleep"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def tried(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, login: str | None = None) -> doors.Doors:
    monkeypatch.setattr(connection, "run", cluster.run)
    return doors.tried("cpu-0", "ctl-0", cluster, ANN, "occupy", login=login)  # type: ignore[arg-type]


def test_a_user_is_tried_without_a_job_and_with_one_which_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster("RUNNING 7")
    seen = tried(monkeypatch, cluster)
    assert (seen.without.open, seen.inside.open, seen.admin.open, seen.job) == (False, True, True, "7")
    assert "no active jobs" in seen.without.said
    assert cluster.said == ["ctl-0: occupy", "ctl-0: scancel --quiet 7"]


def test_a_user_goes_on_from_the_login_node_while_there_is_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster("RUNNING 7")
    seen = tried(monkeypatch, cluster, "login-0")
    assert seen.through is not None
    assert seen.through.open
    _, went, ended = cluster.said
    assert went.startswith("login-0: bash -lc ")
    assert "ssh -o BatchMode=yes -o UserKnownHostsFile=/dev/null cpu-0 " in went
    assert ended == "ctl-0: scancel --quiet 7"
    assert tried(monkeypatch, Cluster("RUNNING 7")).through is None


def test_the_way_on_is_tried_again_until_it_opens(monkeypatch: pytest.MonkeyPatch, programs: Path) -> None:
    cluster = Cluster("RUNNING 7")
    tried(monkeypatch, cluster, "login-0")
    *_, script = shlex.split(cluster.said[1])  # without the login shell, whose profile would choose the PATH
    for opens, exit_code in ((3, 0), (9, 1)):
        tries = programs / "tries"
        tries.write_text("")
        (programs / "ssh").write_text(f"#!/bin/sh\necho try >> {tries}; [ $(wc -l < {tries}) -ge {opens} ]\n")
        path = {"PATH": f"{programs}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", script], check=False, env=path, timeout=60)
        assert done.returncode == exit_code
        assert len(tries.read_text().split()) == min(opens, 5)


@pytest.mark.parametrize(("answer", "ended"), [("PENDING 7", 1), ("sbatch: error: no such partition", 0)])
def test_a_job_that_does_not_run_is_said_and_ended(
    monkeypatch: pytest.MonkeyPatch, answer: str, ended: int
) -> None:
    cluster = Cluster(answer)
    with pytest.raises(NodeError, match="not running"):
        tried(monkeypatch, cluster)
    assert len(cluster.said) == 1 + ended
