"""Ask a node: one shell script over testinfra's connection, with standard input and a deadline.

testinfra's own ``host.run`` has neither: a secret would have to stand in a command line, and a node that
hangs would hang the suite. What the inventory says of the connection is still read and turned into a command
by testinfra, so that whatever works for ``host.run`` works here, shared connections (ControlPath) included.
"""

from __future__ import annotations

import importlib
import shlex
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from testinfra.backend.local import LocalBackend
from testinfra.backend.ssh import SshBackend
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

SSH_FAILED = 255  # ssh(1): its own exit code where it could not reach or log in
TRIES = 3
AT_ONCE = 32  # sessions; each is an ssh process here
MOMENTARY = (
    "connect to host",
    "kex_exchange_identification",
    "during banner exchange",  # sshd is there and has no CPU to say so
    "mux_client",
    "Connection closed by",
    "Connection reset by",
)


_sessions = threading.BoundedSemaphore(AT_ONCE)


class NodeError(Exception):
    """A node did not answer, or could not carry out what it was asked."""


@dataclass(frozen=True)
class Answer:
    """What a script on a node ended with."""

    code: int
    stdout: str
    stderr: str


class Transport(Protocol):
    """Another way to ask a node than the inventory's, such as a hypervisor's guest agent."""

    def __call__(self, node: str, script: str, *, stdin: str, deadline: float) -> tuple[int, str, str]:
        """Exit code, output and errors of a shell script that is run as root; OSError if there is no way."""


def transport(name: str) -> Transport:
    """The transport that is named like ``package.module:function``."""
    module, _, function = name.partition(":")
    found: Transport = getattr(importlib.import_module(module), function)
    return found


class Connections:
    """The nodes of an inventory, as testinfra reaches them, or as `through` does."""

    def __init__(self, path: Path, inventory: dict[str, Any], through: Transport | None = None) -> None:
        self._through = through
        self._runner = AnsibleRunner(str(path))
        self._runner.inventory = inventory  # a cached property: testinfra would ask Ansible again
        self._inventory = inventory

    def host(self, node: str) -> Host:
        """The testinfra host of a node.

        Raises:
            NodeError: the inventory's connection plugin is none that testinfra can use.
        """
        host = self._runner.get_host(node)
        if host is None:
            kind = self._inventory["_meta"]["hostvars"].get(node, {}).get("ansible_connection")
            raise NodeError(f"{node}: the suite cannot use the connection {kind!r}, only ssh and local")
        return host

    def ask(self, node: str, script: str, *, stdin: str = "", deadline: float = 120) -> Answer:
        """Run a shell script as root on a node.

        Args:
            node: name in the inventory.
            script: for ``/bin/sh``; it may be some ten kilobytes long.
            stdin: the place for secrets, which must stand in no command line.
            deadline: seconds until the script is killed, on the node and here.

        Raises:
            NodeError: the node cannot be reached or the deadline has passed.
        """
        if self._through is not None:
            try:
                return Answer(*self._through(node, script, stdin=stdin, deadline=deadline))
            except OSError as error:
                raise NodeError(f"{node} cannot be reached: {error}") from error
        bounded = f"timeout -k 5 {int(deadline)} sh -c {shlex.quote(script)}"
        answer = run(self.command(node, bounded), stdin=stdin, deadline=deadline + 30, whom=node)
        if answer.code in (124, 137):
            raise NodeError(f"{node} did not finish in {int(deadline)} s; so far it said: {_tail(answer)}")
        return answer

    def command(self, node: str, script: str) -> list[str]:
        """The command here that runs a script as root there."""
        backend = self.host(node).backend
        if isinstance(backend, SshBackend):
            command, arguments = backend._build_ssh_command(backend.get_command(script))
            return shlex.split(backend.quote(" ".join(command), *arguments))
        if isinstance(backend, LocalBackend):
            return ["sh", "-c", backend.get_command(script)]
        raise NodeError(f"{node}: the suite cannot use the connection {backend.NAME!r}, only ssh and local")

    def forget(self, node: str) -> None:
        """End the shared connection of a node, which a reboot leaves hanging."""
        backend = self.host(node).backend
        if isinstance(backend, SshBackend):
            command = self.command(node, "true")
            subprocess.run(
                [*command[:-2], "-O", "exit", command[-2]], capture_output=True, timeout=30, check=False
            )

    def login(self, node: str, user: str, key: Path | None, script: str) -> list[str]:
        """The command here that logs in as a user, with that user's key and nothing else."""
        if key is None:
            raise NodeError("the inventory names no key: set verify_ssh_key")
        backend = self.host(node).backend
        if not isinstance(backend, SshBackend):
            raise NodeError(f"{node} is not reached by ssh")
        options = ["ControlPath=none", "IdentitiesOnly=yes", "BatchMode=yes", f"User={user}"]
        options += ["PreferredAuthentications=publickey", "ConnectTimeout=30"]
        command = ["ssh", "-i", str(key), *(part for option in options for part in ("-o", option))]
        command += shlex.split(backend.ssh_extra_args or "")
        if backend.host.port:
            command += ["-p", str(backend.host.port)]
        return [*command, backend.host.name, script]


def run(command: list[str], *, whom: str, stdin: str = "", deadline: float) -> Answer:
    """Run a command here, again where ssh could not connect for a moment.

    Raises:
        NodeError: ssh could not reach the node, or the deadline has passed.
    """
    for attempt in range(1, TRIES + 1):
        try:
            done = subprocess.run(
                command, input=stdin.encode(), capture_output=True, timeout=deadline, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise NodeError(f"{whom} did not answer in {int(deadline)} s") from late
        answer = Answer(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if command[0] != "ssh" or answer.code != SSH_FAILED:
            return answer
        if attempt < TRIES and any(words in answer.stderr for words in MOMENTARY):
            time.sleep(attempt)
            continue
        break
    raise NodeError(f"{whom} cannot be reached: {_tail(answer)}")


def _tail(answer: Answer) -> str:
    lines = (answer.stdout + answer.stderr).strip().splitlines()
    return "\n".join(lines[-5:]) or "nothing"
