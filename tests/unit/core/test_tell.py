"""A script as root in a machine: by its guest agent, or by SSH, and never for longer than it may take."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import Programs
from savers import FakeSaver

from labctl.errors import BootError
from labctl.providers.base import Answer
from labctl.steps import tell

CONFIG = Path("/lab/ssh_config")


@pytest.fixture
def saver() -> FakeSaver:
    return FakeSaver({("full", "cpu-0"): "running"})


def test_the_guest_agent_is_asked_first(programs: Programs, saver: FakeSaver) -> None:
    programs.add("ssh")
    saver.answers["cpu-0"] = Answer(3, "out", "err")
    assert tell.root(saver, "full", "cpu-0", "id", ssh_config=CONFIG) == Answer(3, "out", "err")
    assert programs.calls("ssh") == []


@pytest.mark.parametrize("agents", [False, True], ids=["a host without agents", "a machine without an agent"])
def test_where_there_is_no_agent_ssh_does_it(programs: Programs, saver: FakeSaver, *, agents: bool) -> None:
    programs.add("ssh", "echo out; echo err >&2; exit 3")
    saver.mute.add("cpu-0")
    answer = tell.root(saver if agents else None, "full", "cpu-0", "id", ssh_config=CONFIG)
    assert answer == Answer(3, "out\n", "err\n")
    assert programs.calls("ssh")[0].startswith("-F /lab/ssh_config -o BatchMode=yes -T cpu-0 -- ")


def test_a_node_that_answers_to_nobody_is_given_up(programs: Programs, saver: FakeSaver) -> None:
    programs.add("ssh", "exec sleep 300")
    saver.mute.add("cpu-0")
    with pytest.raises(
        BootError, match=r"(?s)cpu-0 cannot be told.*did not answer in time.*labctl ssh cpu-0"
    ):
        tell.root(saver, "full", "cpu-0", "id", ssh_config=CONFIG, deadline=0.2)


def test_what_the_agent_took_is_not_given_to_ssh_again(
    programs: Programs, saver: FakeSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([100.0, 160.0])
    monkeypatch.setattr(tell.time, "monotonic", lambda: next(times))
    patience: list[float] = []
    monkeypatch.setattr(tell, "by_ssh", lambda *_, deadline, **__: patience.append(deadline))
    saver.mute.add("cpu-0")
    tell.root(saver, "full", "cpu-0", "id", ssh_config=CONFIG, deadline=20.0)
    assert patience == [0.0]
    assert programs.calls("ssh") == []


@pytest.mark.parametrize("agents", [False, True], ids=["by SSH", "by the agent"])
def test_what_may_stand_in_no_command_line_is_read(
    programs: Programs, saver: FakeSaver, *, agents: bool
) -> None:
    programs.add("ssh", "cat")
    answer = tell.root(saver if agents else None, "full", "cpu-0", "cat", ssh_config=CONFIG, stdin="secret\n")
    if agents:
        assert saver.told == [("cpu-0", "cat", "secret\n")]
    else:
        assert answer == Answer(0, "secret\n", "")
        assert "secret" not in programs.calls("ssh")[0]
