"""Finding the labs of this host: by their files here or above, or by their machines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labctl import folders, providers, status, words
from labctl.errors import DefinitionError, UsageError
from labctl.files import LabFiles
from labctl.providers.base import Found, Provider


@dataclass(frozen=True)
class LabSummary:
    """A lab among others.

    Attributes:
        name: its name.
        state: of its machines in one word; missing if it has none.
        running: how many of them run.
        nodes: how many machines it has, or would have.
        network: its subnet, if it has one.
        directory: its folder, as far as it is known.
        files: whether its files are still there.
    """

    name: str
    state: str
    running: int
    nodes: int
    network: str
    directory: Path | None
    files: bool


def summaries(base: Path | None = None) -> tuple[LabSummary, ...]:
    """Every lab of this host: by its machines, whoever makes them, and by its files in ``base`` and above."""
    by_lab: dict[str, list[Found]] = {}
    made_by: dict[str, Provider] = {}
    for name in providers.there():
        provider = providers.choose(name)
        for machine in provider.found():
            by_lab.setdefault(machine.lab, []).append(machine)
            made_by.setdefault(machine.lab, provider)
    labs = [_summary(lab, machines, made_by[lab]) for lab, machines in by_lab.items()]
    labs += [_unmade(directory) for directory in _folders(base) if directory.name not in by_lab]
    return tuple(sorted(labs, key=lambda lab: lab.name))


def _folders(base: Path | None) -> Iterable[Path]:
    """The folders of labs here and above; of two of one name the nearer one."""
    nearest: dict[str, Path] = {}
    for directory in (one for labs in folders.here(base) for one in labs) if base else ():
        nearest.setdefault(directory.name, directory)
    return nearest.values()


def folder(name: str | None, base: Path) -> Path:
    """The folder of an existing lab, which bears its name; the folder itself may be gone.

    Args:
        name: of the lab; None means the only one there is.
        base: where it is looked for first, and in the folders above.

    Raises:
        UsageError: there is none of that name, or more than one to choose from.
    """
    directory = folders.find(base, name)
    if directory:
        return directory
    labs = summaries()
    if name is None and len(labs) == 1:
        name = labs[0].name
    for lab in labs:
        if lab.name == name:
            return lab.directory or base / folders.FOLDER / lab.name
    if name and providers.choose("auto").network(name):  # all that is left of one that was interrupted
        return base / folders.FOLDER / name
    raise _not_found(name, dict.fromkeys([*(lab.name for lab in labs), *folders.names(base)]))


def _not_found(name: str | None, names: Collection[str]) -> UsageError:
    if name is None:
        return UsageError(
            "which lab?" if names else "there is no lab",
            why=f"there are {', '.join(names)}" if names else "",
            hint="name one with --name" if names else "labctl up",
        )
    return UsageError(f"there is no lab {name!r}", hint=words.hint(name, names, "labctl list shows all labs"))


def _summary(name: str, machines: Sequence[Found], provider: Provider) -> LabSummary:
    network = provider.network(name)
    told = next((machine.directory for machine in machines if machine.directory), "")
    directory = Path(told) if told else None
    return LabSummary(
        name=name,
        state=status.overall([machine.state for machine in machines]),
        running=sum(machine.state == "running" for machine in machines),
        nodes=len(machines),
        network=str(network.subnet) if network else "",
        directory=directory,
        files=directory is not None and LabFiles(directory).definition.is_file(),
    )


def _unmade(directory: Path) -> LabSummary:
    """A lab that has files and no machine: it was created only, or its `up` was interrupted."""
    files = LabFiles(directory)
    network, nodes = files.record().network.get("subnet", ""), 0
    with suppress(DefinitionError):  # somebody has broken it; a lab it is all the same
        definition = files.load()
        nodes = len(definition.machines()) if definition else 0
    return LabSummary(directory.name, "missing", 0, nodes, network, directory, files=True)
