"""The ways into a lab's nodes: command lines of ssh and scp that have the lab's own keys, names and connections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labctl import refusals, scratch
from labctl.files import LabFiles
from labctl.render import ssh_config


class Ways:
    """Whoever has the files of a lab reaches its nodes; for what each argument means see `labctl.render.ssh_config`."""

    name: str
    files: LabFiles

    def ssh_command(
        self, node: str, command: Sequence[str] = (), *, user: str | None = None, tty: bool | None = None
    ) -> list[str]:
        """The argv that reaches a node."""
        return ssh_config.ssh_command(self._config(), node, command, user=user, tty=tty)

    def root_command(self, node: str, script: str, *arguments: str) -> list[str]:
        """The argv that runs a shell script as root of a node."""
        return ssh_config.root_command(self._config(), node, script, *arguments)

    def scp_command(self, sources: Sequence[str], target: str, *, recursive: bool = False) -> list[str]:
        """The argv that copies to or from a node."""
        return ssh_config.scp_command(self._config(), sources, target, recursive=recursive)

    def _config(self) -> Path:
        """The lab's ssh_config, and the folder that it names.

        Raises:
            UsageError: the lab was never made.
        """
        refusals.never_made(self.name, self.files.record())
        scratch.folder()
        return self.files.ssh_config
