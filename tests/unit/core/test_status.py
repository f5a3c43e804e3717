"""A lab as it is right now: the machines as the hypervisor sees them, the cluster as Slurm sees itself."""

from __future__ import annotations

import time

import pytest

from labctl import status
from labctl.providers.base import Found, MachineState


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ([], "missing"),
        (["missing", "missing"], "missing"),
        (["running", "running"], "running"),
        (["stopped", "stopped"], "stopped"),
        (["suspended"], "suspended"),
        (["running", "stopped"], "partial"),
        (["running", "missing"], "partial"),
        (["stopped", "missing"], "partial"),
    ],
)
def test_one_word_for_all_machines(states: list[str], word: str) -> None:
    assert status.overall(states) == word


def test_a_lab_is_up_since_its_youngest_machine_is() -> None:
    now = time.time()

    def machine(state: MachineState, ago: float | None) -> Found:
        return Found("full", "n", state, started=None if ago is None else now - ago)

    up = status.uptime(
        [machine("running", 90), machine("running", 30), machine("suspended", 5), machine("running", None)]
    )
    assert up == pytest.approx(30, abs=5)
    assert status.uptime([machine("stopped", 10)]) is None
    assert status.uptime([]) is None
