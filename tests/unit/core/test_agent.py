"""The guest agent: a script is run in a machine, and how it ended comes back."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import libvirt
import libvirt_qemu
import pytest
from hypervisors import machine

from labctl.errors import BootError
from labctl.providers import agent
from labctl.providers.agent import NoAgentError
from labctl.providers.base import Answer
from labctl.providers.libvirt import Hypervisor


def coded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@dataclass
class Guest:
    """What `libvirt_qemu.qemuAgentCommand` reaches: an agent as QEMU documents it, with one process.

    Attributes:
        ended: what guest-exec-status says once the process has ended.
        looks: how often it is asked before that.
        clock: what the machine's clock shows, in seconds since the epoch.
        hwclock: whether the machine has the program hwclock(8).
        strict: it sets no clock.
    """

    ended: dict[str, Any] = field(default_factory=dict)
    looks: int = 0
    clock: float = 0.0
    hwclock: bool = False
    strict: bool = False
    dead: bool = False
    started: list[dict[str, Any]] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)

    def command(self, domain: Any, request: str, timeout: int, flags: int) -> str:
        assert timeout > 0
        assert flags == 0
        if self.dead:
            raise libvirt.libvirtError("Guest agent is not responding: QEMU guest agent is not connected")
        self.domains.append(domain.name())
        said = json.loads(request)
        if said["execute"] == "guest-exec":
            self.started.append(said["arguments"])
            return json.dumps({"return": {"pid": 42}})
        if said["execute"] == "guest-set-time":
            self.clock = self.clock if self.strict else said["arguments"]["time"] / 1e9
            if not self.hwclock:
                raise libvirt.libvirtError("hwclock failed to set hardware clock to system time")
            return json.dumps({"return": {}})
        if said["execute"] == "guest-get-time":
            return json.dumps({"return": int(self.clock * 1e9)})
        assert said == {"execute": "guest-exec-status", "arguments": {"pid": 42}}
        self.looks -= 1
        if self.looks >= 0:
            return json.dumps({"return": {"exited": False}})
        return json.dumps({"return": {"exited": True, **self.ended}})


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Guest:
    made = Guest()
    monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", made.command)
    return made


@pytest.fixture
def domain(hypervisor: Hypervisor) -> Any:
    return machine(hypervisor, "full", "cpu-0")


def test_a_script_is_run_by_the_shell_and_its_words_come_back(guest: Guest, domain: Any) -> None:
    guest.ended = {"exitcode": 3, "out-data": coded("ein Gruß\n"), "err-data": coded(b"\xff")}
    guest.looks = 3
    assert agent.run(domain, "echo ein Gruß; exit 3") == Answer(3, "ein Gruß\n", "\ufffd")
    (process,) = guest.started
    assert process == {"path": "/bin/sh", "arg": ["-c", "echo ein Gruß; exit 3"], "capture-output": True}


def test_what_a_script_is_to_read_is_in_no_command_line(guest: Guest, domain: Any) -> None:
    guest.ended = {"exitcode": 0}
    assert agent.run(domain, "cat", stdin="a secret") == Answer(0, "", "")
    assert guest.started[0]["input-data"] == coded("a secret")
    assert "a secret" not in str(guest.started)


def test_a_script_that_was_killed_has_the_shells_code_for_that(guest: Guest, domain: Any) -> None:
    guest.ended = {"signal": 9}
    assert agent.run(domain, "kill -9 $$").code == 137


def test_a_machine_without_an_agent_is_said(guest: Guest, domain: Any) -> None:
    guest.dead = True
    with pytest.raises(NoAgentError, match="labctl_full_cpu-0 does not answer") as refused:
        agent.run(domain, "true")
    assert "not connected" in refused.value.why
    assert isinstance(refused.value, BootError)


def test_a_script_that_does_not_end_is_not_waited_for_for_ever(guest: Guest, domain: Any) -> None:
    guest.looks = 10**9
    with pytest.raises(BootError, match="/bin/sh in labctl_full_cpu-0 did not end within 0 s"):
        agent.run(domain, "sleep 1000", deadline=0.1)


def test_a_script_that_runs_long_is_looked_at_ever_less_often(
    guest: Guest, domain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = [0.0]

    def sleep(seconds: float) -> None:
        looks.append(looks[-1] + seconds)

    monkeypatch.setattr(agent.time, "sleep", sleep)
    monkeypatch.setattr(agent.time, "monotonic", lambda: looks[-1])
    guest.looks = 10**9
    with pytest.raises(BootError, match="did not end within 20 s"):
        agent.run(domain, "sleep 1000", deadline=20)
    pauses = [round(after - before, 6) for before, after in pairwise(looks)]
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(0.1)
    assert pauses[-1] == pytest.approx(2.0)
    assert len(pauses) < 40


@pytest.mark.parametrize("hwclock", [True, False])
def test_a_clock_is_set_even_if_the_machine_cannot_write_it_to_its_chip(
    guest: Guest, domain: Any, hwclock: bool
) -> None:
    guest.hwclock = hwclock
    now = time.time()
    agent.set_time(domain, now)
    assert guest.clock == pytest.approx(now, abs=0.001)


def test_a_clock_that_could_not_be_set_is_an_error(guest: Guest, domain: Any) -> None:
    guest.strict = True
    with pytest.raises(BootError, match="clock of labctl_full_cpu-0") as refused:
        agent.set_time(domain, time.time())
    assert "1970" in refused.value.why
    guest.dead = True
    with pytest.raises(NoAgentError):
        agent.set_time(domain, time.time())


@pytest.mark.usefixtures("domain")
def test_the_suite_asks_a_node_by_its_name(
    guest: Guest, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_DOMAIN_PREFIX", "labctl_full_")
    monkeypatch.setattr(agent, "_hypervisor", lambda: hypervisor)
    guest.ended = {"exitcode": 1, "out-data": coded("out"), "err-data": coded("err")}
    assert agent.ask("cpu-0", "true", stdin="in", deadline=5) == (1, "out", "err")
    assert set(guest.domains) == {"labctl_full_cpu-0"}
    guest.dead = True
    with pytest.raises(OSError, match="does not answer"):
        agent.ask("cpu-0", "true", stdin="", deadline=5)
    with pytest.raises(OSError, match="not found"):
        agent.ask("cpu-9", "true", stdin="", deadline=5)


def test_an_interrupt_within_libvirt_is_an_interrupt(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python itself reports one that comes while libvirt, which returns something all the same, calls it back."""

    def interrupted(*_: object) -> None:
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()

    monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", interrupted)
    with pytest.raises(KeyboardInterrupt):
        agent.run(machine(hypervisor, "full", "cpu-0"), "true")
