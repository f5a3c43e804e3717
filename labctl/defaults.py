"""Defaults for options: `labctl.toml`, and the table `[tool.labctl]` of pyproject.toml, each the nearest here or above.

A key is the name of an option without its dashes. At the top it holds for every command that has the option, in a
table that is named after a command (`[up]`, `[snapshot.save]`) for that one alone, and wins there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.errors import UsageError
from labctl.words import instead

OWN, PROJECT = "labctl.toml", "pyproject.toml"
#: What a value must be for each kind of option.
KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    list: ((list,), 'a list, such as ["a", "b"]'),
    Path: ((str,), "text"),
    str: ((str, int, float), "text or a number"),
}

Steps = tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """An option: the name of its parameter, and which of `KINDS` it takes."""

    parameter: str
    kind: type

    def fits(self, value: Any) -> bool:
        """Whether a value is of the right kind; whether it is a good one, the command itself says."""
        return isinstance(value, KINDS[self.kind][0]) and (self.kind is bool or not isinstance(value, bool))


@dataclass(frozen=True)
class Command:
    """A command or a group: its options by name, and the commands below it."""

    options: Mapping[str, Option] = field(default_factory=dict)
    commands: Mapping[str, Command] = field(default_factory=dict)

    def named(self, name: str) -> Iterator[Option]:
        """The options of this name, here and below."""
        if name in self.options:
            yield self.options[name]
        for command in self.commands.values():
            yield from command.named(name)

    def names(self) -> tuple[str, ...]:
        """The names of all options, here and below."""
        below = [name for command in self.commands.values() for name in command.names()]
        return tuple(dict.fromkeys([*self.options, *below]))


@dataclass(frozen=True)
class File:
    """A file with defaults; `above` leads to their table in it."""

    path: Path
    text: str
    table: Mapping[str, Any]
    above: Steps = ()

    def place(self, steps: Steps) -> str:
        """Where a key is written, as file:line."""
        return f"{self.path}:{_line(self.text, (*self.above, *steps))}"


@dataclass(frozen=True)
class Setting:
    """The value of an option, and the key that says so."""

    value: Any
    file: File
    steps: Steps

    @property
    def place(self) -> str:
        """Where it is written, as file:line."""
        return self.file.place(self.steps)


#: By the command, such as ("snapshot", "save"), and the option's parameter.
Settings = dict[tuple[Steps, str], Setting]


def read(base: Path, root: Command) -> Settings:
    """The defaults of all commands below `root`, for one who is in the folder `base`.

    Raises:
        UsageError: a file is no TOML, or has keys or values that no option has; with all mistakes, each with its line.
    """
    files = [*_files(base)]
    mistakes = [mistake for file in files for mistake in _mistakes(file, root, file.table, ())]
    if mistakes:
        raise _refusal(*mistakes)
    return {key: setting for file in files for key, setting in _settings(file, root, ())}


def _files(base: Path) -> Iterator[File]:
    """The files that count, the weakest first."""
    for name, above in ((PROJECT, ("tool", "labctl")), (OWN, ())):
        found = (_file(folder / name, above) for folder in (base, *base.parents))
        yield from [file for file in found if file][:1]


def _file(path: Path, above: Steps) -> File | None:
    """The file, if it is there and has something to say to us."""
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        table: Any = tomllib.loads(text) if not above or above[-1] in text else {}
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        place = f"{path}:{line[1] if line else len(text.splitlines())}"
        raise _refusal(f"{place}: {str(error).partition(' (at ')[0]}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _refusal(f"{path}: {error}") from error
    table = _at(table, above) or {}
    if not isinstance(table, dict):
        raise _refusal(f"{path}:{_line(text, above)}: {'.'.join(above)} must be a table")
    return File(path, text, table, above) if table else None


def _mistakes(file: File, command: Command, table: Mapping[str, Any], above: Steps) -> Iterator[str]:
    for key, value in table.items():
        options, steps = [*command.named(key)], (*above, key)
        if isinstance(value, dict) and key in command.commands:
            yield from _mistakes(file, command.commands[key], value, steps)
        elif not options:
            near = instead(
                key,
                [*command.names(), *command.commands],
                called="" if above else "the options of all commands, and tables named after commands",
            )
            yield f"{file.place(steps)}: unknown key {key!r}{near}"
        elif not all(option.fits(value) for option in options):
            yield f"{file.place(steps)}: {key} must be {KINDS[options[0].kind][1]}, not {value!r}"


def _settings(file: File, command: Command, path: Steps) -> Iterator[tuple[tuple[Steps, str], Setting]]:
    """What a file says for a command and for those below it; what is said for fewer commands comes later."""
    for depth in range(len(path) + 1):
        table = _at(file.table, path[:depth])
        for name in command.options.keys() & (table.keys() if isinstance(table, dict) else ()):
            option, value = command.options[name], table[name]
            if not isinstance(value, dict):  # the table of a command that is called like the option
                value = str(file.path.parent / value) if option.kind is Path else value
                yield (path, option.parameter), Setting(value, file, (*path[:depth], name))
    for name, below in command.commands.items():
        yield from _settings(file, below, (*path, name))


def _at(table: Any, steps: Steps) -> Any:
    """What the steps lead to; None if that is nothing."""
    for step in steps:
        table = table.get(step) if isinstance(table, dict) else None
    return table


def _line(text: str, steps: Steps) -> int:
    """The line of a key: the one after the longest beginning of the text that is whole and does not have it."""
    lines, before = text.splitlines(), 0
    for count in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        if _at(table, steps) is not None:
            break
        before = count
    return before + 1


def _refusal(*mistakes: str) -> UsageError:
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return UsageError(
        f"the defaults for options have {count}",
        why="\n".join(mistakes),
        hint="a key is the name of an option, a table that of a command; `labctl COMMAND --help` shows the options",
    )
