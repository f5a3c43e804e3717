"""A lab's SSH configuration, for people (``ssh -F .labctl/full/ssh_config cpu-0``) and for labctl itself."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from labctl.render.layout import Layout


def ssh_config(layout: Layout) -> str:
    """The text of the lab's ssh_config."""
    head = f"# The nodes of the lab {layout.lab}: ssh -F {layout.directory / 'ssh_config'} {_first(layout)}\n"
    nodes = [_block(machine.node.name, {"HostName": str(machine.address)}) for machine in layout.machines]
    # By address, too: Ansible and the suite take it from the inventory, and shall share the connections.
    names = " ".join(f"{machine.node.name} {machine.address}" for machine in layout.machines)
    return "\n".join([head, *nodes, _block(names, _common(layout))])


def ssh_command(
    config: Path, node: str, command: Sequence[str] = (), *, user: str | None = None, tty: bool | None = None
) -> list[str]:
    """The argv that reaches a node.

    Args:
        config: the lab's ssh_config.
        node: its name.
        command: what to run there; nothing is a shell.
        user: who to be there, other than the lab's own user.
        tty: force or refuse a terminal; None leaves it to ssh.
    """
    terminal = [] if tty is None else ["-t" if tty else "-T"]
    login = ["-l", user] if user else []
    return ["ssh", "-F", str(config), *terminal, *login, node, *(["--", *command] if command else [])]


def root_command(config: Path, node: str, script: str, *arguments: str) -> list[str]:
    """The argv that runs a shell script as root of a node, whoever the lab's own user is there.

    Args:
        config: the lab's ssh_config.
        node: its name.
        script: for ``sh``.
        arguments: its ``$1`` and so on.
    """
    words = shlex.join(["sh", "-c", script, "sh", *arguments])
    line = f'be=; [ "$(id -u)" = 0 ] || be="sudo -n"; exec $be {words}'
    return ["ssh", "-F", str(config), "-o", "BatchMode=yes", "-T", node, "--", line]


def scp_command(config: Path, sources: Sequence[str], target: str, *, recursive: bool = False) -> list[str]:
    """The argv that copies to or from a node, over the connection that serves all.

    Args:
        config: the lab's ssh_config.
        sources: files as scp names them, those of a node with ``NODE:`` or ``USER@NODE:`` in front.
        target: the same.
        recursive: folders as well.
    """
    return ["scp", "-q", "-F", str(config), *(["-r"] if recursive else []), "--", *sources, target]


def _common(layout: Layout) -> dict[str, str]:
    return {
        "User": layout.box.user,
        "IdentityFile": quoted(layout.directory / "id_ed25519"),
        "IdentitiesOnly": "yes",
        "PreferredAuthentications": "publickey",
        "UserKnownHostsFile": quoted(layout.directory / "known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "accept-new",
        "ControlMaster": "auto",
        "ControlPersist": "10m",
        "ControlPath": control_path(layout),
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
        "ConnectTimeout": "10",
        "LogLevel": "ERROR",
    }


def control_path(layout: Layout) -> str:
    """Where the one connection to a node lies that serves all.

    Of this lab alone: its key is in the name. %C, which is the address and the user, is the same for two labs that got
    the same network, one after the other or in two network namespaces, and a command for one would be run by the other.

    %i is the local user's number: the folder is that user's alone. Unix sockets allow 107 characters, and ssh adds
    some of its own while it connects: the path is short.
    """
    key = hashlib.sha256(layout.public_key.encode()).hexdigest()[:8]
    return f"/tmp/labctl-%i/{control_prefix(layout.lab)}{key}-%C"  # noqa: S108 - the folder is made with mode 0700


def control_prefix(lab: str) -> str:
    """What the names of a lab's shared connections begin with: they can be found when its files are gone."""
    return hashlib.sha256(lab.encode()).hexdigest()[:6]


def quoted(path: Path) -> str:
    """A path as ssh_config(5) reads it: between double quotes, its % not a token."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _block(hosts: str, options: dict[str, str]) -> str:
    return "".join([f"Host {hosts}\n", *(f"    {key} {value}\n" for key, value in options.items())])


def _first(layout: Layout) -> str:
    return layout.machines[0].node.name
