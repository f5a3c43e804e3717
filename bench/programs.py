"""Runs other programs, each with a deadline, so that nothing of them is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from labctl.errors import LabError
from labctl.process import end, search_path

_TAIL = 15  # lines of a log that are shown with an error


class BenchError(LabError):
    """Something could not be measured."""


def run(
    argv: Sequence[str],
    *,
    deadline: float,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end; all that it says goes to the log.

    Args:
        argv: the program and its arguments.
        deadline: seconds until it is ended.
        log: is appended to.
        cwd: where it runs.
        env: all of its environment; ours if None.

    Raises:
        BenchError: it failed, or took too long.
    """
    with log.open("a", encoding="utf-8") as stream:
        print(f"$ {' '.join(argv)}", file=stream, flush=True)
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**(os.environ if env is None else env), "PATH": _path(env)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            umask=0o022,  # QEMU's own user reads some of what is written
        )
        try:
            code = process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            end(process)
            raise BenchError(
                f"{_short(argv)} was not done after {deadline:.0f} s", why=_last(log), hint=f"the log: {log}"
            ) from None
        except BaseException:
            end(process)
            raise
    if code:
        raise BenchError(f"{_short(argv)} ended with {code}", why=_last(log), hint=f"the log: {log}")


def output(
    argv: Sequence[str], *, deadline: float, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """What a program prints.

    Raises:
        BenchError: it failed, or took too long.
    """
    try:
        asked = subprocess.run(
            argv, cwd=cwd, env=env, capture_output=True, text=True, check=True, timeout=deadline
        )
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{_short(argv)} ended with {error.returncode}", why=error.stderr.strip()) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{_short(argv)} gave no answer", why=str(error)) from error
    return asked.stdout


@contextmanager
def interruptible() -> Iterator[None]:
    """Have every signal that would end us end us as Ctrl-C does: what was made is taken down first."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT as well: what a script has put into the background ignores it. Who ignores SIGHUP (nohup) means it.
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    numbers = (signal.SIGINT, signal.SIGTERM, *hang_up)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _path(env: Mapping[str, str] | None) -> str:
    return search_path() if env is None else env.get("PATH", search_path())


def _short(argv: Sequence[str]) -> str:
    return " ".join([Path(argv[0]).name, *argv[1:4]])


def _last(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:])
