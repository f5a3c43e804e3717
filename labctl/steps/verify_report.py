"""What the suite's process tells, made into what the user sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from labctl.console import StepView

CLUSTER = "cluster"  # what tests that are about no single node are shown under

# What a user waits for at the first test of these files; all else waits for the nodes' answers.
PHASES = {"jobs": "jobs run", "gpus": "jobs run", "reboot": "every node is rebooted"}

DESCRIPTOR = "LABCTL_VERIFY_EVENTS"  # the environment variable with the file descriptor that events go to
GO = "LABCTL_VERIFY_GO"  # the same for the one that says, in a line, that nodes can be asked


@dataclass(frozen=True)
class Ended:
    """A test that has ended: pytest's id of it, the node it is about (or nothing), how, and why if it did not pass."""

    test: str
    node: str
    outcome: Literal["passed", "failed", "skipped"]
    message: str


@dataclass(frozen=True)
class Failure:
    """A test that failed: pytest's id of it, the node it is about (or nothing), and why."""

    test: str
    node: str
    message: str


@dataclass
class Report:
    """How far the suite is; told event by event what `labctl.steps.verify_events` writes."""

    view: StepView
    current: str = ""
    phase: str = ""
    passed: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    skips: dict[str, str] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        """Note an event and show it."""
        match event["event"]:
            case "collected":
                self.passed = dict.fromkeys(event["nodes"], 0)
                self._enter(f"asking {len(event['nodes'])} nodes for {event['count']} tests")
            case "started":
                self.current = event["test"]
                self._enter(PHASES.get(topic(event["test"]), self.phase))
            case "ended":
                one = Ended(event["test"], event["node"], event["outcome"], event["message"])
                self.ended.append(one)
                self._count(one)

    def finish(self) -> None:
        """Say how it ended for each node and as a whole."""
        for node in self.passed:
            failures = self._failures(node)
            tests = f"{self.passed[node]} passed"
            if len(failures) > 1:
                tests += f", {len(failures)} failed, first of all {_line(failures[0])}"
                self.view.node(node or CLUSTER, tests, "failed")
            elif not failures:
                self.view.node(node or CLUSTER, tests, "ok" if self.passed[node] else "skipped")
        self.view.note(self.summary())

    def summary(self) -> str:
        """The numbers in words."""
        parts = [(self.count, "passed"), (len(self.failures), "failed"), (len(self.skips), "skipped")]
        return ", ".join(f"{number} {word}" for number, word in parts if number) or "no test run"

    @property
    def count(self) -> int:
        """Tests that passed."""
        return sum(self.passed.values())

    def _enter(self, phase: str) -> None:
        if phase != self.phase:
            self.phase = phase
            self.view.note(phase)

    def _count(self, one: Ended) -> None:
        node = one.node
        if one.outcome == "skipped":
            self.skips[one.test] = one.message
            return
        self.passed.setdefault(node, 0)
        if one.outcome == "failed":
            self.failures.append(Failure(test=one.test, node=node, message=one.message))
            if len(self._failures(node)) == 1:
                self.view.node(node or CLUSTER, _line(self.failures[-1]), "failed")
            return
        self.passed[node] += 1
        if not self._failures(node):
            # A state that only a live tree shows: a line a test would bury what matters.
            self.view.node(node or CLUSTER, f"{self.passed[node]} passed", "waiting")

    def _failures(self, node: str) -> list[Failure]:
        return [failure for failure in self.failures if failure.node == node]


def _line(failure: Failure) -> str:
    return f"{words(failure.test)}: {failure.message.partition(chr(10))[0]}"


def topic(test: str) -> str:
    """What a test is about: the name of its file, ``nfs`` of ``test_nfs.py::test_...``."""
    return test.partition("::")[0].rpartition("/")[2].removeprefix("test_").removesuffix(".py")


def promise(test: str, node: str = "") -> str:
    """What a test tests: ``exports are nfs4 mounts [cpu-0-/home]``.

    Args:
        test: its id.
        node: the node that it is about, if the reader knows: ``exports are nfs4 mounts [/home]``.
    """
    name, _, parameters = test.partition("::")[2].removesuffix("]").partition("[")
    rest = parameters.removeprefix(node).removesuffix(node).strip("-") if node else parameters
    return " ".join([*name.removeprefix("test_").split("_"), *([f"[{rest}]"] if rest else [])])


def words(test: str) -> str:
    """A test's id as a reader would say it: ``nfs: exports are nfs4 mounts [cpu-0]``."""
    return f"{topic(test)}: {promise(test)}"


def explained(failures: list[Failure], most: int) -> str:
    """The first failures, one cause once: a node that does not answer fails all of its tests alike."""
    causes: dict[str, list[Failure]] = {}
    for failure in failures:
        causes.setdefault(failure.message, []).append(failure)
    lines = []
    for message, alike in list(causes.items())[:most]:
        others = f" (and {len(alike) - 1} more)" if len(alike) > 1 else ""
        lines.append(f"{words(alike[0].test)}{others}\n  {message.replace(chr(10), chr(10) + '  ')}")
    if len(causes) > most:
        lines.append(f"... and {len(causes) - most} other causes")
    return "\n".join(lines)
