"""MUNGE: one key, well kept; what one node signs every other one trusts."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections
from clusterfacts.questions import Questions
from clusterfacts.topology import Topology

KEY = "/etc/munge/munge.key"


@pytest.mark.nodes("munge")
def test_key_is_private(node: str, facts: Sections) -> None:
    """munged(8): the key belongs to munge and nobody else may read it."""
    seen = facts.table("modes").get(KEY)
    assert seen, f"{node}: there is no {KEY}"
    mode, owner, group = seen
    assert (owner, group) == ("munge", "munge"), (
        f"{node}: {KEY} belongs to {owner}:{group}, expected munge:munge"
    )
    assert mode in ("400", "600"), f"{node}: {KEY} has mode {mode}, expected 400 or 600"


@pytest.mark.nodes("munge")
def test_key_is_the_same_everywhere(
    topology: Topology, questions: Questions, node: str, facts: Sections
) -> None:
    first = str(topology.first("munge"))
    same = _checksum(facts, KEY) == _checksum(questions.facts(first), KEY) != ""
    assert same, f"{node}: its MUNGE key is not that of {first}"


@pytest.mark.nodes("munge")
def test_credentials_of_every_node_decode(topology: Topology, node: str, exchange: Sections) -> None:
    seen = {name: reason for name, _, reason in (line.partition(" ") for line in exchange.lines("decoded"))}
    for other in topology.nodes("munge"):
        got = seen.get(other, f"{other} made none")
        assert got == "ok", f"{node}: cannot decode the MUNGE credential of {other}: {got}"


def _checksum(facts: Sections, path: str) -> str:
    return next((line.split()[0] for line in facts.lines("checksums") if line.split()[-1] == path), "")
