"""A lab as it is right now: the machines as the hypervisor sees them, the cluster as Slurm sees itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from programs import Programs

from labctl import status
from labctl.definition.loading import load
from labctl.definition.models import Definition
from labctl.providers.base import Found, MachineState
from labctl.status import NodeStatus, PartitionStatus, SlurmView

# As sinfo of Slurm 22.05.8 answers: a line for each node in each of its partitions.
ANSWER = """\
cpu-0|idle|cpu*|1:00:00|none
cpu-1|down*|cpu*|1:00:00|Not responding
gpu-0|drained|gpu|infinite|disk | fan | both
"""


@pytest.fixture(scope="module")
def full() -> Definition:
    return load("full")


def nodes(definition: Definition, **states: str) -> list[NodeStatus]:
    return [
        NodeStatus(
            node.name,
            states.get(node.name.replace("-", "_"), "running"),
            "",
            node.roles,
            node.cpus,
            node.memory,
            0,
        )
        for node in definition.machines()
    ]


def idle(definition: Definition, **changes: tuple[str, str]) -> SlurmView:
    everyone = {node.name: ("idle", "") for node in definition.machines() if "slurmd" in node.roles}
    return SlurmView(everyone | {name.replace("_", "-"): told for name, told in changes.items()}, ())


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


def test_what_the_controller_says_is_read() -> None:
    view = status.parse(ANSWER)
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
    assert status.parse("Warning: Permanently added 'slurmctld-0'\n\n") == SlurmView({}, ())


def test_a_lab_as_defined_has_no_problem(full: Definition) -> None:
    assert status.problems(full, nodes(full), idle(full)) == ()


@pytest.mark.parametrize(
    "state", ["idle", "mixed", "allocated", "completing", "reserved", "planned", "allocated+"]
)
def test_a_node_at_work_is_no_problem(full: Definition, state: str) -> None:
    assert status.problems(full, nodes(full), idle(full, cpu_0=(state, ""))) == ()


@pytest.mark.parametrize("state", ["down", "drained", "draining", "idle*", "unknown", "inval", "fail"])
def test_a_node_of_no_use_is_a_problem(full: Definition, state: str) -> None:
    assert status.problems(full, nodes(full), idle(full, cpu_0=(state, "a reason"))) == (
        f"cpu-0 is {state}: a reason",
    )


def test_a_node_that_slurm_never_heard_of_is_a_problem(full: Definition) -> None:
    view = SlurmView({"cpu-0": ("idle", ""), "cpu-1": ("idle", "")}, ())
    assert status.problems(full, nodes(full), view) == ("gpu-0 is unknown: Slurm does not know it",)


def test_a_machine_that_does_not_run_is_the_problem_not_what_slurm_thinks_of_it(full: Definition) -> None:
    found = status.problems(
        full, nodes(full, cpu_1="stopped", gpu_0="missing"), idle(full, cpu_1=("down*", ""))
    )
    assert found == ("cpu-1 is stopped", "gpu-0 is missing")


def test_a_controller_that_says_nothing_is_a_problem(full: Definition) -> None:
    view = SlurmView({}, (), "slurmctld-0 did not answer within 20 s")
    assert status.problems(full, nodes(full), view) == (
        "Slurm does not answer: slurmctld-0 did not answer within 20 s",
    )


def test_slurm_is_asked_on_the_controller(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(ANSWER)
    programs.add("ssh", f"cat {tmp_path}/answer")
    assert status.ask_slurm(Path("/labs/ssh_config"), "slurmctld-0") == status.parse(ANSWER)
    words = programs.calls("ssh")[0]
    assert words.startswith("-F /labs/ssh_config")
    assert "BatchMode=yes slurmctld-0 sinfo" in words


def test_why_it_does_not_answer_is_kept(programs: Programs) -> None:
    programs.add("ssh", "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1")
    assert status.ask_slurm(Path("c"), "slurmctld-0").error == (
        "slurm_load_partitions: Unable to contact slurm controller"
    )


def test_it_is_not_waited_for_without_end(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_DEADLINE", 0.2)
    programs.add("ssh", "exec sleep 60")
    started = time.monotonic()
    assert "did not answer" in status.ask_slurm(Path("c"), "slurmctld-0").error
    assert time.monotonic() - started < 10
