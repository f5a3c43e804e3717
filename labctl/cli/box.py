"""`labctl box`: the images that nodes are made of."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import completion, show
from labctl.cli.app import Application, examples
from labctl.cli.options import Json
from labctl.cli.state import state

BoxName = Annotated[
    str, typer.Argument(metavar="[BOX]", help="Name of the box.", autocompletion=completion.recipes)
]
BuiltBox = Annotated[
    str, typer.Argument(metavar="BOX", help="Name of the box.", autocompletion=completion.boxes)
]

app = Application(
    help="Build, list and remove the boxes that nodes are made of.",
    epilog=examples("labctl box build", "labctl box list"),
)


def build(
    name: BoxName = "debian-12",
    force: Annotated[bool, typer.Option("--force", help="Build it again although it is there.")] = False,
    as_json: Json = False,
) -> None:
    """Build a box with the packages of every role inside; does nothing if it is there and whole."""
    from labctl.steps import box as boxes  # noqa: PLC0415

    made = boxes.build(name, state.reporter(), force=force)
    if as_json:
        show.as_json(made)
    else:
        print(f"{made.name} {made.version}: {made.path}")


def list_(as_json: Json = False) -> None:
    """List the boxes that labctl has built."""
    from labctl.steps import box as boxes  # noqa: PLC0415

    found = boxes.boxes()
    if as_json:
        show.as_json(found)
    elif not found:
        print("no boxes; `labctl box build` makes one")
    else:
        show.table(
            ("box", "version", "size", "created", "path"),
            [
                (box.name, box.version, f"{box.size_bytes >> 20} MiB", show.moment(box.created), box.path)
                for box in found
            ],
        )


def remove(name: BuiltBox) -> None:
    """Remove a box, in all its versions."""
    from labctl.steps import box as boxes  # noqa: PLC0415

    for box in boxes.remove(name):
        print(f"removed {box.name} {box.version}")


app.add("build", build, ("labctl box build", "labctl box build debian-12 --force"))
app.add("list", list_, ("labctl box list --json",))
app.add("rm", remove, ("labctl box rm debian-12",))
