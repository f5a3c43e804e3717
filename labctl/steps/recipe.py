"""What a box is made of: the recipe that ships with labctl and the packages that the roles name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from labctl import warm_python, words
from labctl.definition import shipped
from labctl.errors import UsageError
from labctl.resources import resource

# Raised when boxes are packed in another way than before.
_LAYOUT = 4


@dataclass(frozen=True)
class Recipe:
    """All that decides what a box has inside.

    Attributes:
        name: of the box, such as ``debian-12``.
        suite: the distribution's release that mmdebstrap installs.
        disk_size: of the image, in GiB; the file is sparse.
        packages: installed when the box is built, those of all roles among them.
        debconf: answers given before packages are configured, as debconf-set-selections reads them.
        disable: units that stay off until a role turns them on.
        mask: units that no machine of a lab needs.
        blacklist: kernel modules that shall not load themselves.
        customize: the script that finishes the tree.
        files: what that script puts into the tree.
        warm_python: whose modules the machines' warm Python has loaded, see `labctl.warm_python`.
        prepare: scripts of roles that are run in the tree before that, each with the argument ``apply``.
        environments: virtual environments of Python, by their folder on the machines: pip's requirements of each.
        key: content hash of all of the above; equal keys mean equal boxes, but for the age of the packages.
    """

    name: str
    suite: str
    disk_size: int
    packages: tuple[str, ...]
    debconf: tuple[str, ...]
    disable: tuple[str, ...]
    mask: tuple[str, ...]
    blacklist: tuple[str, ...]
    customize: Path
    files: tuple[Path, ...]
    warm_python: str
    prepare: tuple[Path, ...]
    environments: dict[str, Path]
    key: str


def recipe(name: str) -> Recipe:
    """The recipe of a box that labctl builds.

    Raises:
        UsageError: there is none of that name.
    """
    directory = shipped.BOXES / name
    if not (directory / "recipe.yml").is_file():
        known = shipped.boxes()
        there = f"boxes that labctl builds: {', '.join(known)}"
        raise UsageError(f"there is no recipe for a box {name!r}", hint=words.hint(name, known, there))
    own = _yaml(directory / "recipe.yml")
    roles = [_yaml(path) for path in sorted(resource("roles").glob("*/vars/Debian.yml"))]
    customize = directory / "customize.sh"
    files = tuple(sorted({*directory.glob("*.py"), *directory.glob("*.c")}))
    parts: dict[str, Any] = {
        "suite": own["suite"],
        "disk_size": own["disk_size"],
        "packages": _union(own["packages"], *_collected(roles, "_packages")),
        "debconf": _union(*_collected(roles, "_debconf")),
        "disable": _union(*_collected(roles, "_services")),
        "mask": tuple(own["mask"]),
        "blacklist": tuple(own["blacklist"]),
        "warm_python": warm_python.key(),
    }
    # A masked unit cannot be disabled, and need not be.
    parts["disable"] = tuple(unit for unit in parts["disable"] if unit not in parts["mask"])
    prepare = tuple(resource("roles") / name for name in own["prepare"])
    environments = {folder: resource("roles") / file for folder, file in own["environments"].items()}
    digest = hashlib.sha256(repr((_LAYOUT, sorted(parts.items()), sorted(environments))).encode())
    for content in (customize, *files, *prepare, *environments.values()):
        digest.update(content.read_bytes())
    key = digest.hexdigest()[:12]
    return Recipe(
        name=name,
        customize=customize,
        files=files,
        prepare=prepare,
        environments=environments,
        key=key,
        **parts,
    )


def _yaml(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return loaded


def _collected(roles: list[dict[str, Any]], suffix: str) -> Iterator[list[str]]:
    for variables in roles:
        yield from (value for key, value in sorted(variables.items()) if key.endswith(suffix))


def _union(*lists: list[str]) -> tuple[str, ...]:
    return tuple(sorted({item for items in lists for item in items}))
