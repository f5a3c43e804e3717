"""Mmdebstrap: the command that makes a box's tree, by root or by a user, and from whose packages."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from labctl.process import installed
from labctl.steps.recipe import Recipe


def as_root() -> list[str]:
    """What makes a command see the tree's owners as they are: nothing for root, a user namespace for others."""
    return [] if os.geteuid() == 0 else ["mmdebstrap", "--unshare-helper"]


def own_mounts() -> list[str]:
    """What gives a command of root's a mount namespace: what it mounts goes with it, however it is ended.

    Users have one by mmdebstrap itself. Root of a container may have no right to one, and then none to mount either.
    """
    command = ["unshare", "--mount"]
    if os.geteuid() != 0 or not installed(command[0]):
        return []
    allowed = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return command if allowed else []


def command(wanted: Recipe, work: Path) -> list[str]:
    """The command that makes the tree of a box at ``tree`` in this folder, where it also puts what its hooks need."""
    answers = "\n".join(wanted.debconf)
    units = f"MASK='{' '.join(wanted.mask)}' DISABLE='{' '.join(wanted.disable)}'"
    settings = f"{units} BLACKLIST='{' '.join(wanted.blacklist)}' WARM_PYTHON={wanted.warm_python}"
    customize = work / "customize.sh"
    for file in (wanted.customize, *wanted.files):
        shutil.copy(file, work)
    python = [sys.executable, "-P", "-m"]
    environments = [*python, "labctl.steps.environments"]
    precompile = [*python, "labctl.steps.precompile"]
    return [
        "mmdebstrap",
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(wanted.packages)}",
        f"--essential-hook=printf '%s\\n' '{answers}' | chroot \"$1\" debconf-set-selections",
        *(
            f'--customize-hook=chroot "$1" sh -s apply < {shlex.quote(str(script))}'
            for script in wanted.prepare
        ),
        *(
            f'--customize-hook={shlex.join(environments)} "$1" {shlex.join([folder, str(file)])}'
            for folder, file in wanted.environments.items()
        ),
        f'--customize-hook={settings} sh {customize} "$1"',
        f'--customize-hook={shlex.join(precompile)} "$1"',
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        wanted.suite,
        str(work / "tree"),
        *mirrors(wanted.suite),
    ]


def mirrors(suite: str) -> list[str]:
    """The host's own sources of this release, as apt reads them; none means mmdebstrap's default."""
    columns = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    asked = subprocess.run(
        ["apt-get", "indextargets", "--format", columns, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = []
    for row in asked.stdout.splitlines():
        uri, release, component = row.split("|")
        if release.split("-")[0].split("/")[0] == suite and component == "main":
            lines.append(f"deb {uri} {release} {component}")
    return list(dict.fromkeys(lines))
