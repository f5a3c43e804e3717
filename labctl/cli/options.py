"""Options and arguments that several commands take; each means the same everywhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Annotated

import typer

from labctl.cli.state import lab_type, state


def _presets(incomplete: str) -> Iterable[str]:
    from labctl.definition import loading  # noqa: PLC0415

    return [preset.name for preset in loading.presets() if preset.name.startswith(incomplete)]


def _labs(incomplete: str) -> Iterable[str]:
    with contextlib.suppress(Exception):  # completion has nowhere to say what is wrong
        return [lab.name for lab in lab_type().all() if lab.name.startswith(incomplete)]
    return []


def _nodes(incomplete: str) -> Iterable[str]:
    with contextlib.suppress(Exception):
        lab = lab_type().find(None, base=state.directory.absolute())
        return [node for node in lab.nodes("all") if node.startswith(incomplete)]
    return []


Source = Annotated[
    str,
    typer.Argument(
        metavar="[PRESET|FILE]",
        help="A preset, a definition file, or the name of an existing lab. Default: full.",
        autocompletion=_presets,
        show_default=False,
    ),
]
NewName = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Name of the lab. Default: the definition's.")
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change the definition; again for more. Such as nodes.cpu-0.memory=2048.",
    ),
]
Provider = Annotated[str, typer.Option("--provider", metavar="NAME", help="auto, libvirt or virtualbox.")]

LabArgument = Annotated[
    str,
    typer.Argument(
        metavar="[LAB]",
        help="Name of the lab. Default: the only one there is.",
        autocompletion=_labs,
        show_default=False,
    ),
]
LabName = Annotated[
    str,
    typer.Option(
        "--name",
        "--lab",
        metavar="LAB",
        help="Name of the lab. Default: the only one there is.",
        autocompletion=_labs,
    ),
]
Nodes = Annotated[
    str,
    typer.Option(
        "--nodes", metavar="NODES", help="Only these, such as cpu-[0-1], @slurmd.", autocompletion=_nodes
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
NodeWords = Annotated[
    list[str],
    typer.Argument(metavar="NODES -- COMMAND...", autocompletion=_nodes, show_default=False),
]
