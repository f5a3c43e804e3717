"""The options of all commands, as files with defaults name them, and the callback that puts those files into effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from labctl.cli.state import state
from labctl.defaults import Command, Option, Settings, read


def take_effect(ctx: typer.Context, directory: Path) -> Path:
    """Read the defaults that hold in a folder; click takes them where neither line nor environment say anything."""
    state.defaults = read(directory.absolute(), known(ctx.command))
    ctx.default_map = _map(state.defaults)
    return directory


def known(command: Any) -> Command:
    """A command of click's with all that is below it. What acts at once, such as --version, has no default."""
    options = {
        name.lstrip("-"): Option(parameter.name, _kind(parameter))
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.is_eager
        for name in parameter.opts
        if name.startswith("--")
    }
    below = getattr(command, "commands", {})
    return Command(options, {name: known(one) for name, one in below.items()})


def _kind(option: Any) -> type:
    if option.is_flag:
        return bool
    return list if option.multiple else Path if isinstance(option.default, Path) else str


def _map(settings: Settings) -> dict[str, Any]:
    """The values, nested by command as click wants them."""
    result: dict[str, Any] = {}
    for (path, parameter), setting in settings.items():
        table = result
        for step in path:
            table = table.setdefault(step, {})
        table[parameter] = setting.value
    return result
