"""Commands side by side, and their output with equal parts folded."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ClusterShell.MsgTree import MsgTree
from ClusterShell.NodeSet import NodeSet

# A fork of ssh each; more at once would only make each slower.
MOST_AT_ONCE = 64


@dataclass(frozen=True)
class Outcome:
    """How one node's command ended."""

    exit_code: int
    stdout: str
    stderr: str


def run_all(commands: Mapping[str, Sequence[str]], given: bytes) -> dict[str, Outcome]:
    """Run a command for each node, all at the same time.

    Args:
        commands: the argument vector for each node.
        given: what every command reads on its standard input.
    """
    started: list[subprocess.Popen[bytes]] = []

    def run(argv: Sequence[str]) -> Outcome:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        out, err = process.communicate(given)
        code = process.returncode
        return Outcome(
            code if code >= 0 else 128 - code, out.decode(errors="replace"), err.decode(errors="replace")
        )

    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as pool:
        running = {node: pool.submit(run, argv) for node, argv in commands.items()}
        try:
            return {node: future.result() for node, future in running.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in started:
                process.terminate()
            raise


def folded(texts: Mapping[str, str]) -> list[tuple[NodeSet, str]]:
    """Each different text once, with the nodes that said it; the most nodes first, silent nodes left out."""
    tree = MsgTree()
    for node, text in texts.items():
        for line in text.splitlines():
            tree.add(node, line.encode())
    groups = [(NodeSet.fromlist(list(nodes)), message) for message, nodes in tree.walk()]
    groups.sort(key=lambda group: (-len(group[0]), str(group[0])))
    return [(nodes, b"\n".join(message).decode(errors="replace")) for nodes, message in groups]
