"""Verify: run the suite against the lab, as pytest in a process of its own, and say how it went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from labctl.console import StepView
from labctl.errors import VerifyError
from labctl.render.report.page import Run
from labctl.steps import verify_page
from labctl.steps.suite import Suite, standing_by
from labctl.steps.verify_page import Page
from labctl.steps.verify_report import Failure, Report, explained

Level = Literal["restored", "quick", "full", "disruptive"]

# What each level adds to pytest's command line. The disruptive tests are a level of their own: with the
# others in the same run one could not tell what the reboot broke.
LEVELS: dict[Level, tuple[str, ...]] = {
    "restored": ("-m", "quick and not job"),
    "quick": ("-m", "quick"),
    "full": ("-m", "not disruptive"),
    "disruptive": ("-m", "disruptive", "--disruptive"),
}
#: The same in words.
SCOPES: dict[Level, str] = {
    "restored": "the quick tests that run no job, of a lab that was brought back",
    "quick": "the quick tests",
    "full": "every test that leaves the lab as it is",
    "disruptive": "the tests that reboot every machine",
}
#: Beside the inventory; has its secrets, mode 0600.
INVENTORY_CACHE = ".inventory.json"
# Seconds until a suite is given up on; each thing it waits for has a shorter deadline of its own.
DEADLINES: dict[Level, float] = {"restored": 120, "quick": 300, "full": 1200, "disruptive": 2400}
SHOWN = 4  # causes of failures that an error names; all failures are in the log
NOTHING_COLLECTED = 5  # pytest's exit code
ENDED = (0, 1, NOTHING_COLLECTED)  # those of a suite that came to its end, whatever it found


@dataclass(frozen=True)
class VerifyResult:
    """How the suite went; `skips` says why for each test that was skipped."""

    passed: int
    failed: int
    skipped: int
    seconds: float
    failures: tuple[Failure, ...]
    skips: dict[str, str]


@dataclass(frozen=True)
class Through:
    """What the suite calls to ask a node, as ``module:function``, and the environment that this needs."""

    function: str
    environment: dict[str, str]


class SuiteFailed(VerifyError):  # noqa: N818 - it is shown, not matched
    """Tests failed; `result` has all of them."""

    def __init__(self, what: str, *, why: str, hint: str, result: VerifyResult) -> None:
        super().__init__(what, why=why, hint=hint)
        self.result = result


@contextmanager
def stand_by(
    inventory: Path,
    *,
    suite: Path,
    junit: Path,
    log: Path,
    expression: str = "",
    level: Level = "full",
    through: Through | None = None,
) -> Iterator[Suite]:
    """Start the suite and have it wait for `verify`; for what each argument means see there.

    The suite puts its questions to all nodes at once by itself. Workers (pytest-xdist) would only cost: each
    takes a second of a host that is busy enough with the machines.
    """
    for path in (junit, log):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    arguments = [*LEVELS[level], *(("-k", expression) if expression else ())]
    arguments += ["--inventory", str(inventory.absolute()), "--junitxml", str(junit.absolute())]
    arguments += ["--inventory-cache", str(inventory.absolute().with_name(INVENTORY_CACHE))]
    arguments += ["--through", through.function] if through else []
    with standing_by(suite, arguments, log=log, environment=through.environment if through else {}) as begun:
        yield begun


def verify(
    inventory: Path,
    *,
    suite: Path,
    view: StepView,
    junit: Path,
    log: Path,
    expression: str = "",
    level: Level = "full",
    deadline: float | None = None,
    through: Through | None = None,
    page: Page | None = None,
    begun: Suite | None = None,
) -> VerifyResult:
    """Run the suite against an inventory.

    Args:
        inventory: an Ansible inventory, file or folder.
        suite: the folder with the tests.
        view: is told what each node is asked and how that ended.
        junit: where pytest writes its JUnit file.
        log: gets everything that pytest says; made anew, mode 0600.
        expression: only tests that match, as for pytest's ``-k``.
        level: which tests: the few quick ones, all that leave the lab as it is, or those that reboot it.
        deadline: seconds after which the suite is ended; by default enough for the level.
        through: how nodes are asked other than by SSH.
        page: a report for people, written however the suite ends.
        begun: the suite, if it stands by with the same arguments.

    Raises:
        SuiteFailed: tests failed.
        VerifyError: no test was run, the deadline has passed, or the suite could not be run.
    """
    started, limit, report = time.monotonic(), deadline or DEADLINES[level], Report(view)
    when = datetime.now(UTC).astimezone()
    if page:
        page.path.parent.mkdir(parents=True, exist_ok=True)
        page.path.unlink(missing_ok=True)
    own = stand_by(
        inventory, suite=suite, junit=junit, log=log, expression=expression, level=level, through=through
    )
    with nullcontext(begun) if begun else own as running:
        code = running.follow(report.take, limit=limit)
    result = VerifyResult(
        passed=report.count,
        failed=len(report.failures),
        skipped=len(report.skips),
        seconds=time.monotonic() - started,
        failures=tuple(report.failures),
        skips=dict(report.skips),
    )
    report.finish()
    late = "" if code is not None else f"the verification was ended after {limit:.0f} s"
    at = f"it was at {report.current or 'its start'}"
    if page:
        run = Run(
            tests=verify_page.results(report.ended),
            seconds=result.seconds,
            when=when.strftime("%Y-%m-%d %H:%M %Z"),
            scope=_scope(level, expression),
            proof=level == "full" and not expression,
            cut=f"{late}: {at}" if late else "" if code in ENDED else "the suite could not be run",
        )
        verify_page.write(page, run, junit)
    if late:
        raise VerifyError(late, why=at, hint=_where(log, page))
    _judge(code, result, expression=expression, log=log, page=page)
    return result


def _scope(level: Level, expression: str) -> str:
    return f"{SCOPES[level]}, and of these those that match {expression!r}" if expression else SCOPES[level]


def _where(log: Path, page: Page | None) -> str:
    return f"the report is {page.path}, the whole output {log}" if page else f"the whole output is in {log}"


def _judge(code: int | None, result: VerifyResult, *, expression: str, log: Path, page: Page | None) -> None:
    """Raise unless all is well."""
    whole = _where(log, page)
    if result.failures:
        name = result.failures[0].test.rpartition("::")[2].partition("[")[0]
        raise SuiteFailed(
            f"{result.failed} of {result.failed + result.passed} tests failed",
            why=explained(list(result.failures), SHOWN),
            hint=f"{whole}; run one again with: labctl verify -k {name}",
            result=result,
        )
    if code == NOTHING_COLLECTED or (code == 0 and not result.passed):
        reasons = "\n".join(sorted(set(result.skips.values())))
        why = reasons or (f"no test matches {expression!r}" if expression else "the suite has no tests")
        raise VerifyError("no test was run, so nothing is verified", why=why, hint=whole)
    if code != 0:
        raise VerifyError("the suite could not be run", why=_tail(log), hint=whole)


def _tail(log: Path, lines: int = 10) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:])
