"""The report of a verify run as one HTML page, without network and scripts, for light and dark screens of any width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from labctl.definition import hostlist
from labctl.definition.models import Node
from labctl.render.graph.svg import svg
from labctl.render.graph.topology import State, Topology, roles
from labctl.render.templates import render

Outcome = Literal["passed", "failed", "skipped"]
CLUSTER = "cluster"  # what tests that are about no single node stand under
_SLOWEST = 10  # tasks that are listed


@dataclass(frozen=True)
class Result:
    """How one test ended.

    Attributes:
        topic: what it is about, such as nfs.
        promise: what it tests, in words.
        node: which node it is about; nothing for the cluster as a whole.
        outcome: passed, failed or skipped.
        message: why it failed or was skipped.
    """

    topic: str
    promise: str
    node: str
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True)
class Step:
    """A step of `up`, and the seconds that it took."""

    name: str
    seconds: float
    failed: bool = False


@dataclass(frozen=True)
class About:
    """What a report tells beside the results.

    Attributes:
        topology: the lab; its states are those of its tests.
        steps: of the `up` that the run is part of, or of the last one.
        part_of_up: which of the two.
        tasks: seconds by Ansible task, of the same `up`.
        versions: of what took part, by its name.
    """

    topology: Topology
    steps: tuple[Step, ...] = ()
    part_of_up: bool = False
    tasks: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """How the suite went.

    Attributes:
        tests: in the order in which they ran.
        seconds: that it took.
        when: it began, as a reader takes it.
        scope: which tests were to run, in words.
        proof: whether these tests are enough to call the lab verified.
        cut: why it did not come to its end; nothing if it did.
    """

    tests: tuple[Result, ...]
    seconds: float
    when: str
    scope: str
    proof: bool = True
    cut: str = ""

    @property
    def good(self) -> bool:
        """Whether it came to its end and all passed."""
        return bool(self.counts["passed"]) and not (self.counts["failed"] or self.cut)

    @property
    def verdict(self) -> str:
        """How it went, in two words or three."""
        if self.good:
            return "verified" if self.proof else "passed"
        failed, run = self.counts["failed"], self.counts["failed"] + self.counts["passed"]
        return f"{failed} of {run} tests failed" if failed else "not verified"

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many tests ended how."""
        return count(self.tests)


@dataclass(frozen=True)
class Cause:
    """Why tests failed: one message, and all that failed with it."""

    message: str
    tests: tuple[Result, ...]

    @property
    def title(self) -> str:
        """The first of them in words, and how many there are beside it."""
        first, others = self.tests[0], len(self.tests) - 1
        return f"{first.topic}: {first.promise}" + (f" (and {others} more)" if others else "")

    @property
    def where(self) -> str:
        """The nodes that they are about."""
        nodes = sorted({test.node for test in self.tests if test.node})
        return hostlist.fold(nodes) if nodes else CLUSTER


@dataclass(frozen=True)
class Row:
    """The tests of a node or of the cluster, by their topics in the order of the columns."""

    name: str
    what: str
    cells: tuple[tuple[Result, ...], ...]

    @property
    def tests(self) -> tuple[Result, ...]:
        """All of them."""
        return tuple(test for cell in self.cells for test in cell)


@dataclass(frozen=True)
class Bar:
    """A step in the waterfall: where it begins and how long it is, in hundredths of the whole."""

    step: Step
    left: float
    width: float


def html(run: Run, about: About) -> str:
    """The page."""
    from markupsafe import Markup  # noqa: PLC0415 - of use only to who writes a report

    steps = about.steps
    if about.part_of_up:
        steps = (*steps, Step("verify", run.seconds, failed=not run.good))
    topics = tuple(dict.fromkeys(test.topic for test in run.tests))
    return render(
        "labctl/render/report/report.html.j2",
        run=run,
        about=about,
        picture=Markup(svg(_with_results(about.topology, run))),  # noqa: S704 - escaped when it was made
        causes=_causes(run.tests),
        skips=_skips(run.tests),
        topics=topics,
        rows=_rows(about.topology, run.tests, topics),
        bars=_bars(steps),
        total=sum(step.seconds for step in steps),
        slowest=sorted(about.tasks.items(), key=lambda task: -task[1])[:_SLOWEST],
        count=count,
    )


def count(tests: Sequence[Result]) -> dict[Outcome, int]:
    """How many of these tests ended how."""
    found: dict[Outcome, int] = {"passed": 0, "failed": 0, "skipped": 0}
    for test in tests:
        found[test.outcome] += 1
    return found


def _with_results(topology: Topology, run: Run) -> Topology:
    """The lab with what the tests found as its nodes' states."""
    states = {}
    for node in topology.nodes:
        counts = count([test for test in run.tests if test.node == node.name])
        if counts["failed"]:
            states[node.name] = State(f"{counts['failed']} failed", "bad")
        elif counts["passed"]:
            states[node.name] = State(f"{counts['passed']} passed", "good")
        else:
            states[node.name] = State("not tested", "off")
    return replace(topology, states=states)


def _causes(tests: Sequence[Result]) -> list[Cause]:
    """One cause once: a node that does not answer fails all of its tests alike."""
    found: dict[str, list[Result]] = {}
    for test in tests:
        if test.outcome == "failed":
            found.setdefault(test.message, []).append(test)
    return [Cause(message, tuple(alike)) for message, alike in found.items()]


def _skips(tests: Sequence[Result]) -> Counter[str]:
    """How many tests were skipped for each reason."""
    return Counter(test.message for test in tests if test.outcome == "skipped")


def _rows(topology: Topology, tests: Sequence[Result], topics: Sequence[str]) -> list[Row]:
    def cells(node: str) -> tuple[tuple[Result, ...], ...]:
        return tuple(
            tuple(test for test in tests if test.node == node and test.topic == topic) for topic in topics
        )

    rows = [Row(node.name, _what(node), cells(node.name)) for node in topology.nodes]
    return [row for row in [*rows, Row(CLUSTER, "as a whole", cells(""))] if row.tests]


def _what(node: Node) -> str:
    return ", ".join([*roles(node), *node.partitions])


def _bars(steps: Sequence[Step]) -> list[Bar]:
    total = sum(step.seconds for step in steps) or 1.0
    bars, before = [], 0.0
    for step in steps:
        bars.append(Bar(step, 100 * before / total, 100 * step.seconds / total))
        before += step.seconds
    return bars
