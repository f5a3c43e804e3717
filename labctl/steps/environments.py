"""Environments: virtual environments of PyPI's packages in a box, for roles whose software Debian does not have.

Run as a program within mmdebstrap, with the tree, where an environment shall be, and the file of its requirements. The
host's own pip downloads, as this host is set up to (its index, its proxy); the tree's own Python installs what came.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

_WHEELS = "/var/cache/wheels"  # in the tree, while it is made


def fill(tree: Path, folder: str, requirements: Path) -> None:
    """Make an environment in the tree.

    Args:
        tree: of the box, with Python and its module venv.
        folder: where the environment shall be, as the tree's machines call it.
        requirements: what pip calls a requirements file.

    Raises:
        CalledProcessError: pip, which has said why, could not download or install something.
    """
    wheels = tree / _WHEELS.lstrip("/")
    wheels.mkdir(parents=True)
    try:
        shutil.copy(requirements, wheels)
        _run(
            sys.executable,
            "-m",
            "pip",
            "download",
            *_quiet(),
            *_only_for(tree),
            "--dest",
            str(wheels),
            "--requirement",
            str(requirements),
        )
        _run("chroot", str(tree), "python3", "-m", "venv", folder)
        inside = ["--no-index", "--find-links", _WHEELS, "--requirement", f"{_WHEELS}/{requirements.name}"]
        _run("chroot", str(tree), f"{folder}/bin/python", "-m", "pip", "install", *_quiet(), *inside)
    finally:
        shutil.rmtree(wheels)


def _quiet() -> list[str]:
    return ["--quiet", "--disable-pip-version-check"]


def _only_for(tree: Path) -> list[str]:
    """What keeps pip to packages that run in the tree: its Python, and wheels for no newer glibc than it has."""
    version = _said(tree, "python3", "-c", "import sys; print('{}.{}'.format(*sys.version_info))")
    newest = int(_said(tree, "getconf", "GNU_LIBC_VERSION").rpartition(".")[2])
    machine = platform.machine()
    # PEP 600: a wheel names the glibc that it needs. 2.17 and older ones have names from before that.
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]
    named = [f"--platform={one}" for one in (*platforms, f"manylinux2014_{machine}")]
    return ["--only-binary=:all:", f"--python-version={version}", "--implementation=cp", *named]


def _said(tree: Path, *command: str) -> str:
    return subprocess.run(
        ["chroot", tree, *command], capture_output=True, text=True, check=True
    ).stdout.strip()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    fill(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
