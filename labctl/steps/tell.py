"""Tell: a script as root in a machine, by its guest agent, which answers at once, or else by SSH."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from labctl.errors import BootError
from labctl.providers.base import Answer, Saver

_DEADLINE = 60.0  # seconds


def root(saver: Saver | None, lab: str, node: str, script: str, *, ssh_config: Path) -> Answer:
    """How a shell script ended that was run as root of a node.

    Raises:
        BootError: the node does not answer.
    """
    if saver is not None:
        try:
            return saver.tell(lab, node, script, deadline=_DEADLINE)
        except BootError:  # no agent in this machine, or none that answers
            pass
    quoted = shlex.quote(script)
    command = ["ssh", "-F", str(ssh_config), "-o", "BatchMode=yes", node]
    command.append(f"if [ $(id -u) = 0 ]; then sh -c {quoted}; else sudo -n sh -c {quoted}; fi")
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_DEADLINE
        )
    except subprocess.TimeoutExpired as error:
        why = f"it did not answer within {_DEADLINE:.0f} s"
        raise BootError(f"{node} cannot be told", why=why, hint=f"labctl ssh {node}") from error
    return Answer(done.returncode, done.stdout, done.stderr)
