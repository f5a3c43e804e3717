"""Jobs and functions over SSH: what Slurm's commands are asked, and how their answers are read."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from programs import Programs

from labctl.errors import LabError
from labctl.reach.parallel import Outcome
from labctl.testing import Cluster, JobError, RemoteError, slurm
from labctl.testing.backend import Look
from labctl.testing.facts import default_test_config
from labctl.testing.slurm import SlurmBackend

# Slurm in a few lines: a job is over when sbatch comes back.
SBATCH = """
[ "$1" = --parsable ] && shift
case $(cat "$1") in *--partition=nope*) echo "invalid partition specified: nope" >&2; exit 1;; esac
folder=$PWD
SLURM_JOB_ID=7 SLURM_SUBMIT_DIR=$folder bash "$@" >stdout 2>stderr
code=$?
state=COMPLETED
[ $code = 0 ] || state=FAILED
cat >"$PROGRAMS/job" <<END
JobId=7 JobName=a JobState=NONSENSE
   UserId=nucci(10000) GroupId=nucci(10000) MCS_label=N/A
   JobState=$state Reason=None Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=$code:0
   ReqNodeList=(null) ExcNodeList=(null)
   NodeList=cpu-0
   Command=$folder/script 1 2
   WorkDir=$folder
   StdErr=$folder/stderr
   StdOut=$folder/stdout
END
echo 7
"""
SCONTROL = 'cat "$PROGRAMS/job" || { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }'


class LocalLab:
    """A lab whose nodes are all here."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def nodes(self, pattern: str) -> tuple[str, ...]:
        return tuple(pattern.split(","))

    def unreachable(self, nodes: Sequence[str]) -> dict[str, LabError]:
        del nodes
        return {}

    def ssh_command(
        self, node: str, command: Sequence[str] = (), *, user: str | None = None, tty: bool | None = None
    ) -> list[str]:
        assert tty is False
        return [
            "env",
            f"HOME={self.home}",
            f"NODE={node}",
            f"LOGNAME={user}",
            "SHELL=/bin/sh",
            "sh",
            "-c",
            *command,
        ]


@pytest.fixture
def cluster(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    programs.add("sbatch", SBATCH)
    programs.add("scontrol", SCONTROL)
    programs.add("scancel")
    programs.add("sacct", "exit 1")
    monkeypatch.setattr(SlurmBackend, "_connection", default_test_config())
    lab: Any = LocalLab(tmp_path)
    return Cluster(SlurmBackend(lab))


def test_a_job_has_a_folder_of_its_own_and_its_output_is_read_from_there(
    cluster: Cluster, tmp_path: Path
) -> None:
    job = cluster.submit('echo "$1 in $PWD"; echo bad >&2', "a b").wait(60)
    (folder,) = (tmp_path / "slurm_jobs").iterdir()
    assert (job.job_id, job.state, job.nodes, job.result) == ("7", "COMPLETED", "cpu-0", f"a b in {folder}")
    assert job.stderr == "bad\n"


def test_a_function_runs_in_its_job(cluster: Cluster) -> None:
    def product(first: int, second: int) -> tuple[int, int]:
        print("at work")
        return first * second, sys.version_info[0]

    job = cluster.submit(product, 6, 7, python=sys.executable).wait(60)
    assert job.result == (42, 3)
    assert job.stdout == "at work\n"


def test_what_sbatch_refuses_is_an_error_with_its_words_and_the_script(cluster: Cluster) -> None:
    with pytest.raises(JobError, match="could not be submitted") as caught:
        cluster.submit("true", partition="nope")
    assert caught.value.why == "invalid partition specified: nope"
    assert "#SBATCH --partition=nope" in caught.value.hint


def test_a_job_that_slurm_has_forgotten_is_an_error_and_what_was_seen_of_it_stays(
    cluster: Cluster, programs: Programs
) -> None:
    seen, unseen = cluster.submit("echo 1").wait(60), cluster.submit("echo 2")
    (programs.folder / "job").unlink()
    assert (seen.state, seen.result) == ("COMPLETED", "1")
    with pytest.raises(JobError, match="does not know the job 7"):
        _ = unseen.state


def test_a_job_that_is_over_is_not_cancelled(cluster: Cluster, programs: Programs) -> None:
    job = cluster.submit("true")
    job.cancel()
    job.wait(60).cancel()
    assert programs.calls("scancel") == ["7"]


def test_functions_run_with_each_node_s_python_and_are_heard_in_full(cluster: Cluster) -> None:
    @cluster.on("a,b", python=sys.executable, user="ann")
    def where() -> tuple[str, str]:
        import os  # noqa: PLC0415

        print("said\n" * 3, end="")
        return os.environ["NODE"], os.environ["LOGNAME"]

    results = where()
    assert results.return_values == {"a": ("a", "ann"), "b": ("b", "ann")}
    assert results["b"].stdout == "said\n" * 3


def test_a_process_that_dies_is_an_error_that_says_how(cluster: Cluster) -> None:
    @cluster.on("a", python=sys.executable)
    def dies() -> None:
        import os  # noqa: PLC0415

        os.write(2, b"last words\n")
        os._exit(9)

    with pytest.raises(RemoteError, match="did not come to its end on a: exit code 9") as caught:
        dies()
    assert caught.value.why == "last words"


def test_a_node_without_that_python_says_so(cluster: Cluster) -> None:
    with pytest.raises(RemoteError, match="exit code 127") as caught:
        cluster.on("a", python="python9")(lambda: 1)()
    assert "python9" in caught.value.why


def test_a_connection_that_is_lost_is_said(cluster: Cluster, programs: Programs) -> None:
    with pytest.raises(RemoteError, match="exit code 255") as caught:
        cluster.execute("exit 255", "a")
    assert caught.value.why == "the node cannot be reached by SSH, or the connection was lost"
    job = cluster.submit("true")
    programs.add("scontrol", "exit 1")
    programs.add("sacct", "exit 255")
    with pytest.raises(JobError, match="the job 7 cannot be looked at"):
        job.wait(60)


def test_a_look_that_is_lost_is_taken_again(cluster: Cluster, programs: Programs) -> None:
    job = cluster.submit("echo 1")
    programs.add("scontrol", f'[ -e "$PROGRAMS/once" ] || {{ touch "$PROGRAMS/once"; exit 1; }}\n{SCONTROL}')
    programs.add("sacct", "exit 255")
    assert job.wait(60).result == "1"


def test_a_command_is_cut_off_at_its_deadline(cluster: Cluster) -> None:
    with pytest.raises(RemoteError, match="exit code 124"):
        cluster.execute("sleep 600", "a", timeout=1)


@pytest.mark.parametrize(
    ("text", "look"),
    [
        (
            "   JobState=PENDING Reason=Resources Dependency=(null)\n   NodeList=(null)\n",
            Look("PENDING", "Resources"),
        ),
        (
            "   JobState=CANCELLED Reason=None Dependency=(null)\n   Reboot=0 ExitCode=0:15\n   NodeList=cpu-[0-1]\n",
            Look("CANCELLED", "", 143, "cpu-[0-1]"),
        ),
        ("CANCELLED by 10000|None|0:15|cpu-0\n", Look("CANCELLED", "", 143, "cpu-0")),
        ("", None),
    ],
)
def test_what_slurm_says_of_a_job_is_read(text: str, look: Look | None) -> None:
    assert slurm.parse(text) == look


def test_an_answer_is_parted_from_what_was_said() -> None:
    assert slurm.called(Outcome(0, "a\nb\n\nmark:aGk=\n", ""), "mark:").answer == b"hi"
    assert slurm.called(Outcome(0, "a\nb\n\nmark:aGk=\n", ""), "mark:").stdout == "a\nb\n"
    assert slurm.called(SimpleNamespace(exit_code=1, stdout="a", stderr="e"), "mark:").answer is None  # type: ignore[arg-type]


def _pythons() -> list[str]:
    """Other Pythons of this host that run."""
    found = [shutil.which(f"python3.{minor}") for minor in range(6, 16) if minor != sys.version_info[1]]
    return [
        path
        for path in found
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
    ]


@pytest.mark.skipif(not _pythons(), reason="this host has one Python alone")
def test_nodes_may_have_another_python(cluster: Cluster) -> None:
    scale = {"by": 2}

    def version(number: int) -> tuple[int, list[int]]:
        return number * scale["by"], list(sys.version_info[:2])

    def fails() -> None:
        raise ValueError("over there")

    for python in _pythons():
        doubled, (_, minor) = cluster.on("a", python=python)(version)(21).return_value
        assert doubled == 42
        assert minor != sys.version_info[1]
        with pytest.raises(ValueError, match="over there") as caught:
            cluster.on("a", python=python)(fails)()
        assert f"(Python 3.{minor}" in caught.value.__notes__[0]
