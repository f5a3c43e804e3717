"""The suite submits the jobs that can run on the nodes as they are, and says why it leaves out the others."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections
from clusterfacts.connection import NodeError
from clusterfacts.jobs import Plan
from clusterfacts.topology import Topology

TOPOLOGY = Topology(
    groups={"slurmctld": ("slurmctld-0",), "slurmd": ("cpu-0", "cpu-1", "gpu-0")},
    variables={
        "slurmctld-0": {
            "slurm_common_partitions": [
                {"name": "cpu", "nodes": ["cpu-0", "cpu-1"], "options": {"Default": "YES"}},
                {"name": "gpu", "nodes": ["gpu-0"]},
            ]
        },
        "gpu-0": {"slurm_common_fake_gpus": 4},
    },
)


def plan(*, quick: bool = False, **states: str) -> Plan:
    seen = {"cpu-0": "idle", "cpu-1": "idle", "gpu-0": "idle"} | {
        name.replace("_", "-"): state for name, state in states.items()
    }
    lines = [f"{node} {state} some" for node, state in seen.items() if state]
    return Plan.of(TOPOLOGY, Sections(nodes="\n".join(lines)), quick=quick)


@pytest.mark.parametrize("state", ["idle", "mixed", "allocated", "completing", "idle~", "idle#"])
def test_every_job_is_tried_where_all_nodes_work(state: str) -> None:
    seen = plan(cpu_0=state)
    assert [one.name for one in seen.spans] == ["cpu", "gpu"]
    assert (seen.default.name, seen.gpu and seen.gpu.node) == ("cpu", "gpu-0")
    assert not seen.untried


@pytest.mark.parametrize("state", ["drained", "down", "down*", "idle*", "unknown", "inval"])
def test_nothing_waits_for_a_node_that_is_away(state: str) -> None:
    seen = plan(cpu_1=state)
    assert [one.name for one in seen.spans] == ["gpu"]
    assert seen.untried == {
        "srun cpu code": "-",
        "srun cpu err": f"not tried, because cpu-1 is {state}",
    }


def test_no_gpu_job_is_tried_without_its_node() -> None:
    seen = plan(gpu_0="")
    assert seen.gpu is None
    for name in ("gpu", "no-gpu", "too-many-gpus"):
        assert seen.untried[f"submit {name}"] == "-\nnot tried, because gpu-0 is unknown"


def test_no_job_is_tried_where_none_could_run() -> None:
    with pytest.raises(NodeError, match="in the partition cpu cpu-0 is drained, cpu-1 is down"):
        plan(cpu_0="drained", cpu_1="down")


def test_a_quick_run_spans_the_default_partition_only() -> None:
    seen = plan(quick=True, gpu_0="down")
    assert [one.name for one in seen.spans] == ["cpu"]
    assert "srun gpu code" not in seen.untried
