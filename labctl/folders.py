"""Where labs are, by their folders alone: `.labctl/<name>/`, here or above. Quick to import, for shell completion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from labctl.errors import UsageError

FOLDER = ".labctl"


def here(base: Path) -> Iterator[list[Path]]:
    """The folders of the labs in ``base``, then of those in the folder above it, and so on."""
    for directory in (base, *base.parents):
        yield sorted(path.parent for path in (directory / FOLDER).glob("*/lab.yml"))


def names(base: Path) -> tuple[str, ...]:
    """The names of all labs here and above, the nearest first."""
    return tuple(dict.fromkeys(lab.name for labs in here(base) for lab in labs))


def find(base: Path, name: str | None) -> Path | None:
    """The folder of a lab, in ``base`` or a folder above it; without a name the only one there is.

    Raises:
        UsageError: no name was given and there are several.
    """
    for labs in here(base):
        if name:
            match = next((lab for lab in labs if lab.name == name), None)
            if match:
                return match
        elif len(labs) == 1:
            return labs[0]
        elif labs:
            there = ", ".join(lab.name for lab in labs)
            raise UsageError("which lab?", why=f"there are {there}", hint="name one with --name")
    return None
