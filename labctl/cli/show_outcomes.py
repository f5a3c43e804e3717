"""What many nodes said to the same: equal parts folded, as clush does, and who ended with what."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.reach.parallel import Outcome

_LINE = "-" * 15


def said(outcomes: Mapping[str, Outcome]) -> None:
    """Print what each node said, where it said it, and the exit codes that are no success."""
    from labctl.reach.parallel import folded  # noqa: PLC0415 - ClusterShell comes with it

    for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
        for nodes, text in folded({node: getattr(outcome, name) for node, outcome in outcomes.items()}):
            count = f" ({len(nodes)})" if len(nodes) > 1 else ""
            stream.write(f"{_LINE}\n{nodes}{count}\n{_LINE}\n{text}\n")
        stream.flush()
    codes = {node: str(outcome.exit_code) for node, outcome in outcomes.items() if outcome.exit_code}
    for nodes, code in folded(codes):
        print(f"{nodes}: exited with {code}", file=sys.stderr)
