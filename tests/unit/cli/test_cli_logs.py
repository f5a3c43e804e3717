"""`labctl logs`: many journals as one log. A node's journal is a file here, which a stand-in for journalctl reads."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_lab import Cli, FakeLab

JOURNALCTL = r"""#!/bin/bash
echo "$NODE $*" >> "$JOURNALS/calls"
[ -e "$JOURNALS/$NODE" ] || { echo "no journal on $NODE" >&2; exit 3; }
lines=+1
for word; do
    case $word in
    --lines=all) ;;
    --lines=*) lines=${word#--lines=} ;;
    --follow) follow=-f ;;
    esac
done
echo $$ > "$JOURNALS/$NODE.pid"
exec tail $follow -n "$lines" "$JOURNALS/$NODE"
"""
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The nodes' journals: two entries each, in turn."""
    for number, node in enumerate(("slurmctld-0", "cpu-0", "cpu-1")):
        add(tmp_path / node, f"{node} starts", NOON + number)
        add(tmp_path / node, f"{node} runs", NOON + 10 + number)
    (tmp_path / "journalctl").write_text(JOURNALCTL)
    (tmp_path / "journalctl").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("JOURNALS", str(tmp_path))
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield tmp_path
    time.tzset()


def add(journal: Path, text: str, seconds: float) -> None:
    fields = {"__REALTIME_TIMESTAMP": str(round(seconds * 1e6)), "SYSLOG_IDENTIFIER": "init", "MESSAGE": text}
    with journal.open("a") as stream:
        stream.write(json.dumps(fields) + "\n")


def calls(journals: Path) -> list[str]:
    return sorted((journals / "calls").read_text().splitlines())


@pytest.mark.usefixtures("journals")
def test_all_nodes_in_order_of_time_each_line_with_its_node(cli: Cli) -> None:
    assert cli("logs").out.splitlines() == [
        "slurmctld-0  Jan 31 12:00:00.000 init: slurmctld-0 starts",
        "cpu-0        Jan 31 12:00:01.000 init: cpu-0 starts",
        "cpu-1        Jan 31 12:00:02.000 init: cpu-1 starts",
        "slurmctld-0  Jan 31 12:00:10.000 init: slurmctld-0 runs",
        "cpu-0        Jan 31 12:00:11.000 init: cpu-0 runs",
        "cpu-1        Jan 31 12:00:12.000 init: cpu-1 runs",
    ]


def test_some_nodes_and_their_last_lines(cli: Cli, journals: Path) -> None:
    assert cli("logs", "slurmctld-0", "cpu-1", "-n", "1").out.splitlines() == [
        "slurmctld-0  Jan 31 12:00:10.000 init: slurmctld-0 runs",
        "cpu-1        Jan 31 12:00:12.000 init: cpu-1 runs",
    ]
    assert cli("logs", "-n", "0").out == ""
    assert [call.split()[0] for call in calls(journals)] == ["cpu-0", "cpu-1", "cpu-1", *["slurmctld-0"] * 2]


def test_journalctl_is_asked_for_units_and_since_when(cli: Cli, journals: Path) -> None:
    cli("logs", "cpu-0", "-u", "sssd", "--unit", "ssh*", "--since", "10 min ago")
    (call,) = calls(journals)
    for word in ("--unit=sssd", "--unit=ssh*", "--since=10 min ago", "--output=json", "--lines=all"):
        assert word in call
    assert "--output-fields=MESSAGE," in call


def test_json_is_an_object_a_line_with_all_that_journald_knows(cli: Cli, journals: Path) -> None:
    found = [json.loads(line) for line in cli("logs", "@slurmd", "--json").out.splitlines()]
    assert [(one["node"], one["MESSAGE"]) for one in found[:2]] == [
        ("cpu-0", "cpu-0 starts"),
        ("cpu-1", "cpu-1 starts"),
    ]
    assert "--output-fields" not in calls(journals)[0]


def test_every_line_of_an_entry_has_its_node_and_none_moves_the_cursor(cli: Cli, journals: Path) -> None:
    add(journals / "cpu-0", "one\n\ttwo\x1b[2J", NOON + 20)
    assert cli("logs", "cpu-0", "-n", "1").out.splitlines() == [
        "cpu-0  Jan 31 12:00:20.000 init: one",
        "cpu-0                            \ttwo\ufffd[2J",
    ]


def test_a_node_that_fails_is_named_and_the_others_are_shown(cli: Cli, journals: Path) -> None:
    (journals / "cpu-1").unlink()
    run = cli("logs", "@slurmd")
    assert run.code == 3
    assert len(run.out.splitlines()) == 2
    assert "no journal on cpu-1" in run.err
    assert run.err.endswith("cpu-1: exited with 3\n")


def test_following_nodes_of_which_none_answers_ends(cli: Cli, journals: Path) -> None:
    for node in ("cpu-0", "cpu-1"):
        (journals / node).unlink()
    run = cli("logs", "-f", "@slurmd")
    assert (run.code, run.out) == (3, "")
    assert run.err.count("no journal on") == 2


# `labctl logs -f` whose commands are no children of its own that a signal to it would reach.
FOLLOWS = """
import sys
sys.path.insert(0, {folder!r})
from fake_lab import FakeLab
from labctl.cli import main, state
state.known_type = FakeLab
main(["logs", "-f", "-n", "1", "@slurmd"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_follow_goes_on_until_it_ends_and_leaves_nothing_behind(
    journals: Path, number: signal.Signals
) -> None:
    program = FOLLOWS.format(folder=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        before = sorted(process.stdout.readline()[6:] for _ in range(2))
        assert before == [f" Jan 31 12:00:1{n + 1}.000 init: cpu-{n} runs\n" for n in (0, 1)]
        add(journals / "cpu-1", "cpu-1 stops", NOON + 30)
        assert process.stdout.readline() == "cpu-1  Jan 31 12:00:30.000 init: cpu-1 stops\n"
        pids = [(journals / f"cpu-{n}.pid").read_text().strip() for n in (0, 1)]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode == (0 if number is signal.SIGINT else -number)
    await_that(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])


def await_that(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def on_a_terminal(program: str, **environment: str) -> str:
    reading, writing = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", **environment}
    subprocess.run([sys.executable, "-c", program], stdout=writing, env=env, check=True, timeout=30)
    said = os.read(reading, 4096).decode()
    os.close(writing)
    os.close(reading)
    return said


@pytest.mark.usefixtures("journals")
def test_nodes_have_colours_on_a_terminal_but_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    program = FOLLOWS.replace('"-f", ', "").format(folder=str(Path(__file__).parent))
    assert on_a_terminal(program).startswith("\x1b[36mcpu-0\x1b[0m  Jan 31")
    assert on_a_terminal(program, NO_COLOR="1").startswith("cpu-0  Jan 31")


@pytest.mark.parametrize("words", [[], ["-f"]])
def test_a_node_that_cannot_be_reached_keeps_nobody_from_the_logs_of_the_others(
    cli: Cli, lab: FakeLab, journals: Path, words: list[str]
) -> None:
    lab.away = ("cpu-0", "cpu-1", "slurmctld-0") if words else ("cpu-1",)
    run = cli("logs", *words)
    assert run.code == 255
    assert "labctl start --nodes cpu-1" in run.err
    assert ("slurmctld-0 starts" in run.out) == (not words)
    assert (journals / "calls").exists() == (not words)
