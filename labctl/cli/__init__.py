"""The command line. One file a command: it parses, calls `labctl.lab` and shows; nothing is decided here.

What a command needs is imported when it runs, so that `labctl --help` and shell completion answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from labctl import groups
from labctl.cli import (
    box,
    collect,
    completion,
    config,
    converge,
    cp,
    create,
    destroy,
    doctor,
    exec,  # noqa: A004 - commands are named as users type them
    graph,
    list,  # noqa: A004
    logs,
    open,  # noqa: A004
    presets,
    prune,
    reset,
    resume,
    rotate,
    scale,
    schema,
    snapshot,
    ssh,
    start,
    status,
    stop,
    suspend,
    up,
    verify,
)
from labctl.cli.app import Application, examples, root
from labctl.cli.failures import guarded

COMMANDS = {
    "up": up,
    "scale": scale,
    "create": create,
    "converge": converge,
    "verify": verify,
    "status": status,
    "list": list,
    "ssh": ssh,
    "exec": exec,
    "cp": cp,
    "open": open,
    "logs": logs,
    "collect": collect,
    "start": start,
    "stop": stop,
    "suspend": suspend,
    "resume": resume,
    "reset": reset,
    "rotate": rotate,
    "destroy": destroy,
    "prune": prune,
    "doctor": doctor,
    "presets": presets,
    "schema": schema,
    "config": config,
    "graph": graph,
}


def application() -> typer.Typer:
    """All commands, in the order of use."""
    app = Application(help=root.__doc__, epilog=examples("labctl up", "labctl ssh slurmctld-0 -- sinfo"))
    app.callback()(root)
    for name, module in COMMANDS.items():
        app.add(name, module.run, module.EXAMPLES, **getattr(module, "SETTINGS", {}))
    app.add_typer(snapshot.app, name="snapshot")
    app.add_typer(box.app, name="box")
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0 only if it did what it was asked to do."""
    if arguments is None:
        groups.take_effect()
    completion.mend_words(os.environ)
    # Nobody's plugins of pydantic have a say in definitions, and looking for some opens the metadata of all packages.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(guarded(application(), given or ["--help"]))
