"""The ways into a lab's nodes: command lines of ssh and scp that have the lab's own keys, names and connections."""

from __future__ import annotations

from collections.abc import Sequence

from labctl.files import LabFiles
from labctl.render import ssh_config
from labctl.steps import boot


class Ways:
    """Whoever has the files of a lab reaches its nodes; for what each argument means see `labctl.render.ssh_config`."""

    files: LabFiles

    def ssh_command(
        self, node: str, command: Sequence[str] = (), *, user: str | None = None, tty: bool | None = None
    ) -> list[str]:
        """The argv that reaches a node."""
        boot.control_directory()
        return ssh_config.ssh_command(self.files.ssh_config, node, command, user=user, tty=tty)

    def root_command(self, node: str, script: str, *arguments: str) -> list[str]:
        """The argv that runs a shell script as root of a node."""
        boot.control_directory()
        return ssh_config.root_command(self.files.ssh_config, node, script, *arguments)

    def scp_command(self, sources: Sequence[str], target: str, *, recursive: bool = False) -> list[str]:
        """The argv that copies to or from a node."""
        boot.control_directory()
        return ssh_config.scp_command(self.files.ssh_config, sources, target, recursive=recursive)
