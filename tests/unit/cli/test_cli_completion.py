"""Shell completion, by the protocol of the shells: it offers what the files here say, at once and without a word."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_lab import Cli
from saved_labs import a_snapshot
from typer.main import get_command

from labctl.cli import application
from labctl.cli import state as module
from labctl.cli.completion import mend_words

DEFINITION = """\
name: play
nodes:
  - {name: head, roles: [ldap_server, nfs_server, slurmctld]}
  - {name: "cpu-[0-1]", roles: [slurmd], partitions: [batch]}
"""
NODES = ["head", "cpu-0", "cpu-1", "@ldap_server", "@nfs_server", "@slurmctld", "@slurmd", "@batch", "all"]

Offered = Callable[..., list[str]]


def a_lab(base: Path, name: str, definition: str = DEFINITION) -> None:
    folder = base / ".labctl" / name
    folder.mkdir(parents=True)
    (folder / "lab.yml").write_text(definition)


@pytest.fixture
def offered(cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """What bash is offered for the last of these words, in a folder with the lab `play`."""

    def no_libvirt() -> Any:
        raise AssertionError("completion asks files alone")

    for kind in ("lab_type", "known_type"):
        monkeypatch.setattr(module, kind, no_libvirt)
    monkeypatch.setenv("LABCTL_SNAPSHOTS", str(work / "snapshots"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(work / "cache"))
    a_lab(work, "play")

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("_LABCTL_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("labctl", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        run = cli()
        assert (run.code, run.err) == (0, "")
        return run.out.split()

    return complete


def test_commands_and_options(offered: Offered) -> None:
    assert offered("sus") == ["suspend"]
    assert offered("snapshot", "re") == ["restore"]
    assert offered("up", "--dr") == ["--dry-run"]
    assert offered("up", "--provider", "") == ["auto", "libvirt", "virtualbox"]


def test_presets_and_the_labs_of_this_folder_and_above(
    offered: Offered, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offered("up", "") == ["cpu", "full", "gpu", "mini-hpc", "multi-node", "play"]
    assert offered("destroy", "") == ["play"]
    a_lab(work, "cpu")
    assert offered("up", "c") == ["cpu"]
    (work / "below").mkdir()
    a_lab(work / "below", "inner")
    monkeypatch.chdir(work / "below")
    assert offered("status", "--name", "") == ["inner", "cpu", "play"]
    assert offered("-C", str(work), "status", "p") == ["play"]


@pytest.mark.parametrize(
    "words", ["start --nodes", "start play --nodes", "exec", "exec --name play", "ssh -l nucci", "converge --limit"]
)  # fmt: skip
def test_nodes_and_groups(offered: Offered, words: str) -> None:
    assert offered(*words.split(), "") == NODES


def test_nodes_of_the_lab_that_is_meant(
    offered: Offered, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_lab(work, "other", "nodes: [{name: alone, roles: [slurmd]}]")
    assert offered("ssh", "") == []
    assert offered("ssh", "--name", "other", "") == ["alone", "@slurmd", "all"]
    assert offered("stop", "other", "--nodes", "al") == ["alone", "all"]
    (work / "labctl.toml").write_text('name = "play"\n')
    assert offered("ssh", "h") == ["head"]
    monkeypatch.setenv("LABCTL_NAME", "other")
    assert offered("ssh", "a") == ["alone", "all"]


def test_groups_that_can_be_counted(offered: Offered) -> None:
    assert offered("scale", "") == ["slurmd=", "batch="]
    assert offered("scale", "ba") == ["batch="]


def test_further_nodes_after_a_comma(offered: Offered) -> None:
    assert offered("exec", "cpu-1,") == ["cpu-1,head", "cpu-1,cpu-0"]


@pytest.mark.parametrize("words", ["exec cpu-0 --", "exec cpu-0", "ssh cpu-0", "ssh -l nucci cpu-0"])
def test_what_follows_a_node_is_left_to_the_shell(offered: Offered, words: str) -> None:
    assert offered(*words.split(), "") == []


def test_snapshots_of_all_labs_or_of_one(offered: Offered) -> None:
    a_snapshot("ab12", label="clean", created=2.0)
    a_snapshot("cd34", label="dirty", lab="play", created=1.0)
    assert offered("snapshot", "restore", "") == ["clean", "dirty"]
    assert offered("snapshot", "rm", "--name", "play", "") == ["dirty"]


def test_boxes_that_can_be_built_and_those_that_are(offered: Offered) -> None:
    assert offered("box", "build", "") == ["debian-12"]
    assert offered("box", "rm", "") == []


@pytest.mark.parametrize("definition", ["nodes: [", "nodes: 5", "{}", "nodes: [{name: 'a[', roles: 3}]"])
def test_a_broken_file_offers_nothing_and_says_nothing(offered: Offered, work: Path, definition: str) -> None:
    (work / ".labctl" / "play" / "lab.yml").write_text(definition)
    assert offered("ssh", "") == []
    (work / "labctl.toml").write_text("name =")
    assert offered("ssh", "") == []


@pytest.mark.parametrize(
    ("taken_apart", "whole"),
    [
        (["ssh", "@", "sl"], ["ssh", "@sl"]),
        (["ssh", "@"], ["ssh", "@"]),
        (["up", "--name", "=", "pl"], ["up", "--name=pl"]),
        (["up", "--name", "="], ["up", "--name="]),
        (["ssh", "--name", "=", "play", ""], ["ssh", "--name=play", ""]),
        (["ssh", "-L", "8080", ":", "localhost", ":", "80", "h"], ["ssh", "-L", "8080:localhost:80", "h"]),
        (["up", "play"], ["up", "play"]),
    ],
)
def test_words_that_bash_takes_apart(taken_apart: list[str], whole: list[str]) -> None:
    environ = {
        "_LABCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["labctl", *taken_apart]),
        "COMP_CWORD": str(len(taken_apart)),
    }
    mend_words(environ)
    assert environ["COMP_WORDS"].split("\n") == ["labctl", *whole]
    assert environ["COMP_CWORD"] == str(len(whole))


def test_a_role_and_a_value_behind_an_equals_sign_in_bash(offered: Offered) -> None:
    assert offered("ssh", "@", "slurmc") == ["@slurmctld"]
    assert offered("ssh", "--name", "=", "play", "he") == ["head"]
    assert offered("destroy", "--name", "=", "p") == ["play"]


@pytest.mark.parametrize(("shell", "shown"), [("zsh", '"cpu-0"\n"cpu-1"'), ("fish", "cpu-0\ncpu-1")])
def test_other_shells(
    offered: Offered, cli: Cli, monkeypatch: pytest.MonkeyPatch, shell: str, shown: str
) -> None:
    assert offered("ssh", "cpu") == ["cpu-0", "cpu-1"]
    monkeypatch.setenv("_LABCTL_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "labctl ssh cpu")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert shown in cli().out


TAKEN = {
    "[LAB]",
    "LAB",
    "[PRESET|FILE]",
    "NODES",
    "NODES -- COMMAND...",
    "SNAPSHOT",
    "[BOX]",
    "BOX",
    "GROUP=COUNT...",
}


def parameters(group: Any, path: str = "labctl") -> list[Any]:
    found = [
        pytest.param(parameter, id=f"{path} {name} {parameter.name}")
        for name, command in group.commands.items()
        for parameter in command.params
        if parameter.metavar in TAKEN
    ]
    below = {name: one for name, one in group.commands.items() if hasattr(one, "commands")}
    return found + [one for name, each in below.items() for one in parameters(each, f"{path} {name}")]


@pytest.mark.parametrize("parameter", parameters(get_command(application())))
def test_whatever_names_something_that_is_there_is_completed(parameter: Any) -> None:
    assert parameter._custom_shell_complete is not None


def test_nothing_slow_is_imported_for_it(work: Path) -> None:
    a_lab(work, "play")
    script = (
        "import sys\nfrom labctl.cli import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)"
    )
    words = {"_LABCTL_COMPLETE": "complete_bash", "COMP_WORDS": "labctl\nssh\nh", "COMP_CWORD": "2"}
    run = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | words, capture_output=True, text=True, check=False
    )
    assert run.stdout == "head\n"
    assert {"libvirt", "jinja2", "labctl.lab", "ansible_runner"} & set(run.stderr.split()) == set()
