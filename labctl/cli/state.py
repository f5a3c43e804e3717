"""What one run of the command line knows: its global options and the lab it works on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from labctl import console
from labctl.errors import LabError

if TYPE_CHECKING:
    from labctl.console import Reporter
    from labctl.lab import Lab


@dataclass
class State:
    """Global options, and the lab that a Ctrl-C would leave half-made."""

    debug: bool = False
    quiet: bool = False
    directory: Path = field(default_factory=Path)
    lab: Lab | None = None

    def reporter(self) -> Reporter:
        """Where progress goes."""
        return console.reporter(quiet=self.quiet)


state = State()


def lab_type() -> type[Lab]:
    """The class of labs; imported late, because all of labctl comes with it."""
    from labctl.lab import Lab as Class  # noqa: PLC0415

    return Class


def existing(name: str) -> Lab:
    """The lab of this name, or the only one there is.

    Raises:
        UsageError: there is none, or more than one to choose from.
    """
    state.lab = lab_type().find(name or None, base=state.directory.absolute())
    return state.lab


def wanted(source: str, *, name: str, overrides: list[str], provider: str = "auto") -> Lab:
    """The lab that is meant by a preset, a file or an existing lab's name.

    Args:
        source: what the user typed; nothing means the lab `name` if there is one, else the preset `full`.
        name: what the lab is to be called; nothing for the definition's own name.
        overrides: ``path=value`` changes of the definition.
        provider: auto, libvirt or virtualbox.

    Raises:
        DefinitionError: the definition cannot be read or is wrong.
    """
    from labctl.definition import loading  # noqa: PLC0415

    base = state.directory.absolute()
    files = base / ".labctl" / name / "lab.yml" if name and not source else _files_of(source)
    if files is not None and files.is_file():
        source, name = str(files), name or source
    definition = loading.load(source or "full", overrides=overrides)
    state.lab = lab_type().define(definition, base=base, name=name or None, provider=provider)
    return state.lab


def _files_of(source: str) -> Path | None:
    """The definition of the lab called `source`, unless that is a preset or a file."""
    from labctl.definition import loading  # noqa: PLC0415

    if not source or "/" in source or Path(source).is_file():
        return None
    if source in {preset.name for preset in loading.presets()}:
        return None
    with suppress(LabError):  # without libvirt there are no labs, and the name is just a wrong one
        directories = {lab.name: lab.directory for lab in lab_type().all()}
        directory = directories.get(source)
        if directory is not None:
            return directory / "lab.yml"
    return None
