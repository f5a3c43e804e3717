"""`labctl ssh` becomes ssh; `labctl exec` runs everywhere at once. The commands run here, not on a node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_lab import Cli, FakeLab

from labctl.cli.ssh import split
from labctl.reach.parallel import folded


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
    ("arguments", "flags", "command"),
    [
        ("cpu-0 -- sinfo -N -h --json", "", "sinfo -N -h --json"),
        ("-l nucci cpu-0 -- id", "-l nucci", "id"),
        ("--lab full -L 8080:localhost:80 -v cpu-0", "-L 8080:localhost:80 -v", ""),
        ("cpu-0 git --quiet --name x", "", "git --quiet --name x"),
    ],
)
def test_ssh_becomes_ssh(
    cli: Cli, executed: list[list[str]], arguments: str, flags: str, command: str
) -> None:
    assert cli("ssh", *arguments.split()).code == 0
    shell = ["sh", "-c", command] if command else []
    assert executed == [["env", *flags.split(), "NODE=cpu-0", "SHELL=/bin/sh", *shell]]


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


def test_ssh_says_why_a_node_cannot_be_reached(cli: Cli, lab: FakeLab, executed: list[list[str]]) -> None:
    lab.away = ("cpu-1",)
    run = cli("ssh", "cpu-1")
    assert run.code == 1
    assert all(
        part in run.err for part in ("cpu-1 cannot be reached", "stopped", "labctl start --nodes cpu-1")
    )
    assert executed == []
    assert cli("ssh", "cpu-0").code == 0


def test_exec_runs_on_those_that_can_be_reached(cli: Cli, lab: FakeLab) -> None:
    lab.away = ("cpu-1",)
    run = cli("exec", "--json", "-n", "@slurmd", "--", "echo here")
    assert run.code == 255
    here, away = json.loads(run.out).values()
    assert (here["exit_code"], here["stdout"]) == (0, "here\n")
    assert (away["exit_code"], away["stdout"]) == (255, "")
    assert away["stderr"] == "cpu-1 cannot be reached\nit is stopped\nlabctl start --nodes cpu-1\n"


def test_exec_folds_equal_output_and_exits_with_the_worst_code(cli: Cli) -> None:
    script = "case $NODE in cpu-*) echo same; echo oh >&2; exit 1;; *) echo other; exit 3;; esac"
    run = cli("exec", "-n", "all", "--", script)
    line = "-" * 15
    assert run.out == f"{line}\ncpu-[0-1] (2)\n{line}\nsame\n{line}\nslurmctld-0\n{line}\nother\n"
    ends = "cpu-[0-1]: exited with 1\nslurmctld-0: exited with 3\n"
    assert run.err == f"{line}\ncpu-[0-1] (2)\n{line}\noh\n{ends}"
    assert run.code == 3


def test_exec_as_json(cli: Cli) -> None:
    run = cli("exec", "--json", "-n", "@slurmd", "--", "echo $NODE; exit 1")
    assert run.code == 1
    assert json.loads(run.out)["cpu-1"] == {"exit_code": 1, "stdout": "cpu-1\n", "stderr": ""}


def test_exec_hands_a_command_to_the_login_shell_as_ssh_does(cli: Cli) -> None:
    run = cli("exec", "-n", "cpu-0", "--", "cd / && pwd; printf '%s.'", "'a  b'", '"$NODE"')
    assert run.out.splitlines()[3:] == ["/", "a  b.cpu-0."]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> int:
    """The end of a pipe; what is written there is what labctl reads."""
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: reading, isatty=lambda: False))
    return writing


def test_exec_gives_every_node_the_same_input(cli: Cli, stdin: int) -> None:
    os.write(stdin, b"one\ntwo\n")
    os.close(stdin)
    run = cli("exec", "--json", "@slurmd", "--", "wc -l")
    assert {outcome["stdout"].strip() for outcome in json.loads(run.out).values()} == {"2"}


def test_exec_gives_each_node_the_input_at_its_own_pace(cli: Cli, stdin: int, tmp_path: Path) -> None:
    """More than a pipe holds: the one that reads nothing must not keep it from the other."""
    (tmp_path / "input").write_bytes(b"x" * (1 << 20))
    with (tmp_path / "input").open("rb") as given:
        os.dup2(given.fileno(), sys.stdin.fileno())
    os.mkfifo(tmp_path / "counted")
    script = f"if [ $NODE = cpu-0 ]; then cat {tmp_path}/counted; else wc -c >{tmp_path}/counted; fi"
    assert "1048576" in cli("exec", "@slurmd", "--", script).out
    os.close(stdin)


def test_exec_does_not_wait_for_input_that_never_ends(cli: Cli, stdin: int) -> None:
    os.write(stdin, b"one\n")
    assert "one" in cli("exec", "@slurmd", "--", "head -n 1").out
    os.close(stdin)


def test_exec_reads_no_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert cli("exec", "cpu-0", "--", "cat").code == 0


def test_exec_runs_side_by_side(cli: Cli, tmp_path: Path) -> None:
    """Each waits for the other: one after the other they would never end."""
    one, two = tmp_path / "one", tmp_path / "two"
    os.mkfifo(one)
    os.mkfifo(two)
    script = f"if [ $NODE = cpu-0 ]; then echo x > {one}; cat {two}; else cat {one}; echo x > {two}; fi"
    assert cli("exec", "-n", "@slurmd", "--", f"timeout 20 sh -c '{script}'").code == 0


def test_exec_hands_user_and_flags_on(cli: Cli, lab: FakeLab) -> None:
    run = cli("exec", "-n", "-u", "nucci", "cpu-0", "echo", "--json", "-u", "x")
    assert lab.user == "nucci"
    assert run.out.splitlines()[-1] == "--json -u x"


def test_exec_without_a_command(cli: Cli) -> None:
    run = cli("exec", "all")
    assert (run.code, "labctl exec all -- COMMAND" in run.err) == (2, True)


def test_silent_nodes_are_not_listed() -> None:
    assert [(str(nodes), text) for nodes, text in folded({"a": "", "b": "x\ny\n"})] == [("b", "x\ny")]


# `labctl exec` on a lab whose commands outlive their ssh and hold on to its output, as they do under a real sshd with a
# shared connection.
OUTLIVES = """
import sys
sys.path.insert(0, {folder!r})
from fake_lab import FakeLab
from labctl.cli import main, state
class Detached(FakeLab):
    def ssh_command(self, node, command=(), **options):
        return ["setsid", "--fork", "--wait", *super().ssh_command(node, command, **options)]
state.known_type = lambda: Detached()
main(["exec", "-n", "@slurmd", "--", {script!r}])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_what_exec_has_started_on_the_nodes(number: signal.Signals, tmp_path: Path) -> None:
    script = f"cd {tmp_path}; trap '' HUP; sleep 300 & echo $$ $! >$NODE.new; mv $NODE.new $NODE; wait"
    program = OUTLIVES.format(folder=str(Path(__file__).parent), script=script)
    begun = [tmp_path / "cpu-0", tmp_path / "cpu-1"]
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        await_that(lambda: all(path.exists() for path in begun))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "error: interrupted\n"  # nothing of the lab is half-made
    pids = [pid for path in begun for pid in path.read_text().split()]
    assert len(pids) == 4
    await_that(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])


def await_that(true: object) -> None:
    end = time.monotonic() + 30
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)
