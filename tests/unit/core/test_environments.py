"""Environments of a box: the host's pip downloads what the tree's Python can run, and leaves nothing else behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from programs import Programs

from labctl.steps import environments

#: Answers as a tree of Debian 12 does; `$1` is the tree, the rest the command.
CHROOT = """\
shift
case "$*" in
    "python3 -c"*) echo 3.11 ;;
    getconf*) echo "glibc 2.36" ;;
    *install*) [ ! -e "$PROGRAMS/broken" ] ;;
esac
"""
WHEELS = "var/cache/wheels"


@pytest.fixture
def tree(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with a Python, and a pip of this host that notes what it was asked for and brings a wheel."""
    programs.add("chroot", CHROOT)
    programs.add("python", f'touch "{tmp_path}/tree/{WHEELS}/lab.whl"; [ ! -e "$PROGRAMS/offline" ]')
    monkeypatch.setattr(sys, "executable", str(programs.folder / "python"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (tmp_path / "tree").mkdir()
    (tmp_path / "requirements.txt").write_text("jupyterlab>=4\n")
    return tmp_path / "tree"


def fill(tree: Path) -> None:
    environments.fill(tree, "/opt/jupyter", tree.parent / "requirements.txt")


def test_pip_takes_only_what_the_trees_python_and_glibc_can_run(tree: Path, programs: Programs) -> None:
    fill(tree)
    (call,) = programs.calls("python")
    words = call.split()
    assert words[:3] == ["-m", "pip", "download"]
    assert {"--only-binary=:all:", "--python-version=3.11", "--implementation=cp"} <= set(words)
    platforms = [word.partition("=")[2] for word in words if word.startswith("--platform=")]
    assert platforms[0] == "manylinux_2_36_x86_64"  # and none for a newer glibc
    assert platforms[-2:] == ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]
    assert len(platforms) == 36 - 17 + 2
    assert words[-4:] == ["--dest", f"{tree}/{WHEELS}", "--requirement", f"{tree.parent}/requirements.txt"]


def test_the_tree_installs_what_came_and_asks_nobody(tree: Path, programs: Programs) -> None:
    fill(tree)
    made, installed = programs.calls("chroot")[-2:]
    assert made == f"{tree} python3 -m venv /opt/jupyter"
    assert installed.startswith(f"{tree} /opt/jupyter/bin/python -m pip install ")
    assert f"--no-index --find-links /{WHEELS} --requirement /{WHEELS}/requirements.txt" in installed


@pytest.mark.parametrize("trouble", ["", "offline", "broken"])
def test_downloads_are_not_left_in_the_tree_whatever_happens(
    tree: Path, programs: Programs, trouble: str
) -> None:
    if trouble:
        (programs.folder / trouble).touch()
        with pytest.raises(subprocess.CalledProcessError):
            fill(tree)
    else:
        fill(tree)
    assert not (tree / WHEELS).exists()
    assert bool(trouble == "offline") == (not any("venv" in call for call in programs.calls("chroot")))
