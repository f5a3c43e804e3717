"""What sinfo says, read."""

from __future__ import annotations

import pytest

from labctl import slurm
from labctl.slurm import PartitionStatus, SlurmView

# As sinfo of Slurm 22.05.8 answers: a line for each node in each of its partitions.
ANSWER = """\
cpu-0|idle|cpu*|1:00:00|none
cpu-1|down*|cpu*|1:00:00|Not responding
gpu-0|drained|gpu|infinite|disk | fan | both
"""


def test_what_the_controller_says_is_read() -> None:
    view = slurm.parse(ANSWER)
    assert view.nodes == {
        "cpu-0": ("idle", ""),
        "cpu-1": ("down*", "Not responding"),
        "gpu-0": ("drained", "disk | fan | both"),
    }
    assert view.partitions == (
        PartitionStatus("cpu", True, "cpu-[0-1]", "1:00:00"),
        PartitionStatus("gpu", False, "gpu-0", "infinite"),
    )
    assert view.error == ""


def test_what_else_is_on_the_line_is_no_answer() -> None:
    assert slurm.parse("Warning: Permanently added 'slurmctld-0'\n\n") == SlurmView({}, ())


@pytest.mark.parametrize(
    "state", ["idle", "mixed", "allocated", "completing", "reserved", "planned", "allocated+"]
)
def test_a_node_at_work_is_healthy(state: str) -> None:
    assert slurm.healthy(state)


@pytest.mark.parametrize("state", ["down", "drained", "draining", "idle*", "unknown", "inval", "fail"])
def test_a_node_of_no_use_is_not(state: str) -> None:
    assert not slurm.healthy(state)
