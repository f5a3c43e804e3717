"""Boot: machines that are made or started, each awaited with a deadline of its own until it answers on SSH."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from labctl import scratch
from labctl.console import StepView
from labctl.errors import BootError
from labctl.providers.base import Provider
from labctl.render.layout import Layout
from labctl.render.ssh_config import control_prefix
from labctl.side_by_side import each
from labctl.steps import awaiting, machines

_PORT_DEADLINE = 30.0  # seconds for a machine that was only frozen
_POLL = 0.5  # seconds between two looks at a port
_SSH = 22
_NOBODY = 1  # tcpmux: a port that no machine of a lab listens on


def bring_up(
    provider: Provider,
    layout: Layout,
    *,
    made: Sequence[str] = (),
    maker: Callable[[], None] | None = None,
    started: Sequence[str] = (),
    view: StepView,
    log: Path,
) -> None:
    """Make some machines, start others, and wait until each of them answers.

    Args:
        provider: who makes them.
        layout: the lab.
        made: the nodes that have no machine.
        maker: makes those, in another way than the provider does.
        started: those whose machine is stopped or suspended.
        view: is told of each node.
        log: what the provider says goes there.

    Raises:
        BootError: a machine could not be made or did not answer in time.
    """
    if made:
        forget_host_keys(layout.directory, [_address(layout, node) for node in made])

    def make(answered: threading.Event) -> None:
        machines.start(provider, layout.lab, started)
        if maker:
            maker()
        elif made:
            provider.make(layout, made, view, log, answered)

    make_and_await(layout, [*made, *started], make, view)


def make_and_await(
    layout: Layout, nodes: Sequence[str], make: Callable[[threading.Event], None], view: StepView
) -> None:
    """Run ``make`` and, beside it, wait until each node answers.

    Args:
        layout: the lab.
        nodes: those to wait for.
        make: makes or starts the machines; its errors come first. Its argument is set when all have answered.
        view: is told of each node.

    Raises:
        BootError: a node did not answer in time.
    """
    awaiting.make_and_await(nodes, make, lambda node, failed: _answer(layout, node, view, failed))


def await_network(layout: Layout, view: StepView) -> None:
    """Wait until each machine, which ran before, answers over the lab's network.

    Raises:
        BootError: one does not.
    """

    def one(node: str) -> None:
        address = _address(layout, node)
        end = time.monotonic() + _PORT_DEADLINE
        while not _there(address):
            if time.monotonic() > end:
                raise BootError(f"{node} does not answer at {address}", hint="labctl doctor")
            time.sleep(_POLL / 10)
        view.node(node, "answers", "ok")

    each([machine.node.name for machine in layout.machines], one)


def disconnect(directory: Path, nodes: Iterable[str]) -> None:
    """End the shared SSH connections to these nodes."""
    config = directory / "ssh_config"
    if not config.is_file():
        return
    for node in nodes:
        with suppress(subprocess.TimeoutExpired):  # a connection to a machine that is gone harms nobody
            subprocess.run(
                ["ssh", "-F", str(config), "-O", "exit", node], capture_output=True, check=False, timeout=10
            )


def disconnect_all(lab: str) -> None:
    """End every shared SSH connection of a lab, those too whose ssh_config is gone."""
    for connection in scratch.place().glob(f"{control_prefix(lab)}*"):
        with suppress(subprocess.TimeoutExpired):
            command = ["ssh", "-S", str(connection), "-O", "exit", "node"]
            subprocess.run(command, capture_output=True, check=False, timeout=10)


def forget_host_keys(directory: Path, addresses: Iterable[str]) -> None:
    """Drop the SSH host keys of machines that are made anew."""
    known = directory / "known_hosts"
    doomed = set(addresses)
    if known.is_file():
        lines = known.read_text().splitlines(keepends=True)
        known.write_text("".join(line for line in lines if line.split(" ")[0] not in doomed))


def _answer(layout: Layout, node: str, view: StepView, failed: threading.Event) -> None:
    address = _address(layout, node)
    started = time.monotonic()
    end = started + awaiting.DEADLINES[layout.driver]
    while time.monotonic() < end and not failed.is_set():
        if _listens(address) and _connects(layout, node):
            view.node(node, f"answers after {time.monotonic() - started:.0f} s", "ok")
            return
        time.sleep(_POLL)
    if failed.is_set():
        return
    view.node(node, "does not answer", "failed")
    raise awaiting.overdue(layout, node, f"{node} did not answer on SSH")


def _address(layout: Layout, node: str) -> str:
    return next(str(machine.address) for machine in layout.machines if machine.node.name == node)


def _there(address: str) -> bool:
    """Whether a machine's network answers: where nobody listens it refuses, and no process of its is troubled.

    For a connection that is accepted sshd starts a process, and a machine that was just brought back has enough to do.
    Behind a packet filter that drops what it does not know sshd has to do.
    """
    for port in (_NOBODY, _SSH):
        try:
            socket.create_connection((address, port), timeout=1).close()
        except ConnectionRefusedError:
            if port == _NOBODY:
                return True
        except OSError:
            continue
        else:
            return True
    return False


def _listens(address: str) -> bool:
    """Whether sshd has something to say; a TCP connection alone costs the machine least."""
    with suppress(OSError), socket.create_connection((address, _SSH), timeout=3) as connection:
        return connection.recv(4) == b"SSH-"
    return False


def _connects(layout: Layout, node: str) -> bool:
    command = ["ssh", "-F", str(layout.directory / "ssh_config"), "-o", "BatchMode=yes", node, "true"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
