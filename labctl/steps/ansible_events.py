"""What ansible-runner's events mean: which node does what, what changed, what failed, how long it took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.console import StepView


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host, or a host that could not be reached."""

    host: str
    task: str
    message: str
    path: str = ""

    @property
    def summary(self) -> str:
        """The first line that says something."""
        return next((line.strip() for line in self.message.splitlines() if line.strip()), "no message")


@dataclass
class HostResult:
    """Counts of one host's tasks, and the seconds they took together."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


@dataclass
class Collector:
    """Takes every event of a run, or of several; draws the nodes on `view` and keeps the sums.

    A failure counts as soon as it is seen, and no longer once its host goes on with another task: then a
    rescue has taken it up. Ansible's own statistics, which come last, know best.
    """

    view: StepView
    clock: Callable[[], float] = time.monotonic
    pid: int | None = None
    hosts: dict[str, HostResult] = field(default_factory=lambda: defaultdict(HostResult))
    failures: dict[str, tuple[Failure, float]] = field(default_factory=dict)
    changed_tasks: list[str] = field(default_factory=list)
    finished: bool = False
    _seconds: dict[str, dict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )

    def begin(self) -> None:
        """Another run begins; the sums go on."""
        self.pid, self.finished = None, False

    def take(self, event: Mapping[str, Any]) -> None:
        """Read one event, of whatever kind."""
        data = event.get("event_data") or {}
        if self.pid is None and event.get("pid"):
            self.pid = int(event["pid"])
        handler = getattr(self, f"_{event.get('event')}", None)
        if handler is not None:
            handler(data, str(event.get("stdout") or ""))

    def first_failure_age(self) -> float | None:
        """Seconds since the first failure that nothing has rescued; None if there is none."""
        if not self.failures:
            return None
        return self.clock() - min(seen for _, seen in self.failures.values())

    def show_failures(self, older_than: float = 0.0) -> None:
        """Draw the failures that have stood for some seconds, which no rescue will take up any more."""
        for failure, seen in self.failures.values():
            if self.clock() - seen >= older_than:
                self.view.node(failure.host, f"{failure.task}: {failure.summary}", "failed")

    def task_seconds(self) -> dict[str, float]:
        """For each task the seconds of the host that took longest, longest task first."""
        longest = {task: max(by_host.values()) for task, by_host in self._seconds.items()}
        return dict(sorted(longest.items(), key=lambda item: -item[1]))

    def show_ends(self) -> None:
        """Draw how each host ended."""
        self.show_failures()
        for name, host in self.hosts.items():
            if name not in self.failures:
                self.view.node(name, f"{host.ok} tasks, {host.changed} changed", "ok")

    def _runner_on_start(self, data: Mapping[str, Any], _: str) -> None:
        rescued = self.failures.pop(data["host"], None)
        if rescued is not None:
            self.hosts[data["host"]].failed -= 1
        self.view.node(data["host"], label(data))

    def _runner_retry(self, data: Mapping[str, Any], _: str) -> None:
        result = data.get("res") or {}
        self.view.node(
            data["host"], f"{label(data)} (try {result.get('attempts')} of {result.get('retries')})"
        )

    def _runner_on_ok(self, data: Mapping[str, Any], stdout: str) -> None:
        host = self._count(data)
        host.ok += 1
        if changed(data.get("res") or {}, stdout):
            host.changed += 1
            self.changed_tasks.append(f"{data['host']}: {label(data)}")
        self.view.node(data["host"], f"{host.ok} tasks done", "waiting")

    def _runner_on_skipped(self, data: Mapping[str, Any], _: str) -> None:
        self._count(data).skipped += 1

    def _runner_on_failed(self, data: Mapping[str, Any], stdout: str) -> None:
        if data.get("ignore_errors"):
            self._runner_on_ok(data, stdout)
            return
        self._count(data).failed += 1
        self._fail(data, message(data.get("res") or {}))

    def _runner_on_unreachable(self, data: Mapping[str, Any], _: str) -> None:
        self._count(data).failed += 1
        self._fail(data, message(data.get("res") or {}) or "does not answer")

    def _playbook_on_stats(self, data: Mapping[str, Any], _: str) -> None:
        self.finished = True
        lost = {*(data.get("failures") or {}), *(data.get("dark") or {})}
        self.failures = {host: failure for host, failure in self.failures.items() if host in lost}

    def _count(self, data: Mapping[str, Any]) -> HostResult:
        seconds = float(data.get("duration") or 0)
        self._seconds[label(data)][data["host"]] += seconds
        host = self.hosts[data["host"]]
        host.seconds += seconds
        return host

    def _fail(self, data: Mapping[str, Any], text: str) -> None:
        failure = Failure(data["host"], label(data), text, str(data.get("task_path") or ""))
        self.failures[failure.host] = (failure, self.clock())
        self.view.node(failure.host, f"{failure.task}: {failure.summary}", "waiting")


def label(data: Mapping[str, Any]) -> str:
    """``role : task``, as Ansible itself writes it."""
    task = str(data.get("task") or "?")
    return f"{data['role']} : {task}" if data.get("role") else task


def changed(result: Mapping[str, Any], stdout: str) -> bool:
    """Whether the task changed something. Of a task with no_log only the line on stdout tells."""
    if "censored" in result and "changed" not in result:
        return any(line.startswith("changed:") for line in stdout.splitlines())
    return bool(result.get("changed"))


def message(result: Mapping[str, Any]) -> str:
    """What a failed task has to say: its message, or those of its failed items, and what it printed."""
    if "censored" in result:
        return "hidden, because the task handles secrets (no_log)"
    items = [item for item in result.get("results") or [] if isinstance(item, dict) and item.get("failed")]
    if items:
        return "\n".join(f"{item.get('item')}: {message(item)}" for item in items)
    parts = [result.get("msg"), result.get("stderr"), result.get("module_stderr"), result.get("stdout")]
    said = [str(part).strip() for part in parts if part]
    return "\n".join(dict.fromkeys(said))
