"""What one run of the command line knows: its global options and the lab it works on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from labctl import console, folders, words
from labctl.errors import LabError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labctl.console import Reporter
    from labctl.defaults import Settings
    from labctl.definition.sizes import Sizes
    from labctl.known import KnownLab
    from labctl.lab import Lab


@dataclass
class State:
    """Global options, what came from where, and the lab that a Ctrl-C would leave half-made.

    Attributes:
        debug: show tracebacks.
        quiet: show no progress.
        directory: where the labs' files are.
        typed: the parameters that are on the command line itself.
        defaults: what files say of options.
        lab: what is worked on.
    """

    debug: bool = False
    quiet: bool = False
    directory: Path = field(default_factory=Path)
    typed: frozenset[str] = frozenset()
    defaults: Settings = field(default_factory=dict)
    lab: Lab | None = None

    def reporter(self) -> Reporter:
        """Where progress goes."""
        return console.reporter(quiet=self.quiet)


state = State()


def lab_type() -> type[Lab]:
    """The class of labs; imported late, because all of labctl comes with it."""
    from labctl.lab import Lab as Class  # noqa: PLC0415

    return Class


def known_type() -> type[KnownLab]:
    """The class of labs that are only looked at; what can change a lab takes a quarter longer to import."""
    from labctl.known import KnownLab as Class  # noqa: PLC0415

    return Class


def existing(name: str) -> Lab:
    """The lab of this name, or the only one there is, for a command that changes it.

    Raises:
        UsageError: there is none, or more than one to choose from.
    """
    state.lab = lab_type().find(name or None, base=state.directory.absolute())
    return state.lab


def reached(name: str) -> KnownLab:
    """The same for a command after which the lab is as it was, whatever interrupts it."""
    return known_type().find(name or None, base=state.directory.absolute())


def recounted(name: str, counts: Mapping[str, int]) -> Lab:
    """The lab of this name, or the only one there is, with so many nodes in these groups of its own definition.

    Raises:
        DefinitionError: it has no such group, or no lab can be so.
        UsageError: there is no such lab, or more than one to choose from, or its files are gone.
    """
    from labctl.definition import loading  # noqa: PLC0415
    from labctl.definition.sizes import Sizes  # noqa: PLC0415

    lab = reached(name)
    text = loading.dump(lab.definition)
    definition = loading.loads(text, name=str(lab.files.definition), sizes=Sizes(groups=counts))
    state.lab = lab_type().define(definition, base=lab.directory.parent.parent, name=lab.name)
    return state.lab


def wanted(
    source: str,
    *,
    name: str,
    overrides: list[str],
    sizes: Sizes | None = None,
    provider: str = "auto",
    folder: Path = Path(),
) -> Lab:
    """The lab that is meant by a preset, a file or an existing lab's name.

    Args:
        source: what the user typed; nothing means the lab `name` if there is one, else the preset `full`.
        name: what the lab is to be called; nothing for the definition's own name.
        overrides: ``path=value`` changes of the definition.
        sizes: changes of all its nodes that compute.
        provider: auto, libvirt or virtualbox.
        folder: where the lab's files are, from the folder that `-C` names.

    Raises:
        DefinitionError: the definition cannot be read or is wrong.
        UsageError: it is neither a preset nor a file nor a lab.
    """
    from labctl.definition import loading  # noqa: PLC0415

    base = (state.directory / folder).absolute()
    known = None if _is_definition(source) else _folder_of(source or name, base)
    if known is not None and (known / "lab.yml").is_file():
        # A lab that is named keeps its name, whatever others are called by default.
        name = name if name and (not source or "name" in state.typed) else source
        source = str(known / "lab.yml")
        if name == known.name:
            base = known.parent.parent
    elif source and not _is_definition(source):
        raise _neither(source, base)
    definition = loading.load(source or "full", overrides=overrides, sizes=sizes)
    state.lab = lab_type().define(definition, base=base, name=name or None, provider=provider)
    return state.lab


def _folder_of(name: str, base: Path) -> Path | None:
    """The folder of the lab of this name: here, or above, or where its machines say."""
    if not name:
        return None
    here = folders.find(base, name)
    if here is not None:
        return here
    with suppress(LabError):  # without libvirt there are no labs, and the name is just a wrong one
        return {lab.name: lab.directory for lab in known_type().all()}.get(name)
    return None


def _is_definition(source: str) -> bool:
    """Whether it is a preset or a file, and so not the name of a lab."""
    from labctl.definition import shipped  # noqa: PLC0415

    looks_like_a_path = "/" in source or Path(source).suffix in {".yml", ".yaml"}
    return looks_like_a_path or source in shipped.paths() or bool(source and Path(source).is_file())


def _neither(source: str, base: Path) -> UsageError:
    from labctl.definition import shipped  # noqa: PLC0415

    known = dict.fromkeys([*shipped.paths(), *folders.names(base)])
    return UsageError(
        f"there is no preset and no lab {source!r}",
        why=f"there are {', '.join(known)}; a definition of your own is given by its path",
        hint=words.hint(source, known, "labctl presets, or labctl list"),
    )
