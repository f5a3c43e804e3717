"""Batch scripts: what sbatch reads, from a script of the user's and options in Python's words. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from labctl.errors import UsageError

#: What sbatch's options may be: True is a flag, None and False leave the option out.
Value = str | int | float | bool | Path | None
Options = Mapping[str, Value]
_SHELL = "#!/bin/bash"
_DIRECTIVE = re.compile(r"#SBATCH\s+(.*)")
# Where the job's output goes unless the user says something else, in the job's folder.
_OUTPUT = {"output": "stdout", "error": "stderr"}
_SHORT = {"o": "output", "e": "error", "a": "array"}


def render(script: str, options: Options) -> str:
    """The script as sbatch gets it, with the options as directives that win over those it has already.

    Args:
        script: what the job does; without a ``#!`` it is bash.
        options: sbatch's long options, with _ for -: ``cpus_per_task=2``.

    Raises:
        UsageError: arrays, which are several jobs in one.
    """
    lines = script.splitlines() if script.startswith("#!") else [_SHELL, *script.splitlines()]
    told = _named(lines)
    wanted = {name.replace("_", "-"): value for name, value in options.items()}
    wanted = {name: value for name, value in wanted.items() if value is not None and value is not False}
    if "array" in told | wanted.keys():
        raise UsageError(
            "a job array is many jobs in one", hint="submit each of them: [submit(f, i) for i in range(4)]"
        )
    if not told & _OUTPUT.keys() and not wanted.keys() & _OUTPUT.keys():
        wanted = {**_OUTPUT, **wanted}
    at = _end_of_directives(lines)
    return "\n".join([*lines[:at], *map(_directive, wanted.items()), *lines[at:]]) + "\n"


def text(task: str | Path) -> str:
    """The script that is meant by a path, by text, or by text that is the path of a file.

    Raises:
        UsageError: there is no such file.
    """
    is_path = isinstance(task, Path) or ("\n" not in task and re.fullmatch(r"\S*[./]\S*", task.strip()))
    if not (is_path and Path(task).is_file()):
        if isinstance(task, Path):
            raise UsageError(f"there is no script {task}")
        return task
    return Path(task).read_text(encoding="utf-8")


def command(words: Sequence[str]) -> str:
    """A script of one command."""
    return f"exec {shlex.join(words)}\n"


def _named(lines: Sequence[str]) -> set[str]:
    """The long names of the options that the script has itself."""
    words = [
        word
        for line in lines
        if (found := _DIRECTIVE.match(line))
        for word in shlex.split(found[1], comments=True)
    ]
    long = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
    return long | {_SHORT[word[1]] for word in words if re.match(r"-\w", word) and word[1] in _SHORT}


def _end_of_directives(lines: Sequence[str]) -> int:
    """Behind the last directive that sbatch reads: it stops at the first line that is a command."""
    at = 1
    for number, line in enumerate(lines):
        if line.strip() and not line.startswith("#"):
            break
        if _DIRECTIVE.match(line):
            at = number + 1
    return at


def _directive(option: tuple[str, Value]) -> str:
    name, value = option
    return f"#SBATCH --{name}" if value is True else f"#SBATCH --{name}={shlex.quote(str(value))}"
