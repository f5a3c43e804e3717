"""`labctl ssh` becomes ssh; `labctl exec` runs everywhere at once. The commands run here, not on a node."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_lab import Cli, FakeLab

from labctl.cli.parallel import folded
from labctl.cli.ssh import split


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the process would have become."""
    argv: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _, words: argv.append(words))
    return argv


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cpu-0", ([], "cpu-0", [])),
        ("cpu-0 -- sinfo -N", ([], "cpu-0", ["sinfo", "-N"])),
        ("cpu-0 sinfo -N", ([], "cpu-0", ["sinfo", "-N"])),
        ("-- cpu-0 id", ([], "cpu-0", ["id"])),
        ("-l nucci cpu-0 -- id", (["-l", "nucci"], "cpu-0", ["id"])),
        ("-lnucci cpu-0 id", (["-lnucci"], "cpu-0", ["id"])),
        ("-tt -NL 80:x:80 -v cpu-0", (["-tt", "-NL", "80:x:80", "-v"], "cpu-0", [])),
        ("cpu-0 -- git log -- file", ([], "cpu-0", ["git", "log", "--", "file"])),
    ],
)
def test_options_of_ssh_then_the_node_then_the_command(
    words: str, expected: tuple[list[str], str, list[str]]
) -> None:
    assert split(words.split()) == expected


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        ("cpu-0 -- sinfo -N -h --json", "env NODE=cpu-0 sinfo -N -h --json"),
        ("-l nucci cpu-0 -- id", "env -l nucci NODE=cpu-0 id"),
        ("--lab full -L 8080:localhost:80 -v cpu-0", "env -L 8080:localhost:80 -v NODE=cpu-0"),
        ("cpu-0 git --quiet --name x", "env NODE=cpu-0 git --quiet --name x"),
    ],
)
def test_ssh_becomes_ssh(cli: Cli, executed: list[list[str]], arguments: str, argv: str) -> None:
    assert cli("ssh", *arguments.split()).code == 0
    assert executed == [argv.split()]


def test_ssh_takes_the_lab_that_is_named(cli: Cli, lab: FakeLab, executed: list[list[str]]) -> None:
    cli("ssh", "--lab", "play", "cpu-0")
    cli("ssh", "--name=other", "cpu-0")
    assert lab.calls == ["find play", "find other"]
    assert len(executed) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("@slurmd", "@slurmd are 2 nodes, and ssh goes to one"),
        ("cpu-9", "there is no node cpu-9"),
        ("-v", "no node is named"),
    ],
)
def test_ssh_refuses_what_is_not_one_node(
    cli: Cli, executed: list[list[str]], arguments: str, words: str
) -> None:
    run = cli("ssh", *arguments.split())
    assert run.code == 2
    assert words in run.err
    assert executed == []


def test_exec_folds_equal_output_and_exits_with_the_worst_code(cli: Cli) -> None:
    script = "case $NODE in cpu-*) echo same; echo oh >&2;; *) echo other; exit 3;; esac"
    run = cli("exec", "-n", "all", "--", "sh", "-c", script)
    line = "-" * 15
    assert run.out == f"{line}\ncpu-[0-1] (2)\n{line}\nsame\n{line}\nslurmctld-0\n{line}\nother\n"
    assert run.err == f"{line}\ncpu-[0-1] (2)\n{line}\noh\nslurmctld-0: exited with 3\n"
    assert run.code == 3


def test_exec_as_json(cli: Cli) -> None:
    run = cli("exec", "--json", "-n", "@slurmd", "--", "sh", "-c", "echo $NODE; exit 1")
    assert run.code == 1
    assert json.loads(run.out)["cpu-1"] == {"exit_code": 1, "stdout": "cpu-1\n", "stderr": ""}


def test_exec_gives_every_node_the_same_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    given = SimpleNamespace(buffer=io.BytesIO(b"one\ntwo\n"), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", given)
    run = cli("exec", "--json", "@slurmd", "--", "wc", "-l")
    assert {outcome["stdout"].strip() for outcome in json.loads(run.out).values()} == {"2"}


def test_exec_reads_no_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert cli("exec", "cpu-0", "--", "cat").code == 0


def test_exec_runs_side_by_side(cli: Cli, tmp_path: Path) -> None:
    """Each waits for the other: one after the other they would never end."""
    one, two = tmp_path / "one", tmp_path / "two"
    os.mkfifo(one)
    os.mkfifo(two)
    script = f"if [ $NODE = cpu-0 ]; then echo x > {one}; cat {two}; else cat {one}; echo x > {two}; fi"
    assert cli("exec", "-n", "@slurmd", "--", "timeout", "20", "sh", "-c", script).code == 0


def test_exec_hands_user_and_flags_on(cli: Cli, lab: FakeLab) -> None:
    run = cli("exec", "-n", "-u", "nucci", "cpu-0", "echo", "--json", "-u", "x")
    assert lab.user == "nucci"
    assert run.out.splitlines()[-1] == "--json -u x"


def test_exec_without_a_command(cli: Cli) -> None:
    run = cli("exec", "all")
    assert (run.code, "labctl exec all -- COMMAND" in run.err) == (2, True)


def test_silent_nodes_are_not_listed() -> None:
    assert [(str(nodes), text) for nodes, text in folded({"a": "", "b": "x\ny\n"})] == [("b", "x\ny")]
