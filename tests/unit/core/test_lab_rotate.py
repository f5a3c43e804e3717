"""A lab gets a new secret while it runs: kept first, then carried to its nodes, and brought to its end by `up`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from savers import FakeSaver
from small_lab import lab, record, small, up
from worlds import World

from labctl import snapshots
from labctl.console import BaseReporter
from labctl.definition.models import Definition
from labctl.errors import ConvergeError, LabError, SnapshotError, UsageError, VerifyError


@pytest.fixture(autouse=True)
def _a_cluster_that_goes_by_its_key(world: World) -> None:
    world.says = {"munge -n": "MUNGE:signed:", "unmunge": "14\n0\n"}


def folder(world: World) -> Path:
    return world.home / ".labctl" / "small"


def kept(world: World) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(folder(world) / "secrets.yml")
    return content


def told(world: World) -> dict[str, Any]:
    """What Ansible is told of secrets."""
    path = folder(world) / "inventory/group_vars/all/secrets.yml"
    content: dict[str, Any] = YAML(typ="safe").load(path)
    return content


def test_a_new_key_is_kept_and_carried_and_nothing_is_left_to_do(
    world: World, reporter: BaseReporter
) -> None:
    up(world)
    before = kept(world)
    done = lab(world).rotate(reporter, "munge")
    assert world.taken() == ["converge munge_rotate"]
    assert len(done.proofs) == 3
    assert [name for name in before if before[name] != kept(world)[name]] == ["munge_key"]
    assert told(world)["munge_key"] == kept(world)["munge_key"]
    assert record(world)["rotating"] == ""
    assert set(record(world)["rotated"]) == {"munge"}
    assert up(world) == ["require"]


def test_no_file_of_the_lab_has_the_old_one_any_more(world: World, reporter: BaseReporter) -> None:
    up(world)
    old = kept(world)["munge_key"]
    (folder(world) / ".inventory.json").write_text(f'{{"munge_key": "{old}"}}')  # verify's own
    lab(world).rotate(reporter, "munge")
    files = [path for path in folder(world).rglob("*") if path.is_file()]
    assert [path.name for path in files if old in path.read_text(errors="replace")] == []
    assert kept(world)["munge_key"] in (folder(world) / "secrets.yml").read_text()


def test_a_new_authority_is_trusted_before_it_is_shown(world: World, reporter: BaseReporter) -> None:
    world.says = {"s_client": "", "ldapsearch": "2\n0\n"}
    up(world)
    with pytest.raises(VerifyError, match="certificates"):  # nobody shows the one that was made just now
        lab(world).rotate(reporter, "tls", authority=True)
    assert world.taken() == [
        "converge tags=ldap_client,containers",
        "converge tags=ldap_server,slurmrestd,registry",
        "converge tags=ldap_client,containers",
    ]
    assert told(world)["ldap_server_tls_key"] == kept(world)["private_keys"]["head"]


@pytest.mark.parametrize(
    "error", [ConvergeError("cpu-1: Write the key failed"), KeyboardInterrupt()], ids=["failed", "Ctrl-C"]
)
def test_what_was_cut_off_is_brought_to_its_end_by_up(
    world: World, reporter: BaseReporter, error: BaseException
) -> None:
    up(world)
    world.failing("converge", error)
    with pytest.raises(type(error)):
        lab(world).rotate(reporter, "munge")
    key = kept(world)["munge_key"]
    assert told(world)["munge_key"] == key
    assert lab(world).plan()[0].reason == "a new secret (munge) did not reach every node"
    assert up(world) == ["require", "stage", "connect small", "converge", "verify full"]
    assert kept(world)["munge_key"] == told(world)["munge_key"] == key
    assert up(world) == ["require"]


def test_what_was_cut_off_can_be_asked_for_again(world: World, reporter: BaseReporter) -> None:
    up(world)
    world.failing("converge", ConvergeError("cpu-1: Write the key failed"))
    with pytest.raises(ConvergeError):
        lab(world).rotate(reporter, "munge")
    lab(world).rotate(reporter, "munge")
    assert told(world)["munge_key"] == kept(world)["munge_key"]
    world.taken()
    assert up(world) == ["require"]


def test_parts_of_a_converge_bring_nothing_to_its_end(world: World, reporter: BaseReporter) -> None:
    up(world)
    world.failing("converge", ConvergeError("cpu-1: Write the key failed"))
    with pytest.raises(ConvergeError):
        lab(world).rotate(reporter, "munge")
    lab(world).converge(reporter, tags="munge")
    assert record(world)["rotating"] == "munge"


def test_a_cluster_where_the_old_one_still_counts_is_not_done(world: World, reporter: BaseReporter) -> None:
    up(world)
    world.says["unmunge"] = "0\n0\n"
    with pytest.raises(VerifyError, match="the MUNGE key"):
        lab(world).rotate(reporter, "munge")
    assert record(world)["rotating"] == "munge"


def test_a_cluster_that_signs_nothing_keeps_the_secret_it_has(world: World, reporter: BaseReporter) -> None:
    up(world)
    before = kept(world)
    world.says["munge -n"] = ""
    with pytest.raises(LabError, match="head signs nothing"):
        lab(world).rotate(reporter, "munge")
    assert kept(world) == before
    assert record(world)["rotating"] == ""
    assert up(world) == ["require"]


def test_a_plan_touches_nothing(world: World) -> None:
    up(world)
    before = kept(world)
    first, second, third = lab(world).rotation("tls", authority=True)
    assert first.nodes == third.nodes == ("head", "cpu-0", "cpu-1")
    assert second.nodes == ("head",)
    assert world.taken() == []
    assert kept(world) == before


@pytest.mark.parametrize(
    ("definition", "kind", "authority", "why"),
    [
        (small(), "jwt", False, "small has no key of tokens"),
        (small(), "munge", True, "a new authority is no part of munge"),
        (small("vars.munge_key=c2VjcmV0"), "munge", False, "the definition says munge_key itself"),
    ],
)
def test_what_is_not_labctls_to_replace_is_refused(
    world: World, reporter: BaseReporter, definition: Definition, kind: Any, *, authority: bool, why: str
) -> None:
    up(world, definition)
    with pytest.raises(UsageError) as refused:
        lab(world, definition).rotate(reporter, kind, authority=authority)
    assert why in str(refused.value)
    assert refused.value.hint
    assert world.taken() == []


def test_a_lab_that_is_not_whole_is_made_so_first(world: World, reporter: BaseReporter) -> None:
    lab(world).create(reporter)
    with pytest.raises(LabError, match="never converged") as refused:
        lab(world).rotate(reporter, "munge")
    assert refused.value.hint == "labctl up --name small"
    up(world)
    world.provider.machines["small", "cpu-0"] = "stopped"
    with pytest.raises(LabError, match="not running: cpu-0"):
        lab(world).rotate(reporter, "munge")
    assert record(world)["rotating"] == ""


# What was saved before


@pytest.fixture
def saved(world: World) -> FakeSaver:
    """The lab was verified and saved, and then it got a new key."""
    made = FakeSaver(world.provider.machines)
    world.provider.saver = made
    up(world)
    return made


def test_reset_brings_no_secret_back_that_was_replaced(
    world: World, saved: FakeSaver, reporter: BaseReporter
) -> None:
    del saved
    lab(world).rotate(reporter, "munge")
    key = kept(world)["munge_key"]
    with pytest.raises(SnapshotError, match="secrets that were replaced since: munge") as refused:
        lab(world).reset(reporter)
    assert "labctl snapshot save" in refused.value.hint
    assert kept(world)["munge_key"] == key


def test_who_says_so_gets_the_lab_with_its_former_secrets_and_is_told(
    world: World, saved: FakeSaver, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    del saved
    notes: list[str] = []
    monkeypatch.setattr(reporter, "note", notes.append)
    before = kept(world)
    lab(world).rotate(reporter, "munge")
    (snapshot,) = snapshots.snapshots()
    lab(world).restore_snapshot(reporter, snapshot)
    assert notes == ["small has its former secrets again: munge"]
    assert kept(world) == before
    assert told(world)["munge_key"] == before["munge_key"]
    assert lab(world).reset(reporter) == snapshot


def test_a_point_that_was_saved_afterwards_has_the_new_secret(
    world: World, saved: FakeSaver, reporter: BaseReporter
) -> None:
    del saved
    lab(world).rotate(reporter, "munge")
    key = kept(world)["munge_key"]
    lab(world).save_snapshot(reporter, "rotated")
    assert lab(world).reset(reporter).label == "rotated"
    assert kept(world)["munge_key"] == key


def test_a_lab_whose_machines_are_gone_is_not_made_from_one_with_other_secrets(
    world: World, saved: FakeSaver, reporter: BaseReporter
) -> None:
    del saved
    lab(world).rotate(reporter, "munge")
    world.provider.machines.clear()
    kinds = {action.kind for action in lab(world).plan()}
    assert "restore" not in kinds
