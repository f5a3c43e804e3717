"""A pytest plugin that tells the step `verify` how the suite gets on: one JSON line an event.

It is loaded by name into the suite's process (``-p labctl.steps.verify_events``), so that the suite itself
knows nothing of labctl.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from labctl.steps.verify_report import DESCRIPTOR, GO


class _Events:
    """Writes events until the other side no longer listens, and waits for its word before any node is asked."""

    def __init__(self, descriptor: int, go: int) -> None:
        self._descriptor = descriptor
        self._go = go
        self._nodes: dict[str, str] = {}

    def _say(self, **event: Any) -> None:
        try:
            os.write(self._descriptor, (json.dumps(event) + "\n").encode())
        except OSError:
            return

    @pytest.hookimpl(tryfirst=True)  # the suite's own is where it asks
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """How many tests there will be, and which node each is about; then wait for the machines to be there."""
        for item in session.items:
            parameters = getattr(getattr(item, "callspec", None), "params", {})
            node = parameters.get("node", "-")
            self._nodes[item.nodeid] = "" if node == "-" else str(node)
        nodes = [node for node in dict.fromkeys(self._nodes.values()) if node]
        self._say(event="collected", count=len(session.items), nodes=nodes)
        if not os.read(self._go, 1):
            pytest.exit("whoever wanted to know has gone", returncode=pytest.ExitCode.INTERRUPTED)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test starts."""
        self._say(event="started", test=nodeid, node=self._nodes.get(nodeid, ""))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has ended; a test that passed with a fixture that failed afterwards is told twice."""
        if report.when != "call" and report.passed:
            return
        self._say(
            event="ended",
            test=report.nodeid,
            node=self._nodes.get(report.nodeid, ""),
            outcome=report.outcome,
            message=message(report),
        )


def message(report: pytest.TestReport) -> str:
    """Why a test failed or was skipped, in the words of the test."""
    said = report.longrepr
    if isinstance(said, tuple):  # a skip: file, line, reason
        return str(said[2]).removeprefix("Skipped: ")
    crash = getattr(said, "reprcrash", None)
    text = str(crash.message if crash is not None else said or "")
    kind, colon, rest = text.partition(": ")
    # The kind of an exception says nothing to who reads it; "AssertionError: cpu-0: ..." does.
    return (
        rest
        if colon and kind.rpartition(".")[2].isidentifier() and kind[:1].isalpha() and "Error" in kind
        else text
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start to write if there is somebody to write to."""
    # A shell that starts labctl in the background has it ignore SIGINT, and children inherit that; but an interrupt is
    # how labctl asks this process to clean up on the nodes and go.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor, go = os.environ.get(DESCRIPTOR, ""), os.environ.get(GO, "")
    if descriptor.isdigit() and go.isdigit():
        config.pluginmanager.register(_Events(int(descriptor), int(go)), "labctl-events")
