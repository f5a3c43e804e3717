"""Verify: run the suite against the lab, as pytest in a process of its own, and say how it went."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

from labctl.console import StepView
from labctl.errors import VerifyError
from labctl.render.report.page import Run
from labctl.steps import verify_page
from labctl.steps.verify_page import Page
from labctl.steps.verify_report import DESCRIPTOR, Failure, Report, explained

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
GRACE = 15.0  # seconds that pytest gets to clean up after an interrupt
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
) -> VerifyResult:
    """Run the suite against an inventory.

    The suite puts its questions to all nodes at once by itself. Workers (pytest-xdist) would only cost: each
    takes a second of a host that is busy enough with the machines.

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

    Raises:
        SuiteFailed: tests failed.
        VerifyError: no test was run, the deadline has passed, or the suite could not be run.
    """
    started, limit, report = time.monotonic(), deadline or DEADLINES[level], Report(view)
    began = datetime.now(UTC).astimezone()
    for path in (junit, log, *([page.path] if page else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    command = [*_pytest(suite), *LEVELS[level], *(("-k", expression) if expression else ())]
    command += ["--inventory", str(inventory.absolute()), "--junitxml", str(junit.absolute())]
    command += ["--inventory-cache", str(inventory.absolute().with_name(INVENTORY_CACHE))]
    command += ["--through", through.function] if through else []
    extra = through.environment if through else {}
    with open(log, "w", encoding="utf-8", opener=_private) as output:
        code = _run(command, suite, output, report, limit=limit, environment=extra)
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
            when=began.strftime("%Y-%m-%d %H:%M %Z"),
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


def _pytest(suite: Path) -> list[str]:
    """Call pytest as if the suite were alone: nothing of the folder we are in is read."""
    return [
        *(sys.executable, "-P", "-m", "pytest", str(suite), "-c", str(suite / "pytest.ini")),
        *("--rootdir", str(suite), "--confcutdir", str(suite), "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("-p", "labctl.steps.verify_events", "--color=no", "-v"),
    ]


def _environment(suite: Path, descriptor: int) -> dict[str, str]:
    """The caller's, without what would change how pytest and Ansible work."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "ANSIBLE_"))}
    # The plugin must be found in a checkout, too, that nobody installed.
    package = str(Path(__file__).resolve().parents[2])
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, [package, kept.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "ANSIBLE_CONFIG": str(suite / "ansible.cfg"),  # the user's own is about other clusters
        DESCRIPTOR: str(descriptor),
    }


def _run(
    command: Sequence[str],
    suite: Path,
    output: TextIO,
    report: Report,
    *,
    limit: float,
    environment: Mapping[str, str],
) -> int | None:
    """Run pytest and follow its events; its exit code, or nothing if it had to be ended."""
    reading, writing = os.pipe()
    late = threading.Event()
    with os.fdopen(reading, encoding="utf-8") as lines:
        try:
            process = subprocess.Popen(
                command,
                env={**_environment(suite, writing), **environment},
                pass_fds=(writing,),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us to hand on
            )
        finally:
            os.close(writing)
        timer = threading.Timer(limit, _give_up, (process, late))
        timer.start()
        try:
            for line in lines:
                report.take(json.loads(line))
            code = process.wait()
        except BaseException:
            _end(process)
            raise
        finally:
            timer.cancel()
            _signal(process, signal.SIGKILL)  # an ssh that nobody waits for any more
    return None if late.is_set() else code


def _give_up(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let pytest clean up on the nodes; then end it and what it started."""
    _signal(process, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _tail(log: Path, lines: int = 10) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:])
