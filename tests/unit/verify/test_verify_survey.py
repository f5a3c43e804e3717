"""Each question is put once, whoever asks; its error is everyone's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from clusterfacts.connection import NodeError
from clusterfacts.survey import Survey, ahead


def test_a_question_is_put_once() -> None:
    survey, asked = Survey(), []
    for _ in range(3):
        assert survey.ask("facts", lambda: asked.append(1) or "answer") == "answer"
    assert len(asked) == 1
    assert survey.asked("facts")
    assert not survey.asked("jobs")


def test_those_who_ask_meanwhile_wait_for_the_same_answer() -> None:
    survey, gate, asked = Survey(), threading.Event(), []

    def slow() -> str:
        asked.append(1)
        gate.wait(10)
        return "answer"

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(survey.ask, "facts", slow) for _ in range(4)]
        gate.set()
        assert [one.result(10) for one in waiting] == ["answer"] * 4
    assert len(asked) == 1


def test_an_error_is_everyones() -> None:
    survey, asked = Survey(), []

    def broken() -> None:
        asked.append(1)
        raise NodeError("cpu-0 cannot be reached")

    for _ in range(2):
        with pytest.raises(NodeError, match="cpu-0 cannot be reached"):
            survey.ask("facts", broken)
    assert len(asked) == 1


def test_a_question_may_wait_for_others() -> None:
    survey = Survey()

    def chain(number: int) -> int:
        return number and int(survey.ask(number - 1, lambda: chain(number - 1))) + 1

    for number in range(40):
        ahead(str(number), lambda number=number: survey.ask(number, lambda: chain(number)))
    assert survey.ask(39, lambda: chain(39)) == 39


def test_an_error_ahead_is_kept_for_who_asks() -> None:
    survey, put = Survey(), threading.Event()

    def broken() -> None:
        put.set()
        raise NodeError("no")

    ahead("facts", lambda: survey.ask("facts", broken))
    assert put.wait(10)
    with pytest.raises(NodeError):
        survey.ask("facts", lambda: "never put")
