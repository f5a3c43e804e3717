"""One thing a host must have, and what mends it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

Commands = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Check:
    """One thing a host must have.

    Attributes:
        name: of what was looked at.
        ok: True, False, or None where it could not be found out, is not needed, or only slows a lab down.
        detail: what was seen.
        fix: the command or the deed that mends it.
        commands: the commands that mend it, to be run by root; none where labctl cannot mend it.
    """

    name: str
    ok: bool | None
    detail: str
    fix: str = ""
    commands: Commands = ()


def mended_by(commands: Commands) -> str:
    """What to say of a check that these commands mend."""
    return f"labctl doctor --fix ({'; '.join(shlex.join([*sudo(), *command]) for command in commands)})"


def sudo() -> Sequence[str]:
    """What makes a command root's."""
    return [] if os.geteuid() == 0 else ["sudo"]
