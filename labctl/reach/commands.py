"""A command on many nodes at once. When it is interrupted, what it started on the nodes ends with it."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labctl.reach.parallel import Outcome, run_all

if TYPE_CHECKING:
    from labctl.lab import Lab

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
    lab: Lab, nodes: Sequence[str], command: Sequence[str], *, user: str | None, given: int | None
) -> dict[str, Outcome]:
    """Run a command on nodes, all at the same time.

    Args:
        lab: the lab.
        nodes: their names.
        command: words, which the login shell there reads as ssh hands them on: with spaces between them.
        user: who to be there; None is the lab's own user.
        given: the file descriptor of what every node reads; None is nothing.

    Raises:
        KeyboardInterrupt: by then the command has ended on the nodes as well.
    """
    mark = secrets.token_hex(8)
    line = f'exec env {MARK}={mark} "$SHELL" -c {shlex.quote(" ".join(command))}'
    try:
        ended = run_all(
            {node: lab.ssh_command(node, [line], user=user, tty=False) for node in nodes}, given=given
        )
    except KeyboardInterrupt:
        end = shlex.join(["sh", "-c", _END, "sh", mark])
        run_all(
            {node: lab.ssh_command(node, [end], user=user, tty=False) for node in nodes}, deadline=_DEADLINE
        )
        raise
    return {node: one.in_text() for node, one in ended.items()}
