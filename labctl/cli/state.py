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
    known = None if _is_definition(source) else _folder_of(source or name, base)
    if known is not None and (known / "lab.yml").is_file():
        source, name = str(known / "lab.yml"), name or source
        if name == known.name:
            base = known.parent.parent
    definition = loading.load(source or "full", overrides=overrides)
    state.lab = lab_type().define(definition, base=base, name=name or None, provider=provider)
    return state.lab


def _folder_of(name: str, base: Path) -> Path | None:
    """The folder of the lab of this name: here, or above, or where its machines say."""
    from labctl import files  # noqa: PLC0415

    if not name:
        return None
    here = files.find(base, name)
    if here is not None:
        return here
    with suppress(LabError):  # without libvirt there are no labs, and the name is just a wrong one
        return {lab.name: lab.directory for lab in lab_type().all()}.get(name)
    return None


def _is_definition(source: str) -> bool:
    """Whether it is a preset or a file, and so not the name of a lab."""
    from labctl.definition import loading  # noqa: PLC0415

    presets = {preset.name for preset in loading.presets()}
    return "/" in source or source in presets or bool(source and Path(source).is_file())
