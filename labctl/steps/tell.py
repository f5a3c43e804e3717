"""Tell: a script as root in a machine, by its guest agent, which answers at once, or else by SSH."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

from labctl.errors import BootError
from labctl.providers.base import Answer, Saver
from labctl.render.ssh_config import root_command

DEADLINE = 60.0  # seconds


def root(
    saver: Saver | None,
    lab: str,
    node: str,
    script: str,
    *,
    ssh_config: Path,
    stdin: str = "",
    deadline: float = DEADLINE,
) -> Answer:
    """How a shell script ended that was run as root of a node.

    Args:
        saver: whoever reaches the guest agents; None where there are none.
        lab: the lab.
        node: its node.
        script: for ``sh``.
        ssh_config: the lab's.
        stdin: the script's standard input, for what may stand in no command line.
        deadline: seconds for all of it.

    Raises:
        BootError: the node does not answer.
    """
    end = time.monotonic() + deadline
    if saver is not None:
        with suppress(BootError):  # no agent in this machine, or none that answers
            return saver.tell(lab, node, script, stdin=stdin, deadline=deadline)
    return by_ssh(ssh_config, node, script, stdin=stdin, deadline=max(0.0, end - time.monotonic()))


def by_ssh(
    ssh_config: Path, node: str, script: str, *, stdin: str = "", deadline: float = DEADLINE
) -> Answer:
    """The same by SSH alone."""
    try:
        done = subprocess.run(
            root_command(ssh_config, node, script),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=deadline,
        )
    except subprocess.TimeoutExpired as error:
        why = "it did not answer in time"
        raise BootError(f"{node} cannot be told", why=why, hint=f"labctl ssh {node}") from error
    return Answer(done.returncode, done.stdout, done.stderr)
