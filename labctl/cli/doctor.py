"""`labctl doctor`: can this host run the lab?"""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import show
from labctl.cli.options import Json, Overrides, Source
from labctl.cli.state import state, wanted
from labctl.errors import HostError

EXAMPLES = ("labctl doctor", "labctl doctor mini-hpc", "labctl doctor --fix")


def run(
    source: Source = "",
    overrides: Overrides = None,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired.")] = False,
    as_json: Json = False,
) -> None:
    """Check whether this host can run a whole lab, and say how to mend it. Exits with 3 if it cannot."""
    from labctl import groups, host  # noqa: PLC0415 - libvirt comes with it

    lab = wanted(source, name="", overrides=overrides or [])
    checks = host.checks(lab.definition, lab.taken())
    if fix and any(check.ok is False or check.commands for check in checks):
        host.fix(checks, state.reporter())
        groups.take_effect()
        checks = host.checks(lab.definition, lab.taken())
    if as_json:
        show.as_json(checks)
    else:
        marks = {True: "ok", False: "failed", None: "note"}
        show.table(
            ("check", "state", "detail", "fix"),
            [(check.name, marks[check.ok], check.detail, "" if check.ok else check.fix) for check in checks],
        )
    if any(check.ok is False for check in checks):
        raise typer.Exit(HostError.exit_code)
