"""`labctl collect`: what gets into the archive and what does not. The nodes' files are in folders here."""

from __future__ import annotations

import json
import os
import shlex
import stat
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_lab import Cli, FakeLab
from render_layouts import a_layout

from labctl import secrets
from labctl.reach import collecting
from labctl.render.layout import Secrets

# As on a node: each says its name and how it was asked.
SAYS = "#!/bin/sh\necho $NODE: ${0##*/} $*\n"
PROGRAMS = ("journalctl", "dmesg", "systemctl", "dpkg-query", "df", "free", "uptime", "ip", "findmnt")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What every node has below /, but for the programs."""
    programs, root = tmp_path / "programs", tmp_path / "node"
    programs.mkdir()
    for program in PROGRAMS:
        (programs / program).write_text(SAYS)
        (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    for folder in ("etc/slurm", "etc/sssd", "var/log/slurm"):
        (root / folder).mkdir(parents=True)
    monkeypatch.setattr(
        collecting, "FILES", (f"{root}/etc/slurm", f"{root}/etc/sssd", f"{root}/var/log/slurm")
    )
    (root / "etc/slurm/slurm.conf").write_text("ClusterName=full\n")
    (root / "var/log/slurm/slurmd.log").write_text("[2026-01-31T12:00:00.000] started\n")
    (root / "var/log/slurm/slurmd.log").chmod(0o600)
    return root


@pytest.fixture
def generated(lab: FakeLab, work: Path) -> Secrets:
    """The secrets of a lab that was rendered."""
    lab.directory = work / ".labctl" / "full"
    lab.files.make()
    secrets.ssh_key(lab.files.key, "lab")
    lab.files.render(a_layout(directory=lab.directory))
    lab.files.definition.write_text("name: full\n")
    lab.files.log("boot").write_text("booted\n")
    return secrets.load_or_generate(lab.files.secrets, "full", (), ())


def contents(archive: Path) -> dict[str, bytes]:
    members = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            members[member.name.partition("/")[2]] = stream.read()
    return members


@pytest.mark.usefixtures("generated")
def test_all_of_a_lab_is_in_one_archive(cli: Cli, node: Path, work: Path) -> None:
    run = cli("collect", "-o", "bug.tar.gz")
    assert run.code == 0, run.err
    found = contents(work / "bug.tar.gz")
    assert found["lab/lab.yml"] == b"name: full\n"
    assert found["lab/logs/boot.log"] == b"booted\n"
    assert {
        "lab/Vagrantfile",
        "lab/ssh_config",
        "lab/inventory/hosts.yml",
        "host/versions.json",
    } <= found.keys()
    assert json.loads(found["host/status.json"])["nodes"][0]["name"] == "slurmctld-0"
    for name in FakeLab.NODES["all"]:
        assert found[f"nodes/{name}/journal.log"].startswith(f"{name}: journalctl --no-pager".encode())
        assert f"{name}: df ".encode() in found[f"nodes/{name}/df.txt"]
        assert found[f"nodes/{name}{node}/etc/slurm/slurm.conf"] == b"ClusterName=full\n"
        assert b"started" in found[f"nodes/{name}{node}/var/log/slurm/slurmd.log"]
    assert stat.S_IMODE((work / "bug.tar.gz").stat().st_mode) == 0o600


@pytest.mark.usefixtures("node", "generated")
def test_a_summary_says_what_is_inside_and_how_large(cli: Cli, lab: FakeLab, work: Path) -> None:
    out = cli("collect").out
    (archive,) = work.glob("labctl-full-*.tar.gz")
    rows = [line.split()[0] for line in out.splitlines()[1:6]]
    assert rows == ["lab", "host", *(f"nodes/{name}" for name in lab.nodes("all"))]
    assert f"{archive.name}: " in out
    facts = json.loads(cli("collect", "--json", "-o", "again.tar.gz").out)
    assert facts["bytes"] == (work / facts["archive"]).stat().st_size
    summary = json.loads(contents(work / "again.tar.gz")["summary.json"])
    assert summary["parts"] == facts["parts"]
    assert all(part["files"] and part["bytes"] and not part["problem"] for part in facts["parts"])


def test_no_secret_gets_in(cli: Cli, lab: FakeLab, node: Path, work: Path, generated: Secrets) -> None:
    pem = next(iter(generated.private_keys.values()))
    password = next(iter(generated.passwords.values()))
    own = [generated.munge_key, *generated.passwords.values(), *generated.password_hashes.values()]
    own += [
        line
        for line in (pem + lab.files.key.read_text()).splitlines()
        if len(line) > 20 and "-----" not in line
    ]
    others = ["Foreign1foreign", "Foreign2foreign", "Foreign3foreign", "Foreign4foreign", "Foreign5foreign"]
    # All of these have been seen on clusters.
    lab.files.log("converge").write_text(f"a log with {password} in it\n")
    (lab.directory / ".inventory.json").write_text(password)
    (lab.directory / ".vagrant").mkdir()
    (lab.directory / ".vagrant/private_key").write_text(pem)
    (lab.files.logs / "link").symlink_to(lab.files.secrets)
    (node / "etc/sssd/sssd.conf").write_text(f"[domain/x]\nldap_default_authtok = {others[0]}\n")
    (node / "etc/slurm/slurmdbd.conf").write_text(f"StorageUser=slurm\nStoragePass={others[1]}\n")
    (node / "etc/slurm/slurmdbd.conf").chmod(0o600)
    (node / "etc/slurm/jwt_hs256.key").write_text(others[2])
    (node / "etc/slurm/credentials").write_text(others[3])
    (node / "etc/slurm/credentials").chmod(0o640)
    (node / "var/log/slurm/slurmd.log.1.gz").write_text(others[4])
    (node / "var/log/slurm/slurmctld.log").write_text(f"prolog prints {generated.munge_key}\n{pem}\n")
    cli("collect", "-o", "bug.tar.gz")
    found = contents(work / "bug.tar.gz")
    for secret in (*own, *others):
        assert [name for name, content in found.items() if secret.encode() in content] == []
    for name in ("secrets.yml", "id_ed25519", ".key", ".gz", ".vagrant", ".inventory.json", "link"):
        assert [path for path in found if path.endswith(name)] == []
    assert b"a log with [left out] in it\n" in found.values()
    assert b"StorageUser=slurm\nStoragePass=[left out]\n" in found.values()


def dead(node: str) -> Sequence[str]:
    says = f"ssh: connect to host {node} port 22: No route to host"
    return ["sh", "-c", f"echo {shlex.quote(says)} >&2; exit 255"]


@pytest.mark.usefixtures("node", "generated")
def test_a_node_that_does_not_answer_is_named_and_stops_nobody(
    cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = FakeLab.root_command
    monkeypatch.setattr(
        FakeLab,
        "root_command",
        lambda lab, node, *words: dead(node) if node == "cpu-1" else alive(lab, node, *words),
    )
    run = cli("collect", "-o", "bug.tar.gz")
    assert run.code == 0
    assert "No route to host" in next(line for line in run.out.splitlines() if "cpu-1" in line)
    found = contents(work / "bug.tar.gz")
    assert "nodes/cpu-0/journal.log" in found
    assert b"No route to host" in found["nodes/cpu-1/did-not-answer.txt"]
    problems = {part["name"]: part["problem"] for part in json.loads(found["summary.json"])["parts"]}
    assert [name for name, problem in problems.items() if problem] == ["nodes/cpu-1"]


@pytest.mark.usefixtures("node", "generated")
def test_a_node_that_is_off_is_not_asked(
    cli: Cli, lab: FakeLab, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = FakeLab.root_command

    def command(lab: FakeLab, node: str, *words: str) -> Sequence[str]:
        assert node != "cpu-1"
        return alive(lab, node, *words)

    lab.away = ("cpu-1",)
    monkeypatch.setattr(FakeLab, "root_command", command)
    run = cli("collect", "-o", "bug.tar.gz")
    assert run.code == 0
    assert "cpu-1 cannot be reached: it is stopped" in " ".join(run.out.split())
    found = contents(work / "bug.tar.gz")
    assert found["nodes/cpu-1/did-not-answer.txt"].endswith(b"labctl start --nodes cpu-1\n")
    assert "nodes/cpu-0/journal.log" in found


@pytest.mark.usefixtures("node", "generated")
def test_a_question_that_hangs_and_one_that_fails_keep_no_other_from_its_answer(
    cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        collecting, "QUESTIONS", {"a.txt": "echo begun; sleep 60", "b.txt": "exit 7", "c.txt": "echo c"}
    )
    monkeypatch.setattr(collecting, "_PATIENCE", 1)
    cli("collect", "-o", "bug.tar.gz")
    found = contents(work / "bug.tar.gz")
    assert found["nodes/cpu-0/a.txt"] == b"begun\n(ended with exit code 124)\n"
    assert found["nodes/cpu-0/b.txt"] == b"(ended with exit code 7)\n"
    assert found["nodes/cpu-0/c.txt"] == b"c\n"


@pytest.mark.usefixtures("node", "generated")
def test_a_node_that_never_comes_to_an_end_is_left(
    cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "_DEADLINE", 1.0)
    monkeypatch.setattr(FakeLab, "root_command", lambda *_: ["sleep", "60"])
    started = time.monotonic()
    run = cli("collect", "-o", "bug.tar.gz")
    assert time.monotonic() - started < 20
    assert run.out.count("no end within 1 s") == 3
    assert "lab/lab.yml" in contents(work / "bug.tar.gz")


@pytest.mark.usefixtures("generated")
def test_of_a_large_file_the_end_is_taken(
    cli: Cli, lab: FakeLab, node: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "_MOST", 10)
    lab.files.log("boot").write_text("x" * 100 + "end of log")
    (node / "var/log/slurm/slurmd.log").write_text("y" * 100 + "end of it!")
    cli("collect", "-o", "bug.tar.gz")
    found = contents(work / "bug.tar.gz")
    assert found["lab/logs/boot.log"] == b"end of log"
    assert found[f"nodes/cpu-0{node}/var/log/slurm/slurmd.log"] == b"end of it!"


@pytest.mark.usefixtures("node", "generated")
def test_into_a_folder_and_over_an_older_one(cli: Cli, work: Path) -> None:
    (work / "reports").mkdir()
    assert cli("collect", "full", "-o", "reports").code == 0
    (archive,) = (work / "reports").iterdir()
    assert archive.name.startswith("labctl-full-")
    archive.write_text("older")
    assert cli("collect", "-o", str(archive)).code == 0
    assert "summary.json" in contents(archive)
    assert list((work / "reports").iterdir()) == [archive]


def test_an_archive_that_nobody_could_write_is_refused_before_anything_is_asked(
    cli: Cli, lab: FakeLab
) -> None:
    run = cli("collect", "-o", "none/bug.tar.gz")
    assert run.code == 2
    assert "there is no folder none" in run.err
    assert lab.calls == ["find None"]
