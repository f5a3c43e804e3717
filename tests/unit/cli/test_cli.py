"""The command line as a whole: help, global options, environment variables, errors and interrupts."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_lab import Cli, FakeLab
from typer.main import get_command

from labctl.cli import application
from labctl.cli.failures import hoisted
from labctl.errors import ConvergeError, LabError

COMMANDS: dict[str, Any] = {}
for word, found in get_command(application()).commands.items():  # type: ignore[attr-defined]
    parts = getattr(found, "commands", None)
    COMMANDS |= {f"{word} {part}": command for part, command in parts.items()} if parts else {word: found}


def test_every_command_of_the_design_is_there() -> None:
    expected = (
        "up scale create converge verify status list ssh exec cp open logs collect start stop suspend resume"
    )
    expected += " reset rotate destroy prune doctor presets schema config graph"
    snapshot = [f"snapshot {verb}" for verb in ("save", "restore", "list", "rm", "export", "import", "key")]
    assert list(COMMANDS) == [*expected.split(), *snapshot, "box build", "box list", "box rm"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_a_meaning_for_every_option(name: str, cli: Cli) -> None:
    run = cli(*name.split(), "--help")
    assert run.code == 0
    assert f"labctl {name}" in run.out.partition("Examples:")[2]
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name


@pytest.mark.parametrize("group", ["", "snapshot", "box"])
def test_a_group_shows_its_commands_and_an_example(group: str, cli: Cli) -> None:
    shown = cli(*group.split(), "--help").out
    commands = {name.removeprefix(group).split()[0] for name in COMMANDS if name.startswith(group)}
    assert commands <= set(shown.split())
    assert f"labctl {group}".strip() in shown.partition("Examples:")[2]
    assert "..." not in shown.partition("Commands:")[2], "what a command does is cut off"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_its_environment_variable(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            words = {option.lstrip("-").replace("-", "_").upper() for option in parameter.opts}
            assert parameter.envvar in {f"LABCTL_{word}" for word in words}


@pytest.mark.parametrize(
    "name",
    [
        *("up", "converge", "verify", "status", "list", "exec", "cp", "logs", "collect"),
        *("prune", "doctor", "presets"),
        *("snapshot save", "snapshot list", "snapshot import", "box list"),
    ],
)
def test_commands_that_print_facts_can_print_json(name: str) -> None:
    assert "--json" in {option for parameter in COMMANDS[name].params for option in parameter.opts}


def test_options_from_the_environment(cli: Cli, lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_NAME", "play")
    monkeypatch.setenv("LABCTL_DRY_RUN", "1")
    monkeypatch.setenv("LABCTL_SET", "nodes.cpu-0.memory=999 vars.x=y")
    assert cli("up", "cpu").code == 0
    assert lab.calls[0] == "define play auto"
    assert lab.definition.vars == {"x": "y"}
    assert lab.calls[1:] == ["plan verify=True fresh=False"]


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom labctl.cli import main\n"
        "try: main(['up', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {
        "ansible_runner",
        "ClusterShell",
        "libvirt",
        "jinja2",
        "ruamel",
        "labctl.lab",
        "labctl.definition",
    }
    assert heavy & set(run.stderr.split()) == set()
    assert "Examples:" in run.stdout


def test_a_look_at_a_lab_imports_nothing_that_makes_one() -> None:
    script = "import sys, labctl.cli.status, labctl.known\nprint(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    makes = {"ansible_runner", "jinja2", "vagrant", "zstandard", "labctl.host", "labctl.lab", "labctl.work"}
    assert makes & set(run.stdout.split()) == set()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["statsu"], ["no such command 'statsu'", "Did you mean 'status'", "try: labctl --help"]),
        (["up", "--nam", "x"], ["--name", "try: labctl up --help"]),
        (["ssh"], ["missing argument", "try: labctl ssh --help"]),
        (["rotate", "mung"], ["'mung' is not one of 'munge', 'jwt'", "try: did you mean munge?"]),
        (["rotate", "xyz"], ["'xyz' is not one of", "try: labctl rotate --help"]),
        (["up", "fulll"], ["no preset and no lab 'fulll'", "try: did you mean full?"]),
        (["-C", "/nonexistent", "list"], ["/nonexistent"]),
    ],
)
def test_a_wrong_command_line_is_refused_with_a_hint(
    cli: Cli, lab: FakeLab, arguments: list[str], words: list[str]
) -> None:
    run = cli(*arguments)
    assert run.code == 2
    assert run.out == ""
    assert run.err.startswith("error: ")
    for word in words:
        assert word in run.err
    assert "up" not in lab.calls


def test_an_error_says_what_why_and_what_to_try(cli: Cli, lab: FakeLab) -> None:
    lab.failure = ConvergeError(
        "gpu-0: slurmd : Start slurmd failed", why="no such device\n[x]", hint="see the log"
    )
    run = cli("-q", "up", "full")
    assert run.code == ConvergeError.exit_code
    assert run.err == (
        "error: gpu-0: slurmd : Start slurmd failed\n  no such device\n  [x]\ntry: see the log\n"
    )
    assert run.out == ""


def test_tracebacks_are_for_debug_only(cli: Cli, lab: FakeLab) -> None:
    lab.failure = LabError("no")
    assert "Traceback" not in cli("up").err
    assert "Traceback" in cli("up", "--debug").err
    lab.failure = RuntimeError("a mistake of ours")
    run = cli("up")
    assert (run.code, "Traceback" in run.err) == (70, False)
    assert "RuntimeError: a mistake of ours" in run.err
    assert "labctl --debug" in run.err


def test_ctrl_c_says_where_the_lab_is_and_how_to_go_on(cli: Cli, lab: FakeLab) -> None:
    lab.failure = KeyboardInterrupt()
    run = cli("up", "full")
    assert run.code == 130
    assert "the lab full is running: 2 of 3 nodes are running" in run.err
    assert "`labctl up full` continues, `labctl destroy full` removes it" in run.err
    assert "Traceback" not in run.err


def test_ctrl_c_leaves_a_lab_that_is_not_the_preset_of_its_name(
    cli: Cli, lab: FakeLab, tmp_path: Path
) -> None:
    (tmp_path / "lab.yml").touch()
    lab.directory, lab.failure = tmp_path, KeyboardInterrupt()
    assert "`labctl up --name full` continues" in cli("up", "full").err


def test_ctrl_c_when_the_lab_cannot_even_be_asked(
    cli: Cli, lab: FakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: FakeLab) -> Any:
        raise LabError("libvirtd is gone")

    monkeypatch.setattr(FakeLab, "status", broken)
    lab.failure = KeyboardInterrupt()
    run = cli("up", "full")
    assert run.code == 130
    assert "the lab full is half-made" in run.err


# `labctl up` that says when it is at work and then waits for ever.
WAITS = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from fake_lab import FakeLab
from labctl.cli import main, state
lab = FakeLab()
def wait(*_, **__):
    os.write(1, b"at work\\n")
    signal.pause()
lab.up = wait
state.lab_type = lambda: lab
main(["up"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_labctl_in_words(number: signal.Signals) -> None:
    script = WAITS.format(folder=str(Path(__file__).parent))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.startswith("error: interrupted\n  the lab full is running")
    assert "Traceback" not in err


def test_progress_goes_to_stderr_and_json_alone_to_stdout(cli: Cli) -> None:
    run = cli("up", "--json")
    assert json.loads(run.out)["status"]["name"] == "full"
    assert re.search(r"^\[ +0\.\ds\] boot: starts$", run.err, re.MULTILINE)
    assert cli("--quiet", "up", "--json").err == ""
    assert cli("up", "--json", "-q").err == ""


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("up full --debug", "--debug up full"),
        ("up full -q --name x", "-q up full --name x"),
        ("ssh cpu-0 git --quiet", "ssh cpu-0 git --quiet"),
        ("--debug exec all -- x -q", "--debug exec all -- x -q"),
    ],
)
def test_global_flags_may_stand_anywhere_but_in_another_programs_arguments(given: str, read: str) -> None:
    assert hoisted(given.split()) == read.split()


def test_a_closed_pipe_is_no_error() -> None:
    script = "from labctl.cli import main; main(['presets', '--json'])"
    run = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "{script}" | true; exit ${{PIPESTATUS[1]}}'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""


def test_version(cli: Cli) -> None:
    assert cli("--version").out.startswith("labctl ")


def test_no_arguments_show_the_commands(cli: Cli) -> None:
    run = cli()
    assert run.code == 0
    assert "destroy" in run.out


def test_directory_is_where_labs_are_looked_for(cli: Cli, lab: FakeLab, tmp_path: Path) -> None:
    cli("-C", str(tmp_path), "status")
    assert lab.base == tmp_path
