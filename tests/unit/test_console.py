"""Steps are drawn as a live tree on a terminal and as plain lines anywhere else."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from labctl import console
from labctl.console import BaseReporter, PlainReporter
from labctl.live import LiveReporter, clock_text


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def plain(clock: FakeClock) -> PlainReporter:
    return PlainReporter(io.StringIO(), clock=clock)


@pytest.fixture
def live(clock: FakeClock) -> LiveReporter:
    terminal = Console(
        file=io.StringIO(), force_terminal=True, width=100, height=40, record=True, highlight=False
    )
    return LiveReporter(terminal, clock=clock)


def lines(reporter: PlainReporter) -> list[str]:
    assert isinstance(reporter.stream, io.StringIO)
    return reporter.stream.getvalue().splitlines()


def drawn(reporter: LiveReporter) -> str:
    """The tree as it is now; on a console of its own, since rich redraws the live one when it likes."""
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, record=True, highlight=False)
    terminal.print(reporter.render())
    return terminal.export_text()


def test_plain_says_each_change_once_with_the_time_since_the_start(
    plain: PlainReporter, clock: FakeClock
) -> None:
    with plain.step("boot") as view:
        clock.now += 12.3
        view.node("cpu-0", "answered on SSH", "ok")
        view.node("cpu-0", "answered on SSH", "ok")
        view.note("1 node")
    assert lines(plain) == [
        "[   0.0s] boot: starts",
        "[  12.3s] boot: cpu-0: answered on SSH",
        "[  12.3s] boot: 1 node",
        "[  12.3s] boot: done in 12.3 s",
    ]


def test_plain_holds_back_the_chatter_of_a_running_node_but_never_a_result(
    plain: PlainReporter, clock: FakeClock
) -> None:
    with plain.step("converge") as view:
        for number in range(30):
            view.node("cpu-0", f"task {number}")
            view.node("cpu-0", f"{number} done", "waiting")
            clock.now += 1
        view.node("cpu-0", "wrote slurm.conf", "changed")
    said = [line.split("cpu-0: ")[1] for line in lines(plain) if "cpu-0" in line]
    assert said == ["task 0", "task 10", "task 20", "changed: wrote slurm.conf"]


def fail(reporter: BaseReporter) -> None:
    with reporter.step("converge", log=Path("logs/converge.log")) as view:
        view.node("cpu-0", "slurmd : all well", "ok")
        view.node("gpu-0", "slurmd : Start slurmd: no such device", "failed")
        raise ValueError("x")


def test_plain_failure_names_the_log(plain: PlainReporter) -> None:
    with pytest.raises(ValueError, match="x"):
        fail(plain)
    assert lines(plain)[2:] == [
        "[   0.0s] converge: gpu-0: failed: slurmd : Start slurmd: no such device",
        "[   0.0s] converge: FAILED after 0.0 s; log: logs/converge.log",
    ]


def test_an_interrupt_is_no_failure_and_passes_through(plain: PlainReporter) -> None:
    with pytest.raises(KeyboardInterrupt), plain.step("boot", log=Path("boot.log")):
        raise KeyboardInterrupt
    assert lines(plain)[-1] == "[   0.0s] boot: interrupted after 0.0 s"


def test_plain_stamps_every_line_of_a_long_note(plain: PlainReporter) -> None:
    plain.note("one\ntwo")
    assert lines(plain) == ["[   0.0s] one", "[   0.0s] two"]


def test_seconds_stand_still_once_the_step_is_over(clock: FakeClock) -> None:
    with console.silent(clock=clock).step("boot") as view:
        clock.now += 5
        assert view.seconds == 5
    clock.now += 100
    assert view.seconds == 5


def test_live_draws_the_step_its_nodes_and_their_times(live: LiveReporter, clock: FakeClock) -> None:
    with live.step("converge") as view:
        view.node("cpu-0", "slurmd : Start slurmd")
        view.node("ldap-0", "12 tasks", "ok")
        clock.now += 65
        view.note("mitogen")
        tree = drawn(live)
    step, cpu, ldap = (line.strip() for line in tree.splitlines())
    assert "converge 1 m 05 s mitogen" in step
    assert cpu.split() == ["·", "cpu-0", "1", "m", "05", "s", "slurmd", ":", "Start", "slurmd"]
    assert ldap.split() == ["✓", "ldap-0", "12", "tasks"]


def test_live_folds_a_finished_step_to_one_line(live: LiveReporter, clock: FakeClock) -> None:
    with live.step("boot") as view:
        view.node("cpu-0", "answered on SSH", "ok")
        view.note("6 nodes")
        clock.now += 8.2
    assert live._live is None
    last = live.console.export_text(clear=True).splitlines()[-1]
    assert last.split() == ["✓", "boot", "8.2", "s", "6", "nodes"]


def test_live_keeps_the_lines_of_the_node_that_failed_and_no_others(live: LiveReporter) -> None:
    with pytest.raises(ValueError, match="x"):
        fail(live)
    kept = live.console.export_text(clear=True)
    assert "✗ converge" in kept
    assert "✗ gpu-0        slurmd : Start slurmd: no such device" in kept
    assert "log: logs/converge.log" in kept
    assert "all well" not in kept.split("✗ converge")[1]


def test_live_keeps_drawing_while_one_of_two_steps_is_running(live: LiveReporter) -> None:
    with live.step("box"):
        with live.step("network"):
            pass
        assert live._live is not None
        assert "box" in drawn(live)
    assert live._live is None


def test_the_drawing_thread_and_the_end_of_a_step_never_wait_for_each_other(live: LiveReporter) -> None:
    def redraw() -> None:
        with live._live._lock if live._live else live.lock:  # what rich holds while it asks for the tree
            live.render()

    with live.step("boot"), live.lock:
        thread = threading.Thread(target=redraw, daemon=True)
        thread.start()
        thread.join(timeout=5)
        assert not thread.is_alive()


def test_nodes_may_report_from_many_threads(plain: PlainReporter) -> None:
    with plain.step("boot") as view:
        threads = [threading.Thread(target=view.node, args=(f"n{i}", "answers", "ok")) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len([line for line in lines(plain) if line.endswith("answers")]) == 20


def test_without_a_terminal_lines_are_plain_and_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with console.reporter().step("boot"):
        pass
    assert capsys.readouterr().err.startswith("[   0.0s] boot: starts\n")
    with console.reporter(quiet=True).step("boot"):
        pass
    assert capsys.readouterr() == ("", "")
    assert type(console.silent()) is BaseReporter


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 m 00 s"), (754, "12 m 34 s")]
)
def test_times_read_at_a_glance(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text
