"""Reaching into the lab `full`: commands, files, logs and an archive, and nothing left behind on a node."""

from __future__ import annotations

import json
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from conftest import User
from ruamel.yaml import YAML

COMPUTE = ["cpu-0", "cpu-1", "gpu-0"]


def await_that(what: str, true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"{what}: not within 60 s"
        time.sleep(0.5)


def interrupt(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=60)


def test_ctrl_c_ends_a_command_on_all_nodes(full: User) -> None:
    running = full.start(
        "exec", "--name", "full", "@slurmd", "--", "touch /run/begun; sleep 4321 & sleep 4322"
    )
    begun = ("exec", "--name", "full", "@slurmd", "--", "test -e /run/begun")
    await_that("the command begins on all nodes", lambda: full(*begun).code == 0)
    assert interrupt(running) == 130
    left = full("exec", "--name", "full", "@slurmd", "--", "rm /run/begun; pgrep --list-full --exact sleep")
    assert "432" not in left.out


def test_files_go_to_many_nodes_and_come_back_from_each(full: User) -> None:
    (full.home / "job.sh").write_text("hostname >/tmp/name\n")
    full.ok("cp", "--name", "full", "job.sh", "@slurmd:/tmp/")
    full.ok("exec", "--name", "full", "@slurmd", "--", "sh /tmp/job.sh")
    full.ok("cp", "--name", "full", "@slurmd:/tmp/name", "@slurmd:/tmp/job.sh", "back/")
    for node in COMPUTE:
        assert (full.home / "back" / node / "name").read_text() == f"{node}\n"
        assert (full.home / "back" / node / "job.sh").read_text() == "hostname >/tmp/name\n"
    said = full("cp", "--name", "full", "slurmctld-0,cpu-0:/etc/slurm/slurm.conf", "cpu-1:/nope", "confs")
    assert said.code == 1
    assert said.err.endswith("cpu-1: exited with 1\n")
    assert sorted(path.name for path in (full.home / "confs").iterdir()) == ["cpu-0", "slurmctld-0"]


def test_the_logs_of_all_nodes_are_one(full: User) -> None:
    full.ok("ssh", "--name", "full", "-l", "nucci", "slurmctld-0", "--", "srun -N 2 -p cpu true")
    lines = full.ok("logs", "--name", "full", "--json", "-u", "slurmctld", "-u", "slurmd", "-n", "40").out
    entries = [json.loads(line) for line in lines.splitlines()]
    assert {entry["node"] for entry in entries} == {"slurmctld-0", *COMPUTE}
    times = [int(entry["__REALTIME_TIMESTAMP"]) for entry in entries]
    assert times == sorted(times)
    # What slurmstepd says is in the file alone; what slurmctld says is in file and journal, and here once.
    assert any("done with job" in entry["MESSAGE"] for entry in entries if entry["node"] == "cpu-0")
    last = next(entry["MESSAGE"] for entry in reversed(entries) if "_job_complete" in entry["MESSAGE"])
    job = last.partition("_job_complete: ")[2]
    assert sum(entry["MESSAGE"].endswith(f"_job_complete: {job}") for entry in entries) == 1


def test_logs_are_followed_until_ctrl_c(full: User) -> None:
    following = full.start("logs", "--name", "full", "-f", "-n", "0", "@slurmd")
    asked = "pgrep --list-full journalctl | grep --count follow"
    await_that("journalctl follows", lambda: full("exec", "--name", "full", "@slurmd", "--", asked).code == 0)
    full.ok("ssh", "--name", "full", "cpu-1", "--", "logger --tag test we are followed")
    assert following.stdout is not None
    line = next(line for line in following.stdout if "we are followed" in line)
    assert line.startswith("cpu-1  ")
    assert interrupt(following) == 0
    left = full("exec", "--name", "full", "@slurmd", "--", "pgrep --list-full 'journalctl|tail'")
    assert left.out == ""


def test_an_archive_has_all_of_the_lab_and_none_of_its_secrets(full: User, tmp_path: Path) -> None:
    facts = full.ok("collect", "full", "-o", str(tmp_path / "bug.tar.gz"), "--json").json()
    assert not [part for part in facts["parts"] if part["problem"]]
    with tarfile.open(facts["archive"]) as archive:
        archive.extractall(tmp_path, filter="data")
    top = tmp_path / "bug"
    found = {str(path.relative_to(top)): path for path in top.rglob("*") if path.is_file()}
    for name in ("lab/lab.yml", "lab/logs/verify.log", "nodes/ldap-0/journal.log", "nodes/gpu-0/sinfo.txt"):
        assert found[name].stat().st_size > 0
    assert "SlurmctldHost" in found["nodes/cpu-0/etc/slurm/slurm.conf"].read_text()
    assert "/home" in found["nodes/nfs-0/etc/exports.d/nfs_server.exports"].read_text()
    assert "slurmctld version" in found["nodes/slurmctld-0/var/log/slurm/slurmctld.log"].read_text()
    lab = full.home / ".labctl/full"
    secrets = YAML(typ="safe").load(lab / "secrets.yml")
    hidden = [secrets["munge_key"], *secrets["passwords"].values(), *secrets["password_hashes"].values()]
    for pem in (secrets["ca_key"], *secrets["private_keys"].values(), (lab / "id_ed25519").read_text()):
        hidden += [line for line in pem.splitlines() if "-----" not in line]
    for name, path in found.items():
        content = path.read_text(errors="replace")
        assert not [secret for secret in hidden if secret in content], f"a secret is in {name}"
