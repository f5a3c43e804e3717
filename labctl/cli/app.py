"""What all commands share: the application, its global options, an environment variable for every option."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from labctl import __version__
from labctl.cli import defaults
from labctl.cli.state import state
from labctl.errors import UsageError

_SENTENCE = 200  # characters; click cuts off what is longer


class Interrupted(Exception):  # noqa: N818 - not an error: the user's wish
    """Ctrl-C. An exception of its own, because typer would turn KeyboardInterrupt into a silent exit."""


class Command(TyperCommand):
    """A command whose options can all be given as ``LABCTL_<OPTION>``."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        for parameter in self.params:
            if parameter.param_type_name == "option" and not parameter.envvar:
                longest = max(parameter.opts, key=len)
                parameter.envvar = "LABCTL_" + longest.lstrip("-").replace("-", "_").upper()

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - what is longer is wrapped, not cut off
        """What a list of commands says of it: its first sentence."""
        return super().get_short_help_str(_SENTENCE)

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        state.typed = frozenset(
            name for name in ctx.params if ctx.get_parameter_source(name).name == "COMMANDLINE"
        )
        _one_lab(ctx.params)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise Interrupted from interrupt


class Application(typer.Typer):
    """A typer application of `Command`s with plain help."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
            **keywords,
        )

    def add(self, name: str, function: Callable[..., None], shown: Sequence[str], **settings: Any) -> None:
        """Add a command with examples for its help; `settings` are click's context settings."""
        defaults = {"help_option_names": ["-h", "--help"]}
        self.command(name, cls=Command, epilog=examples(*shown), context_settings=defaults | settings)(
            function
        )


def _one_lab(given: dict[str, Any]) -> None:
    """The lab of the argument is meant, whatever the environment or a file call one; and nobody can mean two."""
    lab, name = given.get("lab"), given.get("name")
    if not lab or not name or lab == name:
        return
    if "name" in state.typed:
        raise UsageError("which lab?", why=f"{lab} is named, and --name {name}", hint="name one")
    given["name"] = ""


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"labctl {__version__}")
        raise typer.Exit


def root(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="LABCTL_DEBUG", help="Show tracebacks of errors.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", envvar="LABCTL_QUIET", help="Show no progress.")
    ] = False,
    directory: Annotated[
        Path,
        typer.Option(
            "--directory",
            "-C",
            envvar="LABCTL_DIRECTORY",
            file_okay=False,
            exists=True,
            is_eager=True,
            callback=defaults.take_effect,
            help="Where the labs' files are (in .labctl/).",
        ),
    ] = Path(),
    version: Annotated[  # noqa: ARG001 - acts in its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A real HPC cluster (OpenLDAP, NFS, MUNGE, Slurm) in virtual machines on this host, in one command."""
    state.debug = debug
    state.quiet = quiet
    state.directory = directory
