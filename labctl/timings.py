"""Where the time of `up` went."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Timings:
    """The time that each step took.

    Attributes:
        steps: names and seconds, in order; that of a step that failed as well.
        tasks: seconds by Ansible task.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[str, float]] = []
        self.tasks: Mapping[str, float] = {}
        self._failed: set[int] = set()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take the time of a step."""
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self._failed.add(len(self.steps))
            raise
        finally:
            self.steps.append((name, time.monotonic() - started))

    @contextmanager
    def kept(self, path: Path) -> Iterator[None]:
        """Write them to a file when all is over, however it ends."""
        try:
            yield
        except BaseException:
            with suppress(OSError):  # no folder yet or no space left: what failed matters more than its time
                self._write(path)
            raise
        self._write(path)

    def _write(self, path: Path) -> None:
        timings = {
            "steps": [self._line(number) for number in range(len(self.steps))],
            "tasks": {task: round(seconds, 2) for task, seconds in self.tasks.items()},
        }
        path.write_text(json.dumps(timings, indent=2) + "\n")

    def _line(self, number: int) -> dict[str, Any]:
        name, seconds = self.steps[number]
        failed = {"failed": True} if number in self._failed else {}
        return {"step": name, "seconds": round(seconds, 2), **failed}
