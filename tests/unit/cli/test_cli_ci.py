"""`up --ci` and `snapshot key`: what they hand on, and how they speak."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_lab import Cli, FakeLab

from labctl import unattended
from labctl.errors import DeadlineError
from labctl.keeping import SnapshotKey


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was asked of `unattended`."""
    calls = []

    @contextmanager
    def noted(_lab: FakeLab, _reporter: object, **options: Any) -> Iterator[None]:
        calls.append(options)
        yield

    monkeypatch.setattr(unattended, "unattended", noted)
    for name in ("TERM", "NO_COLOR"):  # to be as they were
        monkeypatch.setenv(name, "")
    return calls


def test_ci_stands_for_plain_output_a_deadline_and_logs(
    cli: Cli, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in cli("up", "cpu").out
    run = cli("up", "cpu", "--ci")
    assert run.code == 0
    assert "\x1b" not in run.out + run.err
    assert "boot: cpu-0: answered on SSH" in run.err
    assert asked == [{"timeout": 1800.0, "logs": Path("labctl-logs"), "cache": None}]


def test_each_can_be_said_alone_or_otherwise(cli: Cli, asked: list[dict[str, Any]]) -> None:
    cli("up", "cpu", "--ci", "--timeout", "0", "--logs", "mine", "--cache", "cpu.snapshot")
    cli("up", "cpu", "--timeout", "60")
    assert asked == [
        {"timeout": 0, "logs": Path("mine"), "cache": Path("cpu.snapshot")},
        {"timeout": 60.0, "logs": None, "cache": None},
    ]
    asked.clear()
    cli("up", "cpu")
    cli("up", "cpu", "--ci", "--dry-run")
    assert asked == []
    assert cli("up", "cpu", "--timeout", "-1").code == 2


def test_a_deadline_has_an_exit_code_of_its_own(cli: Cli, lab: FakeLab) -> None:
    lab.failure = DeadlineError("cpu was not up within 60 s")
    assert cli("up", "cpu", "--timeout", "600").code == 11
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_the_key_is_that_of_what_up_would_make(
    cli: Cli, lab: FakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeLab, "snapshot_key", lambda _: SnapshotKey("0123abcd", "ab12"), raising=False)
    run = cli("snapshot", "key", "cpu", "--name", "play", "--set", "vars.a=1", "--memory-per-node", "1024")
    assert run.out == "0123abcd\n"
    assert lab.calls == ["define play auto"]
    assert lab.definition.vars == {"a": 1}
    assert [node.memory for node in lab.definition.machines()] == [1024]
    facts = json.loads(cli("snapshot", "key", "cpu", "--json").out)
    assert facts == {"lab": "cpu", "key": "0123abcd", "snapshot": "ab12"}
