"""A command on many nodes at once. When it is interrupted, what it started on the nodes ends with it."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from labctl.reach.absent import absent
from labctl.reach.parallel import LATE, Outcome, as_they_end, run_all

if TYPE_CHECKING:
    from labctl.known import KnownLab

#: The environment variable by which all that a command has started is found on a node.
MARK = "LABCTL_EXEC"
_DEADLINE = 20.0  # seconds for a node to end what was started there
# sshd tells a command without a terminal nothing when its client goes: it would run on.
_END = f"""
for signal in TERM KILL; do
    found=$(grep -lzsx "{MARK}=$1" /proc/[0-9]*/environ | cut -d/ -f3)
    [ -n "$found" ] || exit 0
    kill -s "$signal" $found
    sleep 0.5
done
"""


def run_on(
    lab: KnownLab, nodes: Sequence[str], command: Sequence[str], *, user: str | None, given: int | None
) -> dict[str, Outcome]:
    """Run a command on nodes, all at the same time, and wait for all.

    Args:
        lab: the lab.
        nodes: their names.
        command: words, which the login shell there reads as ssh hands them on: with spaces between them.
        user: who to be there; None is the lab's own user.
        given: the file descriptor of what every node reads; None is nothing.

    Raises:
        KeyboardInterrupt: by then the command has ended on the nodes as well.
    """
    with closing(as_they_end_on(lab, nodes, command, user=user, given=given)) as ends:
        ended = dict(ends)
    return {node: ended[node] for node in nodes}


def as_they_end_on(
    lab: KnownLab,
    nodes: Sequence[str],
    command: Sequence[str],
    *,
    user: str | None,
    given: int | None,
    deadline: float | None = None,
) -> Generator[tuple[str, Outcome], None, None]:
    """The same, each when it has ended. Close it, and the command ends on nodes where it still runs.

    Args:
        lab: the lab.
        nodes: their names.
        command: words, see `run_on`.
        user: who to be there; None is the lab's own user.
        given: the file descriptor of what every node reads; None is nothing.
        deadline: seconds that it may take on a node; it is ended there then, with exit code 124.
    """
    mark = secrets.token_hex(8)
    line = f'exec env {MARK}={mark} "$SHELL" -c {shlex.quote(" ".join(command))}'
    away = absent(lab, nodes)
    running = [node for node in nodes if node not in away]
    commands = {node: lab.ssh_command(node, [line], user=user, tty=False) for node in running}
    try:
        yield from ((node, ended.in_text()) for node, ended in away.items())
        with closing(as_they_end(commands, given=given, deadline=deadline)) as ends:
            for node, ended in ends:
                if ended.exit_code != LATE:
                    running.remove(node)
                yield node, ended.in_text()
    finally:
        if running:
            end = shlex.join(["sh", "-c", _END, "sh", mark])
            run_all(
                {node: lab.ssh_command(node, [end], user=user, tty=False) for node in running},
                deadline=_DEADLINE,
            )
