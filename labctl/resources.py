"""Where playbooks, roles, templates and the verify suite are: in a checkout, or inside the installed package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def resource(name: str) -> Path:
    """Path of a file or folder that ships with labctl.

    Args:
        name: relative to the project's root, such as ``roles`` or ``Vagrantfile.j2``.
    """
    package = Path(str(resources.files("labctl")))
    installed = package / "_data" / name
    return installed if installed.exists() else package.parent / name
