"""docs/cli.md: every command with its options and examples, from the application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from typer.main import get_command

from labctl import errors
from labctl.cli import application
from labctl.cli.failures import INTERRUPTED, UNEXPECTED
from labctl.reference.markdown import MADE, prose, table

INTRODUCTION = """\
Every option can also be given as an environment variable, or [by default in a file of your folder](defaults.md).
Results go to standard output, progress and errors to standard error; `--json` prints facts for programs. Where a
command takes nodes, it takes names, hostlists and groups: `cpu-0`, `cpu-[0-1]`, `@slurmd`, `all`.
`labctl --install-completion` teaches your shell all of this.
"""


def cli() -> str:
    """Every command with its arguments, options and examples, and what the exit codes mean."""
    root: Any = get_command(application())
    parts = [
        f"# The command line\n\n{MADE}\n",
        INTRODUCTION,
        "## labctl\n",
        f"{prose(root.help)}\n",
        _options(root.params),
        *(_command(name, command) for name, command in _commands(root)),
        "## Exit codes\n",
        table(("code", ""), _exit_codes()),
    ]
    return "\n".join(parts)


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")


def _command(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    shown = " ".join(["labctl", name, *(_metavar(one) for one in arguments)])
    parts = [f"## {name}\n", f"`{shown}`\n" if arguments else "", f"{prose(command.help)}\n"]
    rows = [
        (f"`{_metavar(one)}`".replace("|", "\\|"), prose(getattr(one, "help", "") or "")) for one in arguments
    ]
    parts += [table(("argument", ""), rows) if any(row[1] for row in rows) else "", _options(command.params)]
    _, _, lines = (command.epilog or "").partition("Examples:\n")
    if lines.strip():
        parts.append("```sh\n" + "\n".join(line.strip() for line in lines.splitlines()) + "\n```\n")
    return "\n".join(part for part in parts if part)


def _metavar(argument: Any) -> str:
    text = str(argument.metavar or argument.name.upper())
    return text if argument.required or text.startswith("[") else f"[{text}]"


def _options(parameters: Iterable[Any]) -> str:
    rows = []
    for one in parameters:
        if one.param_type_name != "option" or one.hidden or one.name.endswith("_completion"):
            continue
        value = "" if one.is_flag else f" {one.metavar or one.name.upper()}"
        spelled = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
        spelled = spelled[:-1] + f"{value}`" if value else spelled
        variable = f"`{one.envvar}`" if one.envvar else ""
        rows.append((spelled, variable, prose(one.help or "")))
    return table(("option", "variable", ""), rows) if rows else ""


def _exit_codes() -> Iterator[tuple[str, str]]:
    meanings: dict[int, list[str]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.LabError) and kind is not errors.LabError:
            meanings.setdefault(kind.exit_code, []).append((kind.__doc__ or "").strip())
    yield "0", "The command did what it was asked to do."
    yield str(errors.LabError.exit_code), "It did not, for a reason that has no code of its own."
    for code, texts in sorted(meanings.items()):
        yield str(code), " ".join(texts)
    yield str(UNEXPECTED), "A mistake of labctl's own; `labctl --debug` shows where."
    yield str(INTERRUPTED), "Interrupted; run the same command again to go on."
    yield (
        "others",
        "`ssh`, `exec`, `cp` and `logs` hand on what the command on the node ended with, the worst of all nodes.",
    )
