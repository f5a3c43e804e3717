"""How a command ends that did not do what it was asked to: its words and its exit code."""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.main import get_command

from labctl import words
from labctl.cli.app import Interrupted
from labctl.cli.state import state
from labctl.errors import LabError

INTERRUPTED = 130  # what a shell reports of a program that SIGINT ended
UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h: a mistake of labctl's own
# The base of everything that is wrong with a command line; typer carries a copy of click in some versions.
UsageMistake: Any = typer.BadParameter.__bases__[0]
_NO_CHOICE = re.compile(r"'([^']*)' is not one of (.+)")


def guarded(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; whatever goes wrong is said on stderr, with a hint."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, _terminate)
    try:
        code = get_command(app).main(hoisted(arguments), prog_name="labctl", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (Interrupted, KeyboardInterrupt):
        _say_interrupted()
        return INTERRUPTED
    except LabError as error:
        _trace()
        say(error.what, error.why, error.hint)
        return error.exit_code
    except UsageMistake as error:
        say(*_usage(error))
        return int(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # the last resort: a traceback helps no user
        _trace()
        why = str(error) or type(error).__name__
        hint = "" if state.debug else "the same command as `labctl --debug ...` shows where it happened"
        say("something unexpected happened", f"{type(error).__name__}: {why}", hint)
        return UNEXPECTED


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global flags in front: users type them anywhere.

    What follows `ssh` or `exec` is left alone; it may be another program's.
    """
    flags = {"--debug", "--quiet", "-q"}
    end = next((i for i, word in enumerate(arguments) if word in {"--", "ssh", "exec"}), len(arguments))
    front, rest = arguments[:end], arguments[end:]
    return [word for word in front if word in flags] + [word for word in front if word not in flags] + [*rest]


def say(what: str, why: str = "", hint: str = "") -> None:
    """Print an error: what, why and what to try."""
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    screen = Console(stderr=True, highlight=False, soft_wrap=True)
    screen.print(Text.assemble(("error: ", "bold red"), what))
    if why:
        screen.print(Text("\n".join(f"  {line}" for line in why.splitlines())))
    if hint:
        screen.print(Text.assemble(("try: ", "bold cyan"), hint))


def _usage(error: Any) -> tuple[str, str, str]:
    what = error.format_message().replace("Value error, ", "")  # which is said already
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "labctl"
    found = _NO_CHOICE.search(what)
    choices = re.findall(r"'([^']*)'", found[2]) if found else []
    hint = words.hint(found[1] if found else "", choices, f"{path} --help")
    return what[:1].lower() + what[1:], _origin(context, getattr(error, "param", None)), hint


def _origin(context: Any, parameter: Any) -> str:
    """Where a wrong value is from, if it is not on the command line, where everybody sees it."""
    if context is None or parameter is None:
        return ""
    source = context.get_parameter_source(parameter.name)
    if source is not None and source.name == "ENVIRONMENT":
        return f"{parameter.envvar} is set"
    key = (tuple(context.command_path.split()[1:]), parameter.name)
    return (
        f"it is set in {state.defaults[key].place}"
        if source is not None and source.name == "DEFAULT_MAP"
        else ""
    )


def _trace() -> None:
    if state.debug:
        traceback.print_exc()


def _terminate(*_: object) -> None:
    raise KeyboardInterrupt


def _say_interrupted() -> None:
    lab = state.lab
    if lab is None:
        say("interrupted")
        return
    try:
        now = lab.status()
        running = sum(node.state == "running" for node in now.nodes)
        where = f"the lab {lab.name} is {now.state}: {running} of {len(now.nodes)} nodes are running"
    except Exception:  # a half-made lab may not answer, and the hint matters more
        where = f"the lab {lab.name} is half-made"
    # Its name alone may be that of a preset, which is not what the lab has become.
    up = f"labctl up --name {lab.name}" if lab.files.definition.is_file() else f"labctl up {lab.name}"
    say(
        "interrupted",
        where,
        f"`{up}` continues, `labctl destroy {lab.name}` removes it",
    )
