"""The warm Python of labctl's own boxes: how to ask for it. What it is: ``boxes/debian-12/warm_python.py``."""

from __future__ import annotations

from importlib import metadata

_PROGRAM = "/usr/lib/warm_python/python3"
_LOADED = ("ansible-core", "mitogen")


def key() -> str:
    """Whose modules it has loaded, and in which version: those that are installed here."""
    return "-".join(f"{name}-{metadata.version(name)}" for name in _LOADED)


def interpreter() -> str:
    """What Ansible calls in the place of Python; where the box has other versions, the machine's own Python answers."""
    return f"{_PROGRAM} {key()}"
