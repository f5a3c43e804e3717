"""Other programs are run so that nothing of what they say is lost and nothing of them is left behind."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from labctl import process
from labctl.process import ProcessError, run_logged
from labctl.steps import processes


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


def gone(pid: int, within: float = 5) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end and processes.find(pid):
        time.sleep(0.02)
    return processes.find(pid) is None


def test_every_line_is_in_the_log_and_handed_on(log: Path) -> None:
    log.write_text("before\n")
    lines: list[str] = []
    run_logged(["sh", "-c", "echo out; echo err >&2; printf last"], log=log, on_line=lines.append)
    assert lines == ["out", "err", "last"]
    assert log.read_text() == "before\n$ sh -c echo out; echo err >&2; printf last\nout\nerr\nlast"


def test_what_is_no_text_breaks_nothing(log: Path) -> None:
    lines: list[str] = []
    run_logged(["printf", r"a\377b\n"], log=log, on_line=lines.append)
    assert lines == ["a\N{REPLACEMENT CHARACTER}b"]


def test_variables_are_added_to_our_own(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "here")
    lines: list[str] = []
    run_logged(
        ["sh", "-c", "echo $OURS $GIVEN; pwd"],
        log=log, on_line=lines.append, env={"GIVEN": "too"}, cwd=tmp_path,
    )  # fmt: skip
    assert lines == ["here too", str(tmp_path)]


def test_nobody_is_waited_for_at_a_prompt(log: Path) -> None:
    lines: list[str] = []
    ours = os.dup(0)
    answer, question = os.pipe()
    os.write(question, b"somebody\n")
    os.dup2(answer, 0)
    try:
        run_logged(["sh", "-c", "read answer || echo nobody"], log=log, on_line=lines.append)
    finally:
        os.dup2(ours, 0)
        for number in (ours, answer, question):
            os.close(number)
    assert lines == ["nobody"]


def test_a_failure_has_the_code_the_last_words_and_where_the_rest_is(log: Path) -> None:
    with pytest.raises(ProcessError, match="sh failed with exit code 3") as failed:
        run_logged(["sh", "-c", "seq 20; exit 3"], log=log)
    assert failed.value.code == 3
    assert failed.value.tail == tuple(str(number) for number in range(9, 21))
    assert failed.value.why.splitlines() == list(failed.value.tail)
    assert str(log) in failed.value.hint


def test_a_program_that_is_not_there_is_named(log: Path) -> None:
    with pytest.raises(ProcessError, match="no-such-program could not be started"):
        run_logged(["no-such-program"], log=log)


FAMILY = """
trap '' {ignored}
(trap '' {ignored_by_child}; echo child $BASHPID; while :; do sleep 0.1; done) &
echo parent $$; wait
"""


@pytest.mark.parametrize(
    ("ignored", "ignored_by_child"),
    [("USR1", "USR1"), ("USR1", "TERM"), ("TERM", "TERM")],
    ids=["both end when asked", "the child does not listen", "neither listens"],
)
def test_an_interrupt_ends_the_program_and_all_its_children(
    log: Path, ignored: str, ignored_by_child: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = process.end
    monkeypatch.setattr(process, "end", lambda running: real(running, patience=0.3))
    pids: dict[str, int] = {}

    def interrupt(line: str) -> None:
        who, pid = line.split()
        pids[who] = int(pid)
        if len(pids) == 2:
            raise KeyboardInterrupt

    script = FAMILY.format(ignored=ignored, ignored_by_child=ignored_by_child)
    with pytest.raises(KeyboardInterrupt):
        run_logged(["bash", "-c", script], log=log, on_line=interrupt)
    assert gone(pids["parent"])
    assert gone(pids["child"])


def test_a_child_that_outlives_the_program_may_tidy_up(log: Path, tmp_path: Path) -> None:
    child = f"(trap 'touch {tmp_path}/tidy; exit' TERM; echo ready; while :; do sleep 0.2; done) & wait"
    enough = threading.Event()
    run_logged(["bash", "-c", child], log=log, on_line=lambda _: enough.set(), enough=enough)
    assert (tmp_path / "tidy").exists()


def test_the_interrupt_of_the_terminal_does_not_reach_the_program_before_us(log: Path) -> None:
    lines: list[str] = []
    run_logged(["bash", "-c", 'test "$(ps -o sid= -p $$)" -eq $$ && echo own'], log=log, on_line=lines.append)
    assert lines == ["own"]  # a session of its own


def test_enough_ends_a_program_and_that_is_no_error(log: Path) -> None:
    enough = threading.Event()
    started = time.monotonic()
    run_logged(
        ["bash", "-c", "echo ready; sleep 600 & sleep 600"],
        log=log,
        on_line=lambda _: enough.set(),
        enough=enough,
    )
    assert time.monotonic() - started < 10
    assert "ready" in log.read_text()


def test_what_fails_before_it_was_enough_is_an_error(log: Path) -> None:
    with pytest.raises(ProcessError):
        run_logged(["false"], log=log, enough=threading.Event())


def test_an_end_is_asked_for_before_it_is_forced(log: Path) -> None:
    enough = threading.Event()
    run_logged(
        ["bash", "-c", "trap 'echo tidied up; exit' TERM; echo ready; while :; do sleep 0.05; done"],
        log=log, on_line=lambda _: enough.set(), enough=enough,
    )  # fmt: skip
    assert log.read_text().endswith("tidied up\n")
