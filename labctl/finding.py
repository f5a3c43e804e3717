"""Finding the labs of this host: by their files here or above, or by their machines."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl import folders, providers, status, words
from labctl.errors import UsageError
from labctl.providers.base import Found, Provider


@dataclass(frozen=True)
class LabSummary:
    """A lab among others."""

    name: str
    state: str
    running: int
    nodes: int
    network: str
    directory: Path | None


def summaries() -> tuple[LabSummary, ...]:
    """Every lab of this host, found by its machines."""
    provider = providers.choose("auto")
    by_lab: dict[str, list[Found]] = {}
    for machine in provider.found():
        by_lab.setdefault(machine.lab, []).append(machine)
    return tuple(_summary(name, machines, provider) for name, machines in sorted(by_lab.items()))


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
    directory = next((machine.directory for machine in machines if machine.directory), "")
    return LabSummary(
        name=name,
        state=status.overall([machine.state for machine in machines]),
        running=sum(machine.state == "running" for machine in machines),
        nodes=len(machines),
        network=str(network.subnet) if network else "",
        directory=Path(directory) if directory else None,
    )
