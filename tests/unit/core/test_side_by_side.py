"""The same done with each node: all at once, in order, and ended together if one fails."""

from __future__ import annotations

import threading
import time

import pytest

from labctl.errors import BootError
from labctl.side_by_side import each, every

NODES = ["head", "cpu-0", "cpu-1", "cpu-2"]


def test_all_are_worked_on_at_once_and_answer_in_their_order() -> None:
    together = threading.Barrier(len(NODES))

    def work(node: str) -> str:
        together.wait(10)
        time.sleep(0.05 if node == "head" else 0)
        return node.upper()

    assert each(NODES, work) == ["HEAD", "CPU-0", "CPU-1", "CPU-2"]
    assert each([], work) == []


def test_no_more_than_so_many_at_once() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def work(_: str) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1

    each(NODES, work, at_once=2)
    assert most == 2


def test_who_fails_first_is_heard_when_the_others_have_ended() -> None:
    together, failed = threading.Barrier(len(NODES)), threading.Event()
    ended: list[str] = []

    def work(node: str) -> None:
        together.wait(10)
        if node == "cpu-1":
            failed.set()
            raise BootError("cpu-1 is gone")
        assert failed.wait(10)
        time.sleep(0.05)
        ended.append(node)
        raise BootError(f"{node} went with it")

    with pytest.raises(BootError, match="cpu-1 is gone"):
        each(NODES, work)
    assert sorted(ended) == ["cpu-0", "cpu-2", "head"]


@pytest.mark.parametrize("error", [BootError("cpu-0 is gone"), KeyboardInterrupt()])
def test_if_one_fails_those_at_work_are_abandoned_and_no_other_is_begun(error: BaseException) -> None:
    together, over = threading.Barrier(2), threading.Event()
    worked: list[str] = []
    abandoned: list[str] = []

    def work(node: str) -> None:
        worked.append(node)
        if node in ("head", "cpu-0"):
            together.wait(10)
        if node == "cpu-0":
            raise error
        assert over.wait(10)  # cpu-1, too: whoever has failed makes room for it before that is heard

    def abandon(node: str) -> None:
        abandoned.append(node)
        over.set()

    with pytest.raises(type(error)):
        each(["head", "cpu-0", "cpu-1", "cpu-2"], work, at_once=2, abandon=abandon)
    assert "head" in abandoned
    assert "cpu-2" not in worked


def test_every_node_has_its_turn_whoever_fails_and_the_first_error_is_heard_at_the_end() -> None:
    many = [f"cpu-{number}" for number in range(100)]  # more than are worked on at once
    worked: list[str] = []

    def work(node: str) -> None:
        if node in ("cpu-0", "cpu-1"):
            raise BootError(f"{node} is gone")
        time.sleep(0.02)
        worked.append(node)

    with pytest.raises(BootError, match="cpu-0 is gone"):
        every(many, work)
    assert sorted(worked) == sorted(many[2:])
