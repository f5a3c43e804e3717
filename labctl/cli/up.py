"""`labctl up`: from wherever the lab is to the lab that is defined, and proven."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from labctl import console
from labctl.cli import bring_up
from labctl.cli.meant import Meant, of_a_lab
from labctl.cli.options import DryRun, Force, Json, Verify
from labctl.cli.state import state

EXAMPLES = (
    "labctl up",
    "labctl up mini-hpc --name tutorial",
    "labctl up ./my-lab.yml --set 'nodes.cpu-[0-1].memory=2048'",
    "labctl up full --cpu-nodes 4 --memory-per-node 2048",
    "labctl up full --dry-run",
    "labctl up cpu --ci --cache cpu.snapshot",
)
#: What `--ci` stands for. Seconds: without KVM and from nothing, the largest preset takes a good five minutes.
CI_TIMEOUT, CI_LOGS = 1800.0, Path("labctl-logs")


@of_a_lab
def run(
    meant: Meant,
    *,
    dry_run: DryRun = False,
    verify: Verify = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make every machine anew, and from no snapshot.")
    ] = False,
    force: Force = False,
    ci: Annotated[
        bool,
        typer.Option(
            "--ci",
            help="Nobody watches: plain output, and if not said otherwise --timeout 1800 and --logs labctl-logs.",
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0, help="Give up after so long. Default: never, as with 0."
        ),
    ] = None,
    logs: Annotated[
        Path | None,
        typer.Option(
            "--logs",
            metavar="DIR",
            file_okay=False,
            help="If it fails, collect all that the lab can tell in this folder, as `collect` does.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="FILE",
            dir_okay=False,
            help="Import the lab's snapshot from this file if it is there, and export it to there if it is new.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create, start, converge and verify a lab, and save it; or bring it back as it was saved.

    Run again, it changes only what is not as defined.
    """
    lab = meant.lab()
    if ci:
        console.plain()
        timeout, logs = CI_TIMEOUT if timeout is None else timeout, logs or CI_LOGS
    reporter = state.reporter()
    with ExitStack() as stack:
        if not dry_run and (timeout or logs or cache):
            from labctl.unattended import unattended  # noqa: PLC0415 - not what people wait for

            stack.enter_context(unattended(lab, reporter, timeout=timeout or 0, logs=logs, cache=cache))
        bring_up.bring_up(
            lab, reporter, dry_run=dry_run, verify=verify, fresh=fresh, force=force, as_json=as_json
        )
