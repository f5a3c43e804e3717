"""What a command or a function gave on each node where it ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.errors import UsageError
from labctl.reach.parallel import LATE, Outcome
from labctl.testing import answers
from labctl.testing.backend import Called
from labctl.testing.errors import RemoteError, reason
from labctl.testing.shipping import Parcel


@dataclass(frozen=True)
class Result:
    """How it ended on one node.

    Attributes:
        node: its name.
        exit_code: 0 where all is well; what ``sys.exit`` said; 1 after an exception; 124 after a deadline.
        stdout: what was written there.
        stderr: the same.
        exception: what was raised there, with the traceback of the node in its notes; None if nothing was.
    """

    node: str
    exit_code: int
    stdout: str
    stderr: str
    exception: BaseException | None = None
    _value: Any = field(default=None, repr=False)

    @property
    def return_value(self) -> Any:
        """What the function returned; raises what it raised."""
        if self.exception is not None:
            raise self.exception
        return self._value


class Results(Mapping[str, Result]):
    """The result of each node by its name. Where there is one node alone, it can be asked like its result."""

    def __init__(self, results: Mapping[str, Result]) -> None:
        self._results = dict(results)

    def __getitem__(self, node: str) -> Result:
        """That of one node."""
        return self._results[node]

    def __iter__(self) -> Iterator[str]:
        """The nodes."""
        return iter(self._results)

    def __len__(self) -> int:
        """How many nodes."""
        return len(self._results)

    def __repr__(self) -> str:
        """All of it."""
        return f"Results({self._results!r})"

    @property
    def return_values(self) -> dict[str, Any]:
        """What the function returned on each node."""
        return {node: result.return_value for node, result in self.items()}

    @property
    def return_value(self) -> Any:
        """What it returned on the only node."""
        return self._only.return_value

    @property
    def exit_code(self) -> int:
        """That of the only node."""
        return self._only.exit_code

    @property
    def stdout(self) -> str:
        """That of the only node."""
        return self._only.stdout

    @property
    def stderr(self) -> str:
        """That of the only node."""
        return self._only.stderr

    @property
    def _only(self) -> Result:
        if len(self) != 1:
            raise UsageError(
                f"there are {len(self)} results, one for each node",
                hint=f"results[{next(iter(self), '')!r}], or go over results.items()",
            )
        return next(iter(self.values()))

    def check(self, bad: Callable[[Result], bool]) -> Results:
        """The same, if no result is bad.

        Raises:
            Exception: what was raised on the first node where it is; its notes name the others.
        """
        failed = [result for result in self.values() if bad(result)]
        if failed:
            error = failed[0].exception or RemoteError("it failed", node=failed[0].node)
            if others := [result.node for result in failed[1:]]:
                error.add_note(f"and it failed on {', '.join(others)} as well")
            raise error
        return self


def of_command(node: str, command: str, ended: Outcome) -> Result:
    """The result of a command; one that fails has an exception to raise."""
    error = None
    if ended.exit_code:
        why = reason(ended.exit_code, ended.stderr or ended.stdout)
        error = RemoteError(
            f"{command!r} ended with exit code {ended.exit_code} on {node}",
            why=why,
            hint="raise its timeout" if ended.exit_code == LATE else "check=False gives the result as it is",
            node=node,
        )
    return Result(node, ended.exit_code, ended.stdout, ended.stderr, error)


def of_function(node: str, parcel: Parcel, ended: Called) -> Result:
    """The result of a function."""
    value, error = None, None
    if ended.answer is None:
        error = _died(node, parcel, ended)
    else:
        try:
            answer = answers.read(ended.answer, parcel.classes)
            value, error = answer.value, answer.exception
        except RemoteError as unread:
            error = unread
    return Result(node, ended.exit_code, ended.stdout, ended.stderr, error, value)


def _died(node: str, parcel: Parcel, ended: Called) -> BaseException:
    if ended.exit_code == LATE:
        return TimeoutError(f"{parcel.name} did not end in time on {node}")
    return RemoteError(
        f"{parcel.name} did not come to its end on {node}: exit code {ended.exit_code}",
        why=reason(ended.exit_code, ended.stderr),
        node=node,
    )
