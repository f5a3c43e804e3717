"""What the suite's process tells, made into what the user sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labctl.console import StepView

CLUSTER = "cluster"  # what tests that are about no single node are shown under


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
    passed: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    skips: dict[str, str] = field(default_factory=dict)
    total: int = 0

    def take(self, event: dict[str, Any]) -> None:
        """Note an event and show it."""
        match event["event"]:
            case "collected":
                self.total = event["count"]
                self.view.note(f"{self.total} tests")
            case "started":
                self.current = event["test"]
                if not self._failed(event["node"]):
                    self.view.node(event["node"] or CLUSTER, words(event["test"]), "running")
            case "ended":
                self._ended(event["test"], event["node"], event["outcome"], event["message"])

    def summary(self) -> str:
        """The numbers in words."""
        parts = [(self.count, "passed"), (len(self.failures), "failed"), (len(self.skips), "skipped")]
        return ", ".join(f"{number} {word}" for number, word in parts if number) or "no test run"

    @property
    def count(self) -> int:
        """Tests that passed."""
        return sum(self.passed.values())

    def _ended(self, test: str, node: str, outcome: str, message: str) -> None:
        name = node or CLUSTER
        if outcome == "failed":
            self.failures.append(Failure(test=test, node=node, message=message))
            self.view.node(name, f"{words(test)}: {message.partition(chr(10))[0]}", "failed")
        elif outcome == "skipped":
            self.skips[test] = message
        else:
            self.passed[node] = self.passed.get(node, 0) + 1
        if not self._failed(node):
            number = self.passed.get(node, 0)
            self.view.node(name, f"{number} passed", "ok" if number else "skipped")
        self.view.note(f"{self.summary()} of {self.total}")

    def _failed(self, node: str) -> bool:
        return any(failure.node == node for failure in self.failures)


def words(test: str) -> str:
    """A test's id as a reader would say it: ``nfs: exports are nfs4 mounts [cpu-0]``."""
    file, _, name = test.partition("::")
    name, bracket, parameters = name.partition("[")
    topic = file.rpartition("/")[2].removeprefix("test_").removesuffix(".py")
    promise = name.removeprefix("test_").replace("_", " ")
    return f"{topic}: {promise} {bracket}{parameters}".rstrip()


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
