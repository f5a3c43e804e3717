"""A lab of three machines on a host where they are made in no time."""

from __future__ import annotations

import json
from typing import Any

from worlds import World

from labctl.console import silent
from labctl.definition.loading import loads
from labctl.definition.models import Definition
from labctl.lab import Lab

SMALL = """
name: small
users: [{name: ann, uid: 10000}]
nodes:
  - {name: head, roles: [ldap_server, nfs_server, slurmctld]}
  - {name: "cpu-[0-1]", roles: [slurmd], partitions: [cpu], memory: 1024}
partitions: [{name: cpu}]
"""
FROM_NOTHING = [
    "require",
    "stage",
    "connect small",
    "make head cpu-0 cpu-1",
    "await head cpu-0 cpu-1",
    "converge",
    "verify full",
]


def small(*overrides: str, text: str = SMALL) -> Definition:
    """Its definition, or that in `text`."""
    return loads(text, overrides=overrides)


def lab(world: World, definition: Definition | None = None, name: str | None = None) -> Lab:
    """The lab."""
    return Lab.define(definition or small(), base=world.home, name=name)


def up(world: World, definition: Definition | None = None, **options: Any) -> list[str]:
    """Bring it up; what was done."""
    world.taken()
    lab(world, definition, options.pop("name", None)).up(silent(), **options)
    return world.taken()


def record(world: World, name: str = "small") -> dict[str, Any]:
    """What it remembers of itself."""
    content: dict[str, Any] = json.loads((world.home / ".labctl" / name / "record.json").read_text())
    return content
