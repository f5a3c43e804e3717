"""A repository of packages that apt reads over HTTP: all that the roles install, with what that needs."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from ruamel.yaml import YAML

from bench.programs import BenchError
from labctl.resources import resource

#: What Ansible puts into a machine by itself, for its module apt.
_ANSIBLE = ("python3-apt",)


def package_sets() -> tuple[tuple[str, ...], ...]:
    """What is installed at once: the packages of each role, and Ansible's own.

    Each set is resolved on its own against the plain box, because that is how a machine asks for it: resolved together,
    one set's package could stand in for what another set asks for.
    """
    yaml = YAML(typ="safe", pure=True)
    loaded = [yaml.load(path) for path in sorted(resource("roles").glob("*/vars/Debian.yml"))]
    lists = [tuple(own[key]) for own in loaded for key in sorted(own) if key.endswith("_packages")]
    return tuple(dict.fromkeys([_ANSIBLE, *(names for names in lists if names)]))


def index(folder: Path) -> int:
    """Write the index of a folder of packages, and return how many there are.

    Raises:
        BenchError: there are none, or one cannot be read.
    """
    for package in list(folder.glob("*.deb")):
        # apt writes the colon of an epoch as %3a, and would not ask for that name unchanged.
        package.rename(package.with_name(package.name.replace("%3a", "-")))
    packages = sorted(folder.glob("*.deb"))
    if not packages:
        raise BenchError(f"no packages in {folder}")
    (folder / "Packages").write_text("\n".join(_stanzas(packages)), encoding="utf-8")
    return len(packages)


def _stanzas(packages: Sequence[Path]) -> Iterator[str]:
    for package in packages:
        asked = subprocess.run(
            ["dpkg-deb", "--field", str(package)], capture_output=True, text=True, check=False, timeout=60
        )
        if asked.returncode:
            raise BenchError(f"{package.name} is no Debian package", why=asked.stderr.strip())
        yield stanza(asked.stdout, package.name, package.read_bytes())


def stanza(control: str, name: str, content: bytes) -> str:
    """What an index says of one package: its own fields, and where and what its file is."""
    checksum = hashlib.sha256(content).hexdigest()
    return f"{control.rstrip()}\nFilename: ./{name}\nSize: {len(content)}\nSHA256: {checksum}\n"
