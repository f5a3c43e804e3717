"""Which lab is meant by what the user types: a preset, a file, or a lab that is here, above, or anywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_lab import Cli, FakeLab, Summary

DEFINITION = """\
name: {name}
users: [{{name: nucci, uid: 10000}}]
partitions: [{{name: all, default: true}}]
nodes: [{{name: {node}, roles: [ldap_server, nfs_server, slurmctld, slurmd], partitions: [all]}}]
"""


def made(base: Path, name: str, node: str = "own") -> Path:
    """The files of a lab."""
    directory = base / ".labctl" / name
    directory.mkdir(parents=True)
    (directory / "lab.yml").write_text(DEFINITION.format(name=name, node=node))
    return directory


def nodes(lab: FakeLab) -> list[str]:
    return [node.name for node in lab.definition.machines()]


@pytest.mark.parametrize("words", [("play",), ("--name", "play")])
def test_a_lab_goes_on_by_its_name_also_before_it_has_machines(
    cli: Cli, lab: FakeLab, work: Path, words: tuple[str, ...]
) -> None:
    made(work, "play")
    assert cli("up", *words).code == 0
    assert (nodes(lab), lab.name, lab.base) == (["own"], "play", work)


@pytest.mark.parametrize("words", [("play",), ("--name", "play")])
def test_a_lab_of_a_folder_above_stays_there(
    cli: Cli, lab: FakeLab, work: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    made(work, "play")
    (work / "below").mkdir()
    monkeypatch.chdir(work / "below")
    cli("up", *words)
    assert (nodes(lab), lab.base) == (["own"], work)


def test_a_lab_from_anywhere_stays_where_its_machines_say(
    cli: Cli, lab: FakeLab, work: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    lab.labs = (Summary("play", directory=made(elsewhere, "play")),)
    cli("up", "play")
    assert (nodes(lab), lab.base) == (["own"], elsewhere)
    assert list(work.iterdir()) == []


def test_a_preset_is_the_preset_and_a_name_is_the_lab(cli: Cli, lab: FakeLab, work: Path) -> None:
    """`up cpu` is the preset even where a lab is called so; `up --name cpu` is that lab as it is."""
    made(work, "cpu")
    cli("up", "cpu")
    assert nodes(lab) == ["cpu-0"]
    cli("up", "--name", "cpu")
    assert nodes(lab) == ["own"]


def test_a_file_is_the_file_even_where_a_lab_is_called_so(cli: Cli, lab: FakeLab, work: Path) -> None:
    made(work, "play")
    (work / "play").write_text(DEFINITION.format(name="other", node="filed"))
    cli("up", "play")
    assert (nodes(lab), lab.name) == (["filed"], "other")


def test_a_lab_under_a_second_name_is_another_lab_here(
    cli: Cli, lab: FakeLab, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(work, "play")
    (work / "below").mkdir()
    monkeypatch.chdir(work / "below")
    cli("up", "play", "--name", "copy")
    assert (nodes(lab), lab.name, lab.base) == (["own"], "copy", work / "below")


def test_a_new_name_is_the_preset_full(cli: Cli, lab: FakeLab, work: Path) -> None:
    cli("up", "--name", "fresh")
    assert (lab.name, lab.base) == ("fresh", work)
    assert "slurmctld-0" in nodes(lab)


def test_doctor_knows_an_existing_lab_as_well(
    cli: Cli, lab: FakeLab, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(work, "play")
    monkeypatch.setitem(sys.modules, "labctl.host", SimpleNamespace(checks=lambda *_: ()))
    monkeypatch.setattr("labctl.host", sys.modules["labctl.host"], raising=False)
    assert cli("doctor", "play").code == 0
    assert nodes(lab) == ["own"]
