"""A lab's lock: one process has it at a time, it names its holder, and it leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from labctl import lock
from labctl.errors import LockedError

HOLDER = """
import sys, time
from pathlib import Path
from labctl import lock
with lock.held(Path(sys.argv[1]), "the lab full", "up"):
    print("has it", flush=True)
    time.sleep(600)
"""

OURS = f"a test of {os.getpid()}"  # others run at the same time, on the same host


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labs" / ".full.lock"


def take(path: Path) -> contextlib.AbstractContextManager[None]:
    return lock.held(path, "the lab full", "converge")


def test_who_comes_second_is_told_who_has_it(path: Path) -> None:
    with take(path), pytest.raises(LockedError) as refused, take(path):
        pass
    assert refused.value.what == f"labctl converge (process {os.getpid()}) is working on the lab full"
    assert refused.value.hint


def test_who_was_refused_does_not_harm_the_holder(path: Path) -> None:
    with take(path):
        for _ in range(2):
            with pytest.raises(LockedError, match="labctl converge"), take(path):
                pass


def test_it_is_free_afterwards_and_no_file_stays(path: Path) -> None:
    with take(path):
        assert path.is_file()
    assert list(path.parent.iterdir()) == []
    with take(path):
        pass


def test_it_is_free_after_an_error(path: Path) -> None:
    with pytest.raises(ValueError, match="work"), take(path):
        raise ValueError("work")
    with take(path):
        pass


def test_a_dead_holder_does_not_block(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "has it\n"
        with pytest.raises(LockedError, match=rf"labctl up \(process {holder.pid}\)"), take(path):
            pass
        holder.kill()
    assert path.is_file()  # it could not clean up
    with take(path), pytest.raises(LockedError, match=f"process {os.getpid()}"), take(path):
        pass


def test_a_holder_that_leaves_while_we_knock_does_not_let_two_in(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = take(path)
    first.__enter__()
    knock, real = threading.Event(), fcntl.flock

    def flock(stream: object, how: int) -> None:
        if not knock.is_set():  # the file is open here; now its holder goes and takes it along
            knock.set()
            first.__exit__(None, None, None)
        real(stream, how)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", flock)
    with take(path):
        assert knock.is_set()
        with pytest.raises(LockedError), take(path):
            pass


def test_many_who_come_and_go_are_never_two_at_once(path: Path) -> None:
    inside: list[int] = []
    together: list[int] = []
    entered = 0

    def come_and_go(number: int) -> None:
        nonlocal entered
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            with contextlib.suppress(LockedError), take(path):
                inside.append(number)
                entered += 1
                together.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert entered > len(threads)
    assert set(together) == {1}


def test_the_file_goes_while_the_lock_is_still_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refused = Path.unlink, []

    def unlink(file: Path, *, missing_ok: bool = False) -> None:
        with contextlib.suppress(LockedError), lock.held(path, "the lab full", "converge"):
            refused.append("no")
        refused.append("yes")
        real(file, missing_ok=missing_ok)

    with take(path):
        monkeypatch.setattr(Path, "unlink", unlink)
    monkeypatch.undo()
    assert refused == ["yes"]


def test_the_lock_of_the_host_is_waited_for() -> None:
    begun, order = threading.Event(), list[str]()

    def second() -> None:
        begun.set()
        with lock.of_the_host(OURS, deadline=60):
            order.append("second")

    with lock.of_the_host(OURS, deadline=60):
        thread = threading.Thread(target=second)
        thread.start()
        assert begun.wait(60)
        with lock.of_the_host(f"{OURS}, another", deadline=0):  # not the same
            order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_the_lock_of_the_host_is_not_waited_for_for_ever() -> None:
    with (
        lock.of_the_host(OURS, deadline=60),
        pytest.raises(LockedError, match="another labctl has been working on a test") as late,
        lock.of_the_host(OURS, deadline=0),
    ):
        pass
    assert late.value.hint


def test_a_holder_that_dies_frees_the_lock_of_the_host() -> None:
    program = """
import sys
from labctl import lock
with lock.of_the_host(sys.argv[1], deadline=0):
    print("has it", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, OURS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "has it\n"
        with pytest.raises(LockedError), lock.of_the_host(OURS, deadline=0):
            pass
        holder.kill()
        holder.wait(60)
    with lock.of_the_host(OURS, deadline=60):
        pass
