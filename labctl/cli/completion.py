"""What shell completion offers: what the files here say. Nothing is asked of libvirt, and nothing is said of errors.

Each function is a callback of typer's, which keeps what begins with the word at hand.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import typer

Offer = Callable[[typer.Context, str], Iterable[str]]


def _quiet(offer: Offer) -> Offer:
    """Offers nothing where something is wrong: there is nobody to whom it could be said."""

    @functools.wraps(offer)
    def quietly(ctx: typer.Context, incomplete: str) -> Iterable[str]:
        try:
            return list(offer(ctx, incomplete))
        except Exception:
            return []

    return quietly


@_quiet
def labs(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """The labs of this folder and of those above."""
    from labctl import folders  # noqa: PLC0415

    return folders.names(_base(ctx))


@_quiet
def sources(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Presets and labs; where neither fits, the shell itself offers files."""
    from labctl.definition import shipped  # noqa: PLC0415

    return dict.fromkeys([*shipped.paths(), *labs(ctx, incomplete)])


@_quiet
def nodes(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """The lab's nodes, its groups as @role and @partition, and all; after a comma, further nodes."""
    from labctl.definition.hostlist import expand  # noqa: PLC0415

    specs = _definition(ctx)["nodes"]
    names = [name for spec in specs for name in expand(spec["name"])]
    before, comma, _ = incomplete.rpartition(",")
    if comma:
        return [f"{before},{name}" for name in names if name not in before.split(",")]
    groups = [f"@{group}" for spec in specs for key in ("roles", "partitions") for group in spec.get(key, [])]
    return [*names, *dict.fromkeys(groups), "all"]


@_quiet
def counts(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """The groups of the lab's nodes that can be counted, each ready for its number."""
    computing = [spec for spec in _definition(ctx)["nodes"] if "slurmd" in spec.get("roles", [])]
    groups = ["slurmd", *(group for spec in computing for group in spec.get("partitions", []))]
    return [f"{group}=" for group in dict.fromkeys(groups)]


@_quiet
def first_word(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Nodes, until one is there; what follows is a command, of which the shell knows more."""
    from labctl.cli.ssh import split  # noqa: PLC0415
    from labctl.errors import UsageError  # noqa: PLC0415

    try:
        split(ctx.params.get("words") or [])
    except UsageError:
        return nodes(ctx, incomplete)
    return []


@_quiet
def snapshots(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """The names of the snapshots, of the lab that was named or of all."""
    from labctl import snapshots as saved  # noqa: PLC0415

    lab = ctx.params.get("name")
    return [one.name for one in saved.snapshots() if not lab or one.lab == lab]


@_quiet
def boxes(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """The boxes that have been built."""
    from labctl.steps import box  # noqa: PLC0415

    return dict.fromkeys(one.name for one in box.boxes())


@_quiet
def recipes(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """The boxes that can be built."""
    from labctl.definition import shipped  # noqa: PLC0415

    return shipped.boxes()


def _base(ctx: typer.Context) -> Any:
    return ctx.find_root().params["directory"].absolute()


def _definition(ctx: typer.Context) -> Any:
    """The file of the lab that is named on the command line or by default, or of the only one there is."""
    from ruamel.yaml import YAML  # noqa: PLC0415

    from labctl import folders  # noqa: PLC0415

    # While an option waits for its value, click has not yet read the arguments.
    unread = ctx.args[0] if ctx.args and "lab" in ctx.params else ""
    folder = folders.find(_base(ctx), ctx.params.get("lab") or unread or ctx.params.get("name"))
    return YAML(typ="safe", pure=True).load(folder / "lab.yml") if folder else {"nodes": []}


def mend_words(environ: MutableMapping[str, str]) -> None:
    """Put together what bash takes apart at @, = and : before it asks for completions."""
    if environ.get("_LABCTL_COMPLETE") != "complete_bash":
        return
    words = environ.get("COMP_WORDS", "").split("\n")
    current = int(environ.get("COMP_CWORD", "0"))
    whole: list[str] = []
    for index, word in enumerate(words[: current + 1]):
        if index > 1 and (word[:1] in {"=", ":"} or words[index - 1][-1:] in {"=", ":", "@"}):
            whole[-1] += word
        else:
            whole.append(word)
    environ["COMP_WORDS"] = "\n".join(whole)
    environ["COMP_CWORD"] = str(len(whole) - 1)
