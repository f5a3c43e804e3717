"""Who gets in by SSH on a compute node that is for jobs alone: tried without a job there, and with one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from . import connection
from .account import Account
from .connection import Connections, NodeError

_PAUSES = "0 5 10 20 30"  # seconds before each try
_TOLD = "id -un; cat /proc/self/cgroup"


@dataclass(frozen=True)
class Entry:
    """Whether somebody got in, and what was said then."""

    open: bool
    said: str


@dataclass(frozen=True)
class Doors:
    """Who gets in.

    Attributes:
        node: where.
        job: the number of the user's job there, while there is one.
        admin: whoever the inventory connects as.
        without: the user while they have no job there.
        inside: the user while they have one.
        through: the same from a login node, with the key that is in the home there; None where no such key is made.
    """

    node: str
    job: str
    admin: Entry
    without: Entry
    inside: Entry
    through: Entry | None = None


def tried(
    node: str,
    controller: str,
    connections: Connections,
    account: Account,
    occupying: str,
    *,
    login: str | None = None,
) -> Doors:
    """Try it.

    Args:
        node: the compute node.
        controller: where jobs are submitted.
        connections: to both.
        account: the user, who has no job on the node.
        occupying: the script that gives them one there and prints its state and its number.
        login: the login node that makes keys for users, if one does.

    Raises:
        NodeError: the user gets no job on the node.
    """
    as_user = connections.login(node, account.user.name, account.key, _TOLD)
    as_user[1:1] = ["-o", "LogLevel=INFO"]  # PAM's reason for a refusal is a banner
    without = _entry(node, as_user)
    first, *rest = connections.command(node, _TOLD)
    # PAM was asked for a shared connection long ago
    anew = ["-o", "ControlPath=none"] if first == "ssh" else []
    with _job(controller, connections, occupying) as number, ThreadPoolExecutor() as pool:
        inside = pool.submit(_entry, node, as_user)
        admin = pool.submit(_entry, node, [first, *anew, *rest])
        through = pool.submit(_entry, login, _onward(login, node, connections, account)) if login else None
        return Doors(
            node, number, admin.result(), without, inside.result(), through.result() if through else None
        )


def _onward(login: str, node: str, connections: Connections, account: Account) -> list[str]:
    """A login like that of a person, whose shell goes on to the compute node: it may be the one that makes the key."""
    # What the home knows of host keys is left out: a node that was made anew has another one.
    options = "-o BatchMode=yes -o UserKnownHostsFile=/dev/null"
    further = f"ssh {options} {node.partition('.')[0]} {shlex.quote(_TOLD)}"
    # A node that has looked into the home before the key was there goes by that for half a minute (nfs(5), acdirmin).
    patiently = f"for pause in {_PAUSES}; do sleep $pause; {further} && exit; done; exit 1"
    return connections.login(login, account.user.name, account.key, f"bash -lc {shlex.quote(patiently)}")


def _entry(node: str, command: list[str]) -> Entry:
    try:
        answer = connection.run(command, whom=node, deadline=120)
    except NodeError as refusal:
        return Entry(open=False, said=str(refusal))
    return Entry(answer.code == 0, answer.stdout + answer.stderr)


@contextmanager
def _job(controller: str, connections: Connections, script: str) -> Iterator[str]:
    """The number of a job that is there for as long as that takes."""
    answer = connections.ask(controller, script, deadline=300)
    state, _, number = answer.stdout.strip().rpartition("\n")[2].partition(" ")
    try:
        if state != "RUNNING":
            raise NodeError(f"{controller}: the user's job is not running: {answer.stdout}{answer.stderr}")
        yield number
    finally:
        if number.isdigit():
            connections.ask(controller, f"scancel --quiet {number}")
