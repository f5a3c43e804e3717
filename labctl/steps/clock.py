"""Clock: machines that stood still are told what time it is, before anything else is asked of them.

A restored machine's clock stands where it was saved; MUNGE's credentials live for five minutes, and slurmctld
takes silent nodes for dead.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from labctl.errors import BootError
from labctl.providers.base import Saver
from labctl.side_by_side import each
from labctl.steps import tell

_DEADLINE = 60.0  # seconds


def step(
    saver: Saver | None, lab: str, nodes: Sequence[str], ssh_config: Path, *, last: Collection[str] = ()
) -> None:
    """Set the clocks of these nodes to this host's time, by the guest agent, or by SSH where there is none.

    Args:
        saver: whoever reaches the guest agents.
        lab: the lab.
        nodes: its nodes.
        ssh_config: the lab's.
        last: those that look at others as soon as they see how late it is. slurmctld then pings every node; one whose
            clock is still behind takes the credential for one of the future, does not answer, and is soon down.

    Raises:
        BootError: a node cannot be told.
    """

    def one(node: str) -> None:
        if saver is not None:
            try:
                saver.set_clock(lab, node, time.time())
            except BootError:  # no agent in this machine, or none that answers
                pass
            else:
                return
        try:
            answer = tell.by_ssh(ssh_config, node, f"date --set=@{time.time():.3f}", deadline=_DEADLINE)
        except BootError as error:
            raise _unset(node, error.why) from error
        if answer.code != 0:
            raise _unset(node, answer.stderr.strip())

    for group in ([node for node in nodes if node not in last], [node for node in nodes if node in last]):
        each(group, one)


def _unset(node: str, why: str) -> BootError:
    return BootError(f"the clock of {node} could not be set", why=why, hint=f"labctl ssh {node} -- date")
