"""Machines that stood still are told the time: by their guest agents, or by SSH."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from programs import Programs
from savers import FakeSaver

from labctl.errors import BootError
from labctl.steps import clock

CONFIG = Path("/lab/ssh_config")


def told(words: str) -> float:
    """The time that a command sets, in seconds since the epoch."""
    found = re.search(r"date --set=@([\d.]+)", words)
    assert found
    return float(found[1])


def test_the_guest_agents_set_every_clock_to_this_hosts_time(programs: Programs) -> None:
    programs.add("ssh")
    saver = FakeSaver({("full", "cpu-0"): "running", ("full", "cpu-1"): "running"})
    clock.step(saver, "full", ["cpu-0", "cpu-1"], CONFIG)
    assert saver.did("clock") == ["cpu-0", "cpu-1"]
    assert programs.calls("ssh") == []


def test_who_looks_at_the_others_is_told_when_they_know(programs: Programs) -> None:
    programs.add("ssh")
    nodes = ["head", "cpu-0", "cpu-1", "cpu-2"]
    saver = FakeSaver({("full", node): "running" for node in nodes})
    clock.step(saver, "full", nodes, CONFIG, last=["head", "elsewhere"])
    assert saver.calls[-1] == "clock head"
    assert len(saver.did("clock")) == len(nodes)


@pytest.mark.parametrize("agents", [False, True], ids=["a host without agents", "a machine without an agent"])
def test_where_no_agent_does_it_ssh_does(programs: Programs, *, agents: bool) -> None:
    programs.add("ssh")
    saver = FakeSaver({("full", "cpu-0"): "running"}, failures={"clock cpu-0": BootError("there is none")})
    clock.step(saver if agents else None, "full", ["cpu-0"], CONFIG)
    (words,) = programs.calls("ssh")
    assert words.startswith("-F /lab/ssh_config -o BatchMode=yes -T cpu-0 -- ")
    assert told(words) == pytest.approx(time.time(), abs=10)


def test_a_clock_that_cannot_be_set_is_said_with_the_node(programs: Programs) -> None:
    programs.add("ssh", 'case "$*" in *cpu-1*) echo "no route" >&2; exit 255;; esac')
    with pytest.raises(BootError, match="the clock of cpu-1 could not be set") as refused:
        clock.step(None, "full", ["cpu-0", "cpu-1"], CONFIG)
    assert refused.value.why == "no route"


def test_nobody_waits_for_ever(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.add("ssh", "exec sleep 60")
    monkeypatch.setattr(clock, "_DEADLINE", 0.1)
    with pytest.raises(
        BootError, match=r"(?s)the clock of cpu-0 could not be set.*it did not answer in time"
    ):
        clock.step(None, "full", ["cpu-0"], CONFIG)
