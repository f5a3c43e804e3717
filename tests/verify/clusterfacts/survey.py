"""Each question is put once, and every test shares the answer.

A command in a virtual machine costs up to a second; a test that only compares costs nothing. So all questions
of a run start together in threads, and tests wait for the answer they need.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any


class Survey:
    """The answers of one run, by topic."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, Future[Any]] = {}
        self._guard = threading.Lock()
        self._born = time.monotonic()
        self.times: dict[Hashable, tuple[float, float]] = {}
        """Seconds since the run began, at the start and the end of each question that was answered."""

    def ask(self, key: Hashable, question: Callable[[], Any]) -> Any:
        """The answer; what the question raised is raised to everyone who asks.

        The first who asks carries it out, everyone else waits for that.
        """
        with self._guard:
            known = self._answers.get(key)
            answer = self._answers.setdefault(key, Future())
        if known is None:
            began = time.monotonic() - self._born
            try:
                answer.set_result(question())
            except BaseException as problem:
                answer.set_exception(problem)
            self.times[key] = (began, time.monotonic() - self._born)
        return answer.result()

    def asked(self, key: Hashable) -> bool:
        """Whether the question was put."""
        return key in self._answers


def ahead(name: str, question: Callable[[], Any]) -> threading.Thread:
    """Put a question in the background; whoever asks it later gets its answer or its error.

    One daemon thread a question: one may wait for another without a pool's last thread being lost to it, and
    Ctrl-C ends the run at once.
    """

    def put() -> None:
        with suppress(Exception):
            question()

    thread = threading.Thread(target=put, daemon=True, name=name)
    thread.start()
    return thread
