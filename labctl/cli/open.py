"""`labctl open`: a lab's page in a browser of this host, through SSH."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from labctl.cli import show
from labctl.cli.options import Json, LabName
from labctl.cli.state import reached
from labctl.errors import LabError, UsageError

if TYPE_CHECKING:
    from labctl.known import KnownLab
    from labctl.render.jupyter import Page

EXAMPLES = (
    "labctl open jupyter",
    "labctl open jupyter --no-browser --port 9000",
    "labctl open jupyter --json",
)


def run(
    page: Annotated[  # noqa: ARG001 - there is one so far
        Literal["jupyter"], typer.Argument(metavar="PAGE", help="jupyter: notebooks, which are jobs.")
    ],
    name: LabName = "",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Of this host. Default: the page's own, or a free one.",
        ),
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, where this host shows one.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Bring a page of a lab to this host, and open it in a browser. Ctrl-C ends that; the lab goes on."""
    from labctl.reach.forward import HERE, forwarded, free_port  # noqa: PLC0415

    lab = reached(name)
    where = _page(lab)
    for error in lab.unreachable([where.node]).values():
        raise error
    local = free_port(port or where.port, insist=bool(port))
    with forwarded(lab.ssh_command(where.node), where.port, local) as connection:
        url = f"http://{HERE}:{local}"
        user = lab.definition.users[0].name
        if as_json:
            show.as_json({"url": url, "node": where.node, "user": user, "secrets": lab.files.secrets})
        else:
            typer.echo(f"{url}  (Ctrl-C to end)")
            typer.echo(f"log in as {user}; passwords are in {lab.files.secrets}")
        sys.stdout.flush()
        if browser and _shows():
            webbrowser.open(url)
        connection.wait()
    raise LabError(f"the connection to {where.node} has ended", hint="labctl status")


def _page(lab: KnownLab) -> Page:
    from labctl.render import jupyter  # noqa: PLC0415

    found = jupyter.page(lab.layout())
    if found is None:
        raise UsageError(
            f"{lab.name} has no JupyterHub", hint=f"labctl up --name {lab.name} --set services.jupyter=true"
        )
    return found


def _shows() -> bool:
    """Whether there is a screen: without one a browser in the terminal would be opened, if any."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
