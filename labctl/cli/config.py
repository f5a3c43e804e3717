"""`labctl config`: how clients reach a lab, and what they are set up from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from labctl.cli import show
from labctl.cli.options import LabArgument, LabName
from labctl.cli.state import reached
from labctl.errors import LabError, UsageError

if TYPE_CHECKING:
    from labctl.known import KnownLab

EXAMPLES = (
    "labctl config",
    "labctl config full --format json",
    'eval "$(labctl config --format env)"',
    "labctl config --format ssh >> ~/.ssh/config",
    "labctl config --format slurmfile > Slurmfile.toml",
    "labctl config --format munge --output munge.key",
    "labctl config --format slurm-conf > slurm.conf",
    "labctl config --format kubernetes | kubectl apply -f -",
)
Form = Literal["json", "ssh", "env", "slurmfile", "munge", "slurm-conf", "kubernetes"]


def run(
    *,
    lab: LabArgument = "",
    name: LabName = "",
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="json, ssh (for ~/.ssh/config), env (for a shell), slurmfile (for SDKs of Slurm), munge (the key), "
            "slurm-conf or kubernetes (a Secret and a ConfigMap).",
        ),
    ] = "json",
    user: Annotated[
        str,
        typer.Option(
            "-u", "-l", "--user", metavar="USER", help="Who logs in. Default: the first user of the lab."
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write it to this file, which only you can read."
        ),
    ] = None,
) -> None:
    """Print how clients reach a lab: host, user, key, known hosts, partitions and nodes.

    No secret is printed, only where it is, but with munge and kubernetes: these have the keys in them, and whoever has
    those is any user of the lab. The lab need not run, but for slurm-conf and kubernetes; its addresses are its own
    until it is destroyed.
    """
    found = reached(name or lab)
    content = (
        _exported(found, form) if form in ("munge", "slurm-conf", "kubernetes") else _facts(found, form, user)
    )
    if output:
        _write(content, output)
    elif form == "munge" and sys.stdout.isatty():
        raise UsageError("a key is nothing for a terminal", hint="--output FILE, or a pipe")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _facts(lab: KnownLab, form: Form, user: str) -> bytes:
    from labctl.render import connection  # noqa: PLC0415

    to = connection.connection(lab.layout(), user)
    forms = {"ssh": connection.ssh, "env": connection.env, "slurmfile": connection.slurmfile}
    return (forms[form](to) if form in forms else show.in_json(to)).encode()


def _exported(lab: KnownLab, form: Form) -> bytes:
    from labctl.render import export  # noqa: PLC0415

    layout = lab.layout()
    if form == "munge":
        return export.munge_key(layout, lab.secrets())
    conf = export.slurm_conf(lab.slurm_conf(), layout)
    return (export.kubernetes(layout, lab.secrets(), conf) if form == "kubernetes" else conf).encode()


def _write(content: bytes, output: Path) -> None:
    from labctl.secrets import write_private  # noqa: PLC0415

    try:
        write_private(output, content)
    except OSError as error:
        raise LabError(
            f"{output} cannot be written", why=str(error), hint="--output FILE elsewhere"
        ) from error
