"""`labctl graph`: a picture of a lab, or of what a definition would be."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from labctl.cli import completion
from labctl.cli.state import reached
from labctl.errors import LabError

if TYPE_CHECKING:
    from rich.text import Text

    from labctl.render.graph.topology import Topology

EXAMPLES = (
    "labctl graph",
    "labctl graph mini-hpc",
    "labctl graph full --output full.svg",
    "labctl graph ./my-lab.yml --format mermaid",
)
Form = Literal["text", "mermaid", "svg"]
#: The picture that a file of this name is for.
SUFFIXES: dict[str, Form] = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}
COLOURS = {"good": "green", "busy": "yellow", "off": "dim", "bad": "bold red"}


def run(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[LAB|PRESET|FILE]",
            help="A lab, or what shall be one. Default: the only lab there is.",
            autocompletion=completion.sources,
            show_default=False,
        ),
    ] = "",
    form: Annotated[
        Form | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="text, mermaid or svg. Default: what the name of the output ends with, or text.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Write the picture there."),
    ] = None,
) -> None:
    """Draw a lab: its nodes, who talks to whom, and how they are; of a preset or a file the plan.

    A lab goes before the preset of the same name; its states are those of this moment.
    """
    form = form or SUFFIXES.get(output.suffix if output else "", "text")
    topology = _topology(source)
    picture = _picture(topology, form)
    if output:
        _write(picture, output)
    else:
        _print(picture, form)


def _topology(source: str) -> Topology:
    from labctl.definition import loading, shipped  # noqa: PLC0415
    from labctl.render.graph.topology import topology  # noqa: PLC0415

    looks_like_a_path = "/" in source or Path(source).suffix in {".yml", ".yaml"}
    if looks_like_a_path:
        return topology(loading.load(source))
    try:
        lab = reached(source)
    except LabError:  # none of that name, or nobody to ask because libvirt is not there
        if source not in shipped.paths():
            raise
        return topology(loading.load(source))
    from labctl import status  # noqa: PLC0415

    return status.pictured(lab.definition, lab.status())


def _picture(topology: Topology, form: Form) -> str:
    from labctl.render.graph import mermaid, svg, text  # noqa: PLC0415

    return {"text": text.text, "mermaid": mermaid.mermaid, "svg": svg.svg}[form](topology)


def _write(picture: str, output: Path) -> None:
    try:
        output.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise LabError(
            f"the picture cannot be written to {output}", why=str(error), hint="--output FILE elsewhere"
        ) from error


def _print(picture: str, form: Form) -> None:
    if form != "text":
        sys.stdout.write(picture)
        return
    from labctl.cli.show import screen  # noqa: PLC0415
    from labctl.render.graph.text import ascii_only  # noqa: PLC0415

    out = screen()
    shown = picture if "utf" in (out.encoding or "").lower() else ascii_only(picture)
    out.print(_coloured(picture, shown), end="")


def _coloured(picture: str, shown: str) -> Text:
    """The text as it is shown, with the colours that the picture's symbols stand for."""
    from rich.text import Text  # noqa: PLC0415

    from labctl.render.graph.topology import SYMBOLS  # noqa: PLC0415

    coloured = Text(shown)
    coloured.stylize("bold", 0, picture.index("\n"))
    for tone, symbol in SYMBOLS.items():
        for state in re.finditer(f"{symbol} .*$", picture, re.MULTILINE):
            coloured.stylize(COLOURS[tone], *state.span())
    return coloured
