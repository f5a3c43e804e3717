"""What the user sees while labctl works: steps, their nodes and the time they take.

A step is entered as a context manager; its view is told what each node does. On a terminal that becomes a
live tree (`labctl.live`), anywhere else plain lines. Everything goes to stderr: stdout belongs to facts.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TextIO

Clock = Callable[[], float]

# A node that only says what it is doing speaks at most this often (seconds) in plain lines, or a CI log of
# six nodes with eighty tasks each would bury what matters.
PLAIN_RUNNING_INTERVAL = 10.0


class StepView(Protocol):
    """A running step, as the code that does its work sees it. Safe to call from any thread."""

    @property
    def seconds(self) -> float:
        """How long the step has taken so far; final once it is left."""

    def node(self, node: str, text: str, state: str = "running") -> None:
        """Say what a node does.

        Args:
            node: its name.
            text: what it does or did.
            state: running, ok, changed, failed or skipped; or waiting, between two pieces of work.
        """

    def note(self, text: str) -> None:
        """Say something about the step as a whole; the last note stays with the finished step."""


class Reporter(Protocol):
    """Where steps report to."""

    def step(self, name: str, *, log: Path | None = None) -> AbstractContextManager[StepView]:
        """Enter a step. An exception that leaves it marks it as failed and names `log`."""

    def note(self, text: str) -> None:
        """Say something that belongs to no step."""


@dataclass
class NodeLine:
    """The latest word from one node, and when its state or text last changed (by the reporter's clock)."""

    text: str
    state: str
    since: float


@dataclass
class Step:
    """A step and all that is known of it; the one implementation of `StepView`."""

    name: str
    log: Path | None
    reporter: BaseReporter
    started: float
    ended: float | None = None
    outcome: str = "running"
    nodes: dict[str, NodeLine] = field(default_factory=dict)
    last_note: str = ""

    @property
    def seconds(self) -> float:
        """Seconds since the step was entered, or the time it took."""
        return (self.reporter.clock() if self.ended is None else self.ended) - self.started

    def node(self, node: str, text: str, state: str = "running") -> None:
        """See `StepView.node`."""
        with self.reporter.lock:
            known = self.nodes.get(node)
            if known is not None and (known.text, known.state) == (text, state):
                return
            self.nodes[node] = NodeLine(text, state, self.reporter.clock())
            self.reporter.on_node(self, node)

    def note(self, text: str) -> None:
        """See `StepView.note`."""
        with self.reporter.lock:
            self.last_note = text
            self.reporter.on_note(self)


class BaseReporter:
    """Keeps the books of all steps; shows nothing. Subclasses draw."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.born = clock()
        self.lock = threading.RLock()

    @contextmanager
    def step(self, name: str, *, log: Path | None = None) -> Iterator[Step]:
        """See `Reporter.step`."""
        step = Step(name, log, self, started=self.clock())
        with self.lock:
            self.on_begin(step)
        try:
            yield step
        except BaseException as error:
            step.outcome = "failed" if isinstance(error, Exception) else "interrupted"
            raise
        else:
            step.outcome = "ok"
        finally:
            step.ended = self.clock()
            with self.lock:
                self.on_end(step)

    def note(self, text: str) -> None:
        """See `Reporter.note`."""

    def on_begin(self, step: Step) -> None:
        """A step was entered."""

    def on_node(self, step: Step, node: str) -> None:
        """A node of a step said something new."""

    def on_note(self, step: Step) -> None:
        """A step said something new about itself."""

    def on_end(self, step: Step) -> None:
        """A step was left; its outcome is known."""


class PlainReporter(BaseReporter):
    """One line for every change, each with the seconds since the command began."""

    def __init__(self, stream: TextIO | None = None, *, clock: Clock = time.monotonic) -> None:
        super().__init__(clock=clock)
        self._given = stream
        self._spoke: dict[tuple[int, str], float] = {}

    def note(self, text: str) -> None:
        """See `Reporter.note`."""
        with self.lock:
            self._line(text)

    def on_begin(self, step: Step) -> None:
        """Say that the step starts."""
        self._line(f"{step.name}: starts")

    def on_node(self, step: Step, node: str) -> None:
        """Say what the node did, or is doing if it has not spoken for a while."""
        line, key = step.nodes[node], (id(step), node)
        if line.state == "waiting":
            return
        silence = line.since - self._spoke.get(key, float("-inf"))
        if line.state == "running" and silence < PLAIN_RUNNING_INTERVAL:
            return
        self._spoke[key] = line.since
        label = "" if line.state in {"running", "ok"} else f"{line.state}: "
        self._line(f"{step.name}: {node}: {label}{line.text}")

    def on_note(self, step: Step) -> None:
        """Say it."""
        self._line(f"{step.name}: {step.last_note}")

    def on_end(self, step: Step) -> None:
        """Say how the step ended and, if badly, where to read on."""
        how = {"ok": "done in", "failed": "FAILED after"}.get(step.outcome, "interrupted after")
        log = f"; log: {step.log}" if step.log is not None and step.outcome == "failed" else ""
        self._line(f"{step.name}: {how} {step.seconds:.1f} s{log}")

    @property
    def stream(self) -> TextIO:
        """Where lines go; what stderr is may change while we work, as it does around tests."""
        return self._given if self._given is not None else sys.stderr

    def _line(self, text: str) -> None:
        stamp = f"[{self.clock() - self.born:6.1f}s] "
        self.stream.write("".join(f"{stamp}{line}\n" for line in text.splitlines() or [""]))
        self.stream.flush()


def silent(*, clock: Clock = time.monotonic) -> BaseReporter:
    """A reporter that keeps time and shows nothing: for `--quiet` and for tests."""
    return BaseReporter(clock=clock)


def plain() -> None:
    """From now on no colours and nothing that moves, from us and from the programs that we start."""
    os.environ.update(TERM="dumb", NO_COLOR="1")


def reporter(*, quiet: bool = False) -> Reporter:
    """The reporter that fits where stderr goes: a live tree on a terminal, plain lines elsewhere."""
    if quiet:
        return silent()
    able = os.environ.get("TERM", "dumb") != "dumb" and sys.stderr.encoding.lower().startswith("utf")
    if sys.stderr.isatty() and able:
        from labctl.live import LiveReporter  # noqa: PLC0415 - rich is slow to import and not needed elsewhere

        return LiveReporter()
    return PlainReporter()
