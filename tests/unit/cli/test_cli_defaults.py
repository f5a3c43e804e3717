"""Defaults for options: the command line, the environment, labctl.toml, pyproject.toml, in this order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_lab import Cli, FakeLab, Summary

DEFINITION = """\
name: play
users: [{name: nucci, uid: 10000}]
partitions: [{name: all}]
nodes: [{name: one, roles: [ldap_server, nfs_server, slurmctld, slurmd], partitions: [all]}]
"""


def own(folder: Path, text: str) -> None:
    (folder / "labctl.toml").write_text(text)


def project(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)


def test_what_is_nearer_to_the_user_wins(
    cli: Cli, lab: FakeLab, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meant(*words: str) -> str:
        lab.calls.clear()
        assert cli("status", *words).code == 0
        return lab.calls[0]

    assert meant() == "find None"
    project(work, '[tool.labctl]\nname = "of-project"\n')
    assert meant() == "find of-project"
    own(work, 'name = "of-file"\n')
    assert meant() == "find of-file"
    monkeypatch.setenv("LABCTL_NAME", "of-environment")
    assert meant() == "find of-environment"
    assert meant("--name", "typed") == "find typed"


def test_a_table_is_for_one_command_and_wins_there(cli: Cli, lab: FakeLab, work: Path) -> None:
    own(
        work,
        'name = "dev"\nverify = false\n[up]\nverify = true\nset = ["vars.a=1", "vars.b=2"]\n'
        '[snapshot.list]\nname = "other"\n',
    )
    cli("up", "cpu")
    assert lab.calls == ["define dev auto", "up verify=True fresh=False"]
    assert lab.definition.vars == {"a": 1, "b": 2}
    cli("create", "cpu")
    assert lab.definition.vars == {}
    own(work, 'verify = false\nfresh = true\n[snapshot]\nname = "other"\n')
    cli("up", "cpu")
    assert lab.calls[-1] == "up verify=False fresh=True"
    cli("up", "cpu", "--verify")
    assert lab.calls[-1] == "up verify=True fresh=True"


def test_a_table_of_the_project_is_weaker_than_the_top_of_the_file(
    cli: Cli, lab: FakeLab, work: Path
) -> None:
    project(work, "[tool.labctl.up]\nverify = true\nfresh = true\n")
    own(work, "verify = false\n")
    cli("up", "cpu")
    assert lab.calls[-1] == "up verify=False fresh=True"


def test_options_of_labctl_itself(cli: Cli, work: Path) -> None:
    assert "boot" in cli("up", "cpu").err
    own(work, "quiet = true\n")
    assert cli("up", "cpu").err == ""


def test_the_nearest_file_counts_here_or_above_or_where_the_option_says(
    cli: Cli, lab: FakeLab, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = work / "a" / "b"
    below.mkdir(parents=True)
    own(work, 'name = "outer"\n')
    monkeypatch.chdir(below)
    cli("status")
    own(work / "a", "quiet = true\n")  # not merged with the one above
    cli("status")
    cli("-C", str(work), "status")
    assert [call for call in lab.calls if "find" in call] == ["find outer", "find None", "find outer"]


def test_another_projects_file_is_nothing_to_us(cli: Cli, lab: FakeLab, work: Path) -> None:
    below = work / "below"
    below.mkdir()
    project(work, '[tool.labctl]\nname = "dev"\n')
    project(below, "this is not TOML")
    cli("-C", str(below), "status")
    assert lab.calls == ["find dev"]


def test_a_folder_is_where_the_file_is(cli: Cli, lab: FakeLab, work: Path) -> None:
    (work / "below").mkdir()
    own(work, '[create]\noutput-dir = "labs"\n')
    assert cli("-C", str(work / "below"), "create", "cpu").code == 0
    assert lab.base == work / "labs"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ('\n\nnmae = "x"', ["3: unknown key 'nmae'; did you mean 'name'?"]),
        ("[upp]\nfresh = true", ["1: unknown key 'upp'; did you mean 'up'?"]),
        ("[up]\ndays = 3", ["2: unknown key 'days'"]),
        ("[up]\n\nfrseh = true", ["3: unknown key 'frseh'; did you mean 'fresh'?"]),
        ("up.frseh = true", ["1: unknown key 'frseh'; did you mean 'fresh'?"]),
        ("[snapshot.sav]\n[up]\nset = [\n 'a',\n]\nverify = 'no'", [
            "1: unknown key 'sav'; did you mean 'save'?",
            "6: verify must be true or false, not 'no'",
        ]),
        ("[up]\nset = 'a=b'", ['2: set must be a list, such as ["a", "b"], not \'a=b\'']),
        ("name = ['a']", ["1: name must be text or a number, not ['a']"]),
        ("name = true", ["1: name must be text or a number, not True"]),
        ("no-verify = true", ["1: unknown key 'no-verify'; did you mean 'verify'?"]),
        ("directory = '/'", ["1: unknown key 'directory'"]),
        ("version = true", ["1: unknown key 'version'"]),
        ("a = 1\nb = = 2", ["2: Invalid value"]),
    ],
)  # fmt: skip
def test_mistakes_are_all_told_with_line_and_the_nearest_word(
    cli: Cli, lab: FakeLab, work: Path, text: str, mistakes: list[str]
) -> None:
    own(work, text)
    run = cli("status")
    assert (run.code, run.out, lab.calls) == (2, "", [])
    told = [line.strip() for line in run.err.splitlines() if "labctl.toml:" in line]
    assert len(told) == len(mistakes)
    for line, mistake in zip(told, mistakes, strict=True):
        assert line.startswith(f"{work}/labctl.toml:{mistake}")
    assert "try: a key is the name of an option" in run.err


def test_a_mistake_in_the_project_has_its_line_as_well(cli: Cli, work: Path) -> None:
    project(work, '[project]\nname = "x"\n\n[tool.labctl]\nfresh = true\nnmae = "x"\n')
    assert f"{work}/pyproject.toml:6: unknown key 'nmae'" in cli("list").err
    project(work, "[tool]\nlabctl = 3\n")
    assert f"{work}/pyproject.toml:2: tool.labctl must be a table" in cli("list").err


def test_a_value_that_the_command_refuses_is_told_with_its_place(
    cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(work, '[up]\n\ncpu-nodes = -1\n[snapshot.save]\nname = "x"\n')
    run = cli("up", "full")
    assert run.code == 2
    assert "--cpu-nodes" in run.err
    assert f"it is set in {work}/labctl.toml:3" in run.err
    monkeypatch.setenv("LABCTL_PROVIDER", "vmware")
    assert "LABCTL_PROVIDER is set" in cli("up", "full", "--cpu-nodes", "1").err
    monkeypatch.delenv("LABCTL_PROVIDER")
    assert "is set" not in cli("up", "full", "--cpu-nodes", "-1").err


@pytest.mark.parametrize("command", ["status", "stop", "start", "destroy", "verify", "suspend", "resume"])
def test_the_lab_of_the_argument_is_meant_whatever_is_called_so_by_default(
    cli: Cli, lab: FakeLab, work: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("LABCTL_NAME", "other")
    assert cli(command, "full").code == 0
    assert lab.calls[0] == "find full"
    monkeypatch.delenv("LABCTL_NAME")
    own(work, 'name = "other"')
    lab.calls.clear()
    cli(command, "full")
    assert lab.calls[0] == "find full"
    run = cli(command, "full", "--name", "dev")
    assert (run.code, "full is named, and --name dev" in run.err) == (2, True)


@pytest.mark.parametrize(("typed", "name"), [((), "play"), (("--name", "copy"), "copy")])
def test_an_existing_lab_keeps_its_name(
    cli: Cli, lab: FakeLab, work: Path, typed: tuple[str, ...], name: str
) -> None:
    folder = work / ".labctl" / "play"
    folder.mkdir(parents=True)
    (folder / "lab.yml").write_text(DEFINITION)
    lab.labs = (Summary("play", directory=folder),)
    own(work, 'name = "dev"\n')
    cli("up", "play", *typed)
    assert lab.calls[0] == f"define {name} auto"


def test_sizes_and_folder_of_up_and_create(cli: Cli, lab: FakeLab, work: Path) -> None:
    def nodes() -> list[Any]:
        return [(node.name, node.cpus, node.memory) for node in lab.definition.machines() if node.gpus == 0]

    sizes = ("--cpu-nodes", "1", "--cpus-per-node", "3", "--memory-per-node", "1500")
    for command in ("up", "create"):
        assert cli(command, "multi-node", *sizes, "--output-dir", "labs").code == 0
        assert nodes() == [("slurmctld-0", 2, 1024), ("compute-0", 3, 1500)]
        assert lab.base == work / "labs"
        cli(command, "gpu", "--gpu-nodes", "2", "--gpus-per-node", "3")
        assert [node.gpus for node in lab.definition.machines()] == [3, 3]
        assert lab.base == work
        cli(command, "cpu", "--with-registry")
        assert lab.definition.services.registry
        cli(command, "cpu", "--with-registry", "--with-containers", "--set", "services.registry=false")
        assert (lab.definition.services.registry, lab.definition.services.containers) == (False, True)
        assert not lab.definition.services.pyxis
        cli(command, "cpu", "--with-pyxis")
        assert lab.definition.services.pyxis
    run = cli("up", "cpu", "--gpu-nodes", "1", "--set", "nodes.cpu-0.memry=1")
    assert run.code == 2
    assert "--gpu-nodes 1: the definition has no node with GPUs" in run.err
    assert "did you mean 'memory'?" in run.err
