"""scripts/install-host installs what the host lacks, by the names of its distribution, as `doctor` does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from programs import Programs

from labctl.host.distribution import DEBIAN, FEDORA, Distribution

SCRIPT = Path(__file__).parents[3] / "scripts" / "install-host"


@pytest.fixture
def host(programs: Programs) -> Programs:
    """A host on which one package is installed, and whose user is root."""
    programs.add("id", "echo 0")
    programs.add("dpkg-query", '[ "${*: -1}" = vagrant ] && echo installed')
    programs.add("rpm", '[ "${*: -1}" = vagrant ]')
    for installer in ("apt-get", "dnf"):
        programs.add(installer)
    return programs


def run(folder: Path, release: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "os-release").write_text(release)
    environ = {"PATH": f"{folder}/programs:/usr/bin:/bin", "PROGRAMS": f"{folder}/programs"}
    environ["OS_RELEASE"] = str(folder / "os-release")
    return subprocess.run([SCRIPT, *more], env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("release", "installer", "known"),
    [
        ("ID=debian\n", "apt-get", DEBIAN),
        ("ID=ubuntu\nID_LIKE=debian\n", "apt-get", DEBIAN),
        ("ID=fedora\n", "dnf", FEDORA),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf", FEDORA),
    ],
)
def test_what_is_missing_is_installed(
    host: Programs, tmp_path: Path, release: str, installer: str, known: Distribution
) -> None:
    done = run(tmp_path, release)
    assert done.returncode == 0, done.stderr
    words = host.calls(installer)[-1].split()
    needed = {package for packages in known.packages.values() for package in packages.split()}
    assert needed - {"vagrant"} <= set(words)
    assert "vagrant" not in words


def test_what_is_asked_for_besides_comes_along(host: Programs, tmp_path: Path) -> None:
    assert run(tmp_path, "ID=debian\n", "chromium", "vagrant").returncode == 0
    words = host.calls("apt-get")[-1].split()
    assert {"chromium", "qemu-utils"} <= set(words)
    assert "vagrant" not in words


def test_another_distribution_is_told_what_it_needs(host: Programs, tmp_path: Path) -> None:
    done = run(tmp_path, "ID=plan9\n")
    assert (done.returncode, "install what corresponds to: qemu-system-x86" in done.stderr) == (1, True)
    assert host.calls("apt-get") == []
