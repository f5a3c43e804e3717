"""A function that runs on nodes when it is called."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from labctl.testing import results, shipping
from labctl.testing.backend import Backend
from labctl.testing.results import Result, Results

PATIENCE = 300.0  # seconds that a function or a command may take if nobody says how long


@dataclass(frozen=True)
class Where:
    """Where a function runs, and how.

    Attributes:
        nodes: a hostlist, ``@role``, ``@partition`` or ``all``.
        user: who to be there; empty is who owns the machines: root, on labctl's own box.
        timeout: seconds that it may take.
        check: raise what it raises.
        python: the program that runs it.
    """

    nodes: str
    user: str = ""
    timeout: float = PATIENCE
    check: bool = True
    python: str = "python3"


class Testlet:
    """The function; call it as if it were here."""

    __test__ = False  # pytest: it is no test

    def __init__(self, backend: Callable[[], Backend], where: Where, function: Callable[..., Any]) -> None:
        self._backend = backend
        self._where = where
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **keywords: Any) -> Results:
        """Run it on all nodes at the same time, and wait for all.

        Raises:
            Exception: what it raised on the first node where it did; `check=False` leaves that to the results.
            ShippingError: it cannot go to a node.
        """
        with closing(self.each(*arguments, **keywords)) as ends:
            found = {result.node: result for result in ends}
        nodes = self._backend().nodes(self._where.nodes)
        together = Results({node: found[node] for node in nodes})
        return together.check(lambda result: result.exception is not None) if self._where.check else together

    def each(self, *arguments: Any, **keywords: Any) -> Generator[Result, None, None]:
        """The same, each result when it comes; none of them is raised. Close it, and what still runs is ended."""
        parcel = shipping.pack(self._function, arguments, keywords)
        where, backend = self._where, self._backend()
        nodes = backend.nodes(where.nodes)
        with closing(
            backend.call(nodes, parcel, user=where.user, timeout=where.timeout, python=where.python)
        ) as ends:
            for node, ended in ends:
                yield results.of_function(node, parcel, ended)
