"""The same done with each node of a lab, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")
_AT_ONCE = 64  # threads


def each(
    nodes: Sequence[str],
    work: Callable[[str], T],
    *,
    at_once: int = _AT_ONCE,
    abandon: Callable[[str], object] = lambda _: None,
) -> list[T]:
    """Do the same with each node; what that gave, in the order of the nodes.

    Whoever fails first is heard, when all that had begun has ended; what had not begun is left.

    Args:
        nodes: their names.
        work: what is done, in a thread of its own.
        at_once: with so many of them at most.
        abandon: ends what is done with a node, if that of another fails or we are interrupted; else it is waited for.
    """
    with ThreadPoolExecutor(max_workers=max(1, min(len(nodes), at_once))) as pool:
        futures = [pool.submit(work, node) for node in nodes]
        try:
            for future in as_completed(futures):  # so that whoever fails first is heard first
                future.result()
            return [future.result() for future in futures]
        except BaseException:
            begun = [not future.cancel() for future in futures]
            for node, future, at_work in zip(nodes, futures, begun, strict=True):
                if at_work and not future.done():
                    abandon(node)
            raise


def every(nodes: Sequence[str], work: Callable[[str], object]) -> None:
    """Do the same with every node, whatever comes of it with another; the first error is raised when all is done."""
    with ThreadPoolExecutor(max_workers=max(1, min(len(nodes), _AT_ONCE))) as pool:
        futures = [pool.submit(work, node) for node in nodes]
    for future in futures:
        future.result()
