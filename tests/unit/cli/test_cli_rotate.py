"""`labctl rotate`: which secret, of which lab, and what was seen of it."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from fake_lab import Cli, FakeLab

from labctl import rotation
from labctl.cli import rotate
from labctl.errors import VerifyError


def test_the_command_knows_every_kind() -> None:
    assert get_args(rotate.Kind) == get_args(rotation.Kind)


def test_a_kind_of_secret_is_replaced_and_what_was_seen_is_said(cli: Cli, lab: FakeLab) -> None:
    run = cli("rotate", "munge", "full")
    assert run.code == 0
    assert lab.calls == ["find full", "rotate munge False"]
    assert run.out == "full has a new secret of the kind munge:\n  cpu-0: reads what the new key signs\n"


def test_the_same_as_facts(cli: Cli, lab: FakeLab) -> None:
    said = json.loads(cli("rotate", "tls", "--authority", "--name", "full", "--json").out)
    assert said["kind"] == "tls"
    assert said["proofs"] == ["cpu-0: reads what the new key signs"]
    assert lab.calls == ["find full", "rotate tls True"]


def test_the_plan_alone(cli: Cli, lab: FakeLab) -> None:
    assert "cpu-0,cpu-1  the key lies ready" in cli("rotate", "munge", "--dry-run").out
    assert json.loads(cli("rotate", "munge", "--dry-run", "--json").out) == [
        {"does": "the key lies ready", "nodes": ["cpu-0", "cpu-1"]}
    ]
    assert not any(call.startswith("rotate") for call in lab.calls)


@pytest.mark.parametrize("words", [[], ["ssh"], ["munge", "one", "two"]])
def test_what_is_no_kind_is_refused(cli: Cli, lab: FakeLab, words: list[str]) -> None:
    assert cli("rotate", *words).code == 2
    assert lab.calls == []


def test_an_old_secret_that_still_counts_is_an_error(cli: Cli, lab: FakeLab) -> None:
    lab.failure = VerifyError("not every node of full goes by the new secret alone")
    assert cli("rotate", "munge").code == VerifyError.exit_code
