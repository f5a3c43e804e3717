"""A lock is held by several, or by one alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from labctl.testing.sharing import SharedLock


def test_who_wants_it_alone_waits_for_all_others(tmp_path: Path) -> None:
    first, second, third = (SharedLock(tmp_path / "folder" / "lock") for _ in range(3))
    assert first.share(0)
    assert second.share(0)
    assert not third.alone()
    first.release()
    assert not third.alone()
    second.release()
    assert third.alone()
    assert not first.share(0)
    third.release()
    assert first.share(0)


def test_one_that_shares_it_can_have_it_alone(tmp_path: Path) -> None:
    first, second = SharedLock(tmp_path / "lock"), SharedLock(tmp_path / "lock")
    assert first.share(0)
    assert first.alone()
    assert not second.share(0)


def test_a_process_that_dies_holds_nothing(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from labctl.testing.sharing import SharedLock
lock = SharedLock(Path({str(tmp_path / "lock")!r}))
print(lock.alone(), flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert not SharedLock(tmp_path / "lock").share(0)
        process.kill()
    assert SharedLock(tmp_path / "lock").share(0)
