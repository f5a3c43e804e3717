"""An `up` that nobody watches, as in CI: it ends in time, leaves logs if it fails, and keeps the lab in a file."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labctl import keeping
from labctl.errors import DeadlineError, LabError, SnapshotError
from labctl.reach.collecting import collect

if TYPE_CHECKING:
    from types import FrameType

    from labctl.console import Reporter
    from labctl.lab import Lab


@contextmanager
def unattended(
    lab: Lab, reporter: Reporter, *, timeout: float = 0, logs: Path | None = None, cache: Path | None = None
) -> Iterator[None]:
    """Around an `up` of the lab.

    Args:
        lab: is brought up inside.
        reporter: is told of what is done before and after.
        timeout: seconds until it is interrupted; 0 for never.
        logs: where the lab's logs go if it fails.
        cache: the file that has the lab's snapshot between runs.

    Raises:
        DeadlineError: it took too long.
    """
    with ExitStack() as stack:
        if logs:
            stack.enter_context(logs_kept(lab, logs, reporter))
        if timeout:
            stack.enter_context(deadline(timeout, lab.name))
        if cache:
            stack.enter_context(cached(lab, cache, reporter))
        yield


@contextmanager
def deadline(seconds: float, lab: str) -> Iterator[None]:
    """Interrupt what is inside after so many seconds, as Ctrl-C would.

    Raises:
        DeadlineError: that happened.
    """
    late = False

    def alarm(_: int, frame: FrameType | None) -> None:
        nonlocal late
        late = True
        # Some steps have their own way to end. A script's background ignores SIGINT, and a deadline holds there, too.
        handler = signal.getsignal(signal.SIGINT)
        (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except KeyboardInterrupt:
        if not late:
            raise
        raise DeadlineError(
            f"{lab} was not up within {seconds:g} s",
            hint=f"more time, with --timeout; `labctl up {lab}` goes on from here",
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def logs_kept(lab: Lab, folder: Path, reporter: Reporter) -> Iterator[None]:
    """If what is inside fails, put all that the lab can tell into an archive in this folder; the error names it."""
    try:
        yield
    except LabError as error:
        if lab.files.definition.is_file():  # else nothing was touched, and there is nothing to tell
            error.hint = f"{error.hint}\n{_collected(lab, folder, reporter)}".strip()
        raise


def _collected(lab: Lab, folder: Path, reporter: Reporter) -> str:
    """Where it is, or why it is not, in words."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        archive = collect(lab, folder / f"labctl-{lab.name}.tar.gz", reporter).archive
    except (LabError, OSError) as problem:
        return f"its logs could not be collected: {problem}"
    return f"all that the lab can tell is in {archive}"


@contextmanager
def cached(lab: Lab, file: Path, reporter: Reporter) -> Iterator[None]:
    """Take the lab's snapshot from a file before what is inside, and write it there afterwards if it is another one."""
    keeper = keeping.Keeper(lab.provider)
    before = keeper.equal(lab.definition, lab.files)
    if before is None and file.is_file():
        try:
            with reporter.step("import"):
                before = keeping.take_in(file)
        except SnapshotError as error:
            reporter.note(f"{error}\nso {file} is of no use here")
    yield
    saved = keeper.equal(lab.definition, lab.files)
    if saved is None or (saved == before and file.is_file()):
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with reporter.step("export") as view:
            keeping.export(saved, file.absolute())
            view.note(f"{file} has the lab, and its secrets")
    except (SnapshotError, OSError) as error:
        reporter.note(f"{error}\nso the next run builds {lab.name}; it is up all the same")
