"""Playbooks of the user's own: found from the definition's folder, part of the key, run after the roles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from savers import FakeSaver
from small_lab import FROM_NOTHING, SMALL, lab, small, up
from worlds import World

from labctl import target
from labctl.console import BaseReporter
from labctl.definition.loading import dump, load, loads
from labctl.definition.models import Definition
from labctl.errors import DefinitionError
from labctl.files import LabFiles
from labctl.lab import Lab

PLAY = "- hosts: all\n  tasks: []\n"
WITH = [f"{step} mine.yml" if step == "converge" else step for step in FROM_NOTHING]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a definition and the playbook that it names."""
    folder = tmp_path / "project"
    (folder / "play").mkdir(parents=True)
    (folder / "play" / "mine.yml").write_text(PLAY)
    (folder / "lab.yml").write_text(f"{SMALL}playbooks: [play/mine.yml]\n")
    return folder


@pytest.fixture
def defined(project: Path) -> Definition:
    return load(str(project / "lab.yml"))


def test_paths_begin_at_the_definitions_folder(
    project: Path, defined: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(project / "play" / "mine.yml")
    assert defined.playbooks == [path]
    monkeypatch.chdir(project.parent)
    assert load("project/lab.yml") == defined
    assert load("cpu", overrides=["playbooks=[project/play/mine.yml]"]).playbooks == [path]
    assert loads(dump(defined)) == defined  # as the lab's own files have it
    assert dump(small()) == dump(load(str(project / "lab.yml"), overrides=["playbooks=[]"]))


def test_one_that_is_not_there_is_a_mistake_with_its_line(project: Path) -> None:
    lines = (
        (project / "lab.yml").read_text().replace("[play/mine.yml]", "\n- play/mine.yml\n- play\n- your.yml")
    )
    (project / "lab.yml").write_text(lines.replace("uid: 10000", "uid: 1"))
    with pytest.raises(DefinitionError, match="3 mistakes") as caught:
        load(str(project / "lab.yml"))
    line = lines[: lines.index("- play\n")].count("\n") + 1
    assert f"lab.yml:{line}: playbooks.1: there is no playbook {project / 'play'}" in caught.value.why
    assert f"lab.yml:{line + 1}: playbooks.2: there is no playbook {project / 'your.yml'}" in caught.value.why


@pytest.mark.parametrize(("given", "words"), [("mine.yml", "must be a list"), ("[1]", "must be text")])
def test_what_is_no_list_of_paths_is_refused(given: str, words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load("cpu", overrides=[f"playbooks={given}"])
    assert words in caught.value.why


def test_the_key_is_of_what_they_say_and_not_of_where_they_are(
    world: World, project: Path, defined: Definition  # noqa: ARG001 - of a box
) -> None:  # fmt: skip
    elsewhere = shutil.copytree(project, project.parent / "elsewhere")
    before = target.key(defined)
    assert before != target.key(small())
    assert target.key(load(str(elsewhere / "lab.yml"))) == before
    (elsewhere / "play" / "notes.txt").write_text("nothing that Ansible would look for")
    assert target.key(load(str(elsewhere / "lab.yml"))) == before
    (elsewhere / "play" / "templates").mkdir()
    (elsewhere / "play" / "templates" / "motd.j2").write_text("hello")
    with_template = target.key(load(str(elsewhere / "lab.yml")))
    (elsewhere / "play" / "mine.yml").write_text(f"{PLAY}# changed\n")
    assert len({before, with_template, target.key(load(str(elsewhere / "lab.yml")))}) == 3


def test_they_are_run_after_the_roles_and_again_when_they_change(
    world: World, project: Path, defined: Definition
) -> None:
    made = lab(world, defined)
    (converge,) = [action for action in made.plan() if action.kind == "converge"]
    assert converge.reason.endswith(f"; {project / 'play' / 'mine.yml'} after the roles")
    assert up(world, defined) == WITH
    assert up(world, defined) == ["require"]
    (project / "play" / "mine.yml").write_text(f"{PLAY}# changed\n")
    assert {"converge mine.yml", "verify full"} <= set(up(world, defined))


def test_a_lab_outlives_its_playbooks_but_is_not_converged_without_them(
    world: World, project: Path, defined: Definition, reporter: BaseReporter
) -> None:
    up(world, defined)
    (project / "play" / "mine.yml").unlink()
    found = Lab.find("small", base=world.home)
    assert found.status().state == "running"
    for attempt in (found.converge, found.up):
        with pytest.raises(DefinitionError, match="there is no playbook"):
            attempt(reporter)
    assert world.taken() == []
    found.destroy(reporter)
    assert not LabFiles(found.directory).directory.exists()


def test_a_snapshot_of_a_lab_whose_playbooks_were_elsewhere_is_brought_back_with_those_of_here(
    world: World, project: Path, defined: Definition, reporter: BaseReporter
) -> None:
    world.provider.saver = FakeSaver(world.provider.machines)
    up(world, defined)
    lab(world, defined).destroy(reporter)
    here = load(str(project.rename(project.parent / "here") / "lab.yml"))
    assert "verify restored" in up(world, here)
    assert Lab.find("small", base=world.home).definition.playbooks == here.playbooks
