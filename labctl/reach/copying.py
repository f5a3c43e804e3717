"""Files to and from many nodes at once, with scp over the lab's shared connections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import UsageError
from labctl.reach.absent import absent
from labctl.reach.parallel import Outcome, run_all

if TYPE_CHECKING:
    from labctl.known import KnownLab

_HINT = "labctl cp FILE... NODES:PATH, or labctl cp NODES:PATH... FOLDER"


@dataclass(frozen=True)
class Place:
    """Where a file is.

    Attributes:
        path: as the user wrote it.
        nodes: those that it is on, for `labctl.selection` to read; empty for this host.
        user: who to be there; empty if that was not said.
    """

    path: str
    nodes: str = ""
    user: str = ""

    def at(self, node: str) -> str:
        """The place on one of its nodes, as scp names it."""
        return f"{self.user}@{node}:{self.path}" if self.user else f"{node}:{self.path}"


def place(text: str, user: str = "") -> Place:
    """Read ``PATH``, ``NODES:PATH`` or ``USER@NODES:PATH``. As for scp, a / before the first : makes it a path.

    Args:
        text: what the user wrote.
        user: who to be on the nodes if the text does not say.
    """
    nodes, colon, path = text.partition(":")
    # In brackets a / is a hostlist's: cpu-[0-8/2].
    if not (colon and nodes) or "/" in re.sub(r"\[[^]]*\]", "", nodes):
        return Place(text)
    login = re.match(r"([\w.-]+)@", nodes)  # not the @ of a group, which nothing but a comma precedes
    return Place(path, nodes[login.end() :], login[1]) if login else Place(path, nodes, user)


def copy(
    lab: KnownLab, sources: Sequence[str], target: str, *, user: str = "", recursive: bool = False
) -> dict[str, Outcome]:
    """Copy files to nodes or from nodes, all at the same time; how it went for each node.

    What comes from more than one node goes into a folder for each, with the node's name, in the target.

    Args:
        lab: the lab.
        sources: see `place`.
        target: the same.
        user: who to be on the nodes if a place does not say.
        recursive: folders as well.

    Raises:
        UsageError: that cannot be done. Nothing was copied.
    """
    froms, to = [place(source, user) for source in sources], place(target, user)
    _refuse_sides(froms, to)
    if to.nodes:
        _refuse_local(froms, recursive=recursive)
        paths = [source.path for source in froms]
        return _run(
            lab,
            {node: lab.scp_command(paths, to.at(node), recursive=recursive) for node in lab.nodes(to.nodes)},
        )
    wanted: dict[str, list[str]] = {}
    for source in froms:
        for node in lab.nodes(source.nodes):
            wanted.setdefault(node, []).append(source.at(node))
    targets = _targets(to.path, wanted)
    made = _folders(set(targets.values()) if len(wanted) > 1 or to.path.endswith("/") else ())
    try:
        return _run(
            lab,
            {
                node: lab.scp_command(places, str(targets[node]), recursive=recursive)
                for node, places in wanted.items()
            },
        )
    finally:
        for folder in made:
            with suppress(OSError):  # it is not empty, as it should be
                folder.rmdir()


def _refuse_sides(froms: Sequence[Place], to: Place) -> None:
    """Raise unless one side is on nodes, and the other one here."""
    on_nodes = {bool(source.nodes) for source in froms}
    if len(on_nodes) > 1:
        raise UsageError("some of the files are on nodes and some are here", hint=_HINT)
    if on_nodes == {bool(to.nodes)}:
        what = "both sides are on nodes: copy to this host first" if to.nodes else "no side is on a node"
        raise UsageError(what, hint=_HINT)


def _refuse_local(froms: Iterable[Place], *, recursive: bool) -> None:
    """Raise if one of these cannot be read."""
    for path in (Path(source.path) for source in froms):
        if not path.exists():
            raise UsageError(f"there is no file {path} on this host")
        if path.is_dir() and not recursive:
            raise UsageError(f"{path} is a folder", hint="labctl cp -r copies folders")


def _targets(path: str, wanted: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Where each node's files go."""
    target = Path(path)
    if len(wanted) > 1:
        return {node: target / node for node in wanted}
    if any(len(places) > 1 for places in wanted.values()) and not target.is_dir() and not path.endswith("/"):
        raise UsageError(f"there is no folder {path}, and several files go into one", hint=f"mkdir {path}")
    if not target.parent.is_dir() and not path.endswith("/"):
        raise UsageError(f"there is no folder {target.parent} on this host", hint=f"mkdir -p {target.parent}")
    return dict.fromkeys(wanted, target)


def _folders(wanted: Iterable[Path]) -> list[Path]:
    """Make folders; those that were not there, the deepest first."""
    made = {path for folder in wanted for path in (folder, *folder.parents) if not path.exists()}
    for folder in wanted:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"there can be no folder {folder}", why=str(error)) from error
    return sorted(made, key=lambda path: len(path.parts), reverse=True)


def _run(lab: KnownLab, commands: Mapping[str, Sequence[str]]) -> dict[str, Outcome]:
    away = absent(lab, list(commands))
    ended = away | run_all({node: argv for node, argv in commands.items() if node not in away})
    return {node: ended[node].in_text() for node in commands}
