"""The role pyxis: files come from the control host or it is said what to do, and what is built fits its Slurm."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from roles_files import ROOT, ansible

ROLE = ROOT / "roles/pyxis"
Fetch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Have two hosts fetch; nothing is done on them."""
    play = {"hosts": "all", "gather_facts": False, "strategy": "free", "become": True}
    tasks = [{"ansible.builtin.include_role": {"name": "pyxis", "tasks_from": "fetch"}}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play | {"tasks": tasks}]), encoding="utf-8")
    # What a lab's inventory says of its nodes is not for the control host.
    nodes = {
        "ansible_become": True,
        "ansible_become_user": "no-such-user",
        "ansible_python_interpreter": "/no",
    }
    hosts = {"all": {"hosts": {"a": {}, "b": {}}, "vars": nodes}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")

    def run(**variables: object) -> subprocess.CompletedProcess[str]:
        given = json.dumps({"pyxis_cache": str(tmp_path / "cache"), **variables})
        return ansible("ansible-playbook", "-i", tmp_path / "hosts.yml", "-e", given, tmp_path / "play.yml")

    return run


def test_files_come_from_a_url_or_a_path_and_are_kept(fetch: Fetch, tmp_path: Path) -> None:
    names = ["pyxis-1.tar.gz", "enroot_1_amd64.deb", "enroot+caps_1_amd64.deb"]
    for name in names:
        (tmp_path / name).write_text(name)
    source, *packages = [str(tmp_path / name) for name in names]
    urls = {"pyxis_url": f"file://{source}", "pyxis_enroot_urls": packages}
    first = fetch(**urls)
    assert first.returncode == 0, first.stdout + first.stderr
    assert {path.name: path.read_text() for path in (tmp_path / "cache").iterdir()} == dict(
        zip(names, names, strict=True)
    )
    for name in names:
        (tmp_path / name).unlink()
    again = fetch(**urls)
    assert again.stdout.count("changed=0") == 2, again.stdout


def test_what_cannot_be_fetched_is_named_with_what_to_do(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "there.deb").write_text("")
    nowhere = str(tmp_path / "not/pyxis-1.tar.gz")
    said = fetch(pyxis_url=nowhere, pyxis_enroot_urls=[str(tmp_path / "there.deb")])
    assert said.returncode != 0
    (message, *_) = [line for line in said.stdout.splitlines() if line.startswith("fatal: [a]")]
    assert f"could not fetch {nowhere} (" in message
    assert "Set pyxis_url and pyxis_enroot_urls" in message
    assert f"put pyxis-1.tar.gz into {tmp_path / 'cache'}" in message
    assert "there.deb" not in message


def test_a_file_that_is_not_what_it_must_be_is_refused(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "pyxis-1.tar.gz").write_text("")
    said = fetch(
        pyxis_url=str(tmp_path / "pyxis-1.tar.gz"),
        pyxis_enroot_urls=[],
        pyxis_checksums={"pyxis-1.tar.gz": f"sha256:{'0' * 64}"},
    )
    assert said.returncode != 0
    assert "did not match" in said.stdout


class Node:
    """A host with programs that stand in for its own, and a script of the role's that runs there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, program: str, script: str) -> None:
        path = self.folder / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(self.folder)}
        command = ["sh", str(ROLE / "files" / script), *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def build(node: Node, tmp_path: Path) -> Callable[..., str]:
    """Run build-pyxis; what it says. Its make copies the source to where the plugin shall be."""
    node.has("dpkg-query", "echo libslurm-dev 22.05")
    node.has("make", 'cp "$3/pyxis.c" "${4#libdir=}/slurm/plugin.so"')
    (tmp_path / "lib/slurm").mkdir(parents=True)
    (tmp_path / "pyxis-1").mkdir()

    def run(how: str = "build", source: str = "first") -> str:
        (tmp_path / "pyxis-1/pyxis.c").write_text(source)
        with tarfile.open(tmp_path / "pyxis.tar", "w") as archive:
            archive.add(tmp_path / "pyxis-1", "pyxis-1", filter=as_of_old)
        done = node.run("build-pyxis", tmp_path / "pyxis.tar", tmp_path / "lib/slurm/plugin.so", how)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def as_of_old(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 0  # or two archives of the same files differ
    return member


def test_the_plugin_is_built_once_and_again_for_another_source_or_another_slurm(
    build: Callable[..., str], node: Node, tmp_path: Path
) -> None:
    assert build("look") == "changed"
    assert not (tmp_path / "lib/slurm/plugin.so").exists()
    assert (build(), build(), build("look")) == ("changed", "", "")
    assert build(source="second") == "changed"
    assert (tmp_path / "lib/slurm/plugin.so").read_text() == "second"
    node.has("dpkg-query", "echo libslurm-dev 24.11")
    assert (build("look", "second"), build("build", "second"), build("build", "second")) == (
        "changed",
        "changed",
        "",
    )


def test_a_build_that_failed_is_done_again(build: Callable[..., str], node: Node, tmp_path: Path) -> None:
    build()
    node.has("make", "echo no spank.h >&2; exit 2")
    (tmp_path / "other.tar").write_bytes((tmp_path / "pyxis.tar").read_bytes() + b"\0" * 512)
    for _ in range(2):
        done = node.run("build-pyxis", tmp_path / "other.tar", tmp_path / "lib/slurm/plugin.so", "build")
        assert (done.returncode, done.stderr.strip()) == (2, "no spank.h")


@pytest.mark.parametrize(
    ("unshare", "srun", "said"),
    [
        ("true", "echo --container-image=PATH", None),
        ("echo not permitted >&2; false", "echo --container-image=PATH", "not make namespaces on this host (not"),
        ("true", "echo spank: required plugin; exit 1", "srun --help says: spank: required plugin"),
    ],
)  # fmt: skip
def test_it_is_said_what_keeps_containers_from_running(
    node: Node, unshare: str, srun: str, said: str | None
) -> None:
    node.has("runuser", unshare)
    node.has("srun", srun)
    done = node.run("check-pyxis")
    assert (done.returncode == 0) == (said is None), done.stderr
    assert said is None or said in done.stderr


def test_modules_run_here_only_where_they_must() -> None:
    """The control host is whoever runs Ansible: nothing of it may be touched as root."""
    tasks = yaml.safe_load((ROLE / "tasks/fetch.yml").read_text(encoding="utf-8"))
    here = [task for task in tasks if task.get("delegate_to") == "localhost"]
    assert len(here) == 2
    assert all(task["become"] is False and task["vars"] == {"ansible_become": False} for task in here)
