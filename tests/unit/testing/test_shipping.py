"""Functions go to another Python with all that they need, and what cannot go is refused with its name."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import pickle
import xml.etree.ElementTree as ET
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from labctl.testing import RemoteError, ShippingError, answers, mock_cluster, runner, shipping

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT = 3
LOCK = Lock()
THIS = Path(__file__).name


@dataclass(frozen=True)
class Point:
    x: int

    def __add__(self, other: Point) -> Point:
        return Point(self.x + other.x)


class Far(Point):
    pass


ORIGIN = Point(1)


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call it in another process, from what would go to a node."""
    (result,) = mock_cluster().on("cpu-0")(function)(*arguments).values()
    return result.return_value


def even(number: int) -> bool:
    return number == 0 or odd(number - 1)


def odd(number: int) -> bool:
    return number != 0 and even(number - 1)


def test_functions_that_call_each_other_go_together() -> None:
    assert run(even, 10) is True


def test_classes_constants_and_objects_of_the_project_go_along() -> None:
    def move(by: Point) -> Point:
        return Far(LIMIT) + by + ORIGIN

    assert run(move, Far(2)) == Point(6)


def test_a_name_in_an_annotation_need_not_be_there() -> None:
    def total(values: NDArray[Any]) -> int:
        return sum(values)

    assert run(total, [1, 2]) == 3


def test_modules_are_imported_with_the_parts_that_are_used() -> None:
    def use() -> tuple[str, bool]:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return ET.fromstring("<a/>").tag, pool.submit(os.path.isabs, "/").result()  # noqa: S314

    assert run(use) == ("a", True)


def test_closures_see_the_values_of_the_moment() -> None:
    count = 1

    def read() -> int:
        return count

    count = 2
    assert run(read) == 2


def test_text_over_several_lines_is_as_it_was() -> None:
    def text() -> str:
        return """first
second
        third"""

    assert run(text) == "first\nsecond\n        third"


def test_a_coroutine_is_awaited() -> None:
    async def later() -> int:
        return 5

    assert run(later) == 5


def test_a_traceback_shows_the_line_of_the_file() -> None:
    def broken(number: int) -> float:
        return 1 / number  # the very line

    with pytest.raises(ZeroDivisionError) as caught:
        run(broken, 0)
    line = broken.__code__.co_firstlineno + 1
    assert (
        f'{THIS}", line {line}, in broken\n    return 1 / number  # the very line'
        in caught.value.__notes__[0]
    )


def test_a_failed_assert_is_one_here_too() -> None:
    def check(value: int) -> None:
        assert value == LIMIT, f"it is {value}"

    with pytest.raises(AssertionError, match="it is 4"):
        run(check, 4)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: LOCK.acquire() or 1, "LOCK, a lock that _lambda uses, cannot go"),
        (Point(1).__add__, "cannot go to a node"),
        (functools.cache(even), "cannot go to a node"),
        (lambda: runner.run(b""), "uses the module labctl.testing.runner, which is not installed on nodes"),
    ],
)
def test_what_cannot_go_is_named(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(ShippingError, match=words):
        shipping.pack(function)


def test_of_two_lambdas_on_a_line_it_is_not_known_which() -> None:
    first, _ = (lambda: 1), (lambda: 2)
    with pytest.raises(ShippingError, match="several lambdas"):
        shipping.pack(first)


def test_what_was_typed_has_no_source() -> None:
    names: dict[str, Any] = {"__name__": "typed"}
    exec("def typed(): return 1", names)  # noqa: S102
    with pytest.raises(ShippingError, match="source of typed is not known"):
        shipping.pack(names["typed"])


def test_a_value_that_is_not_plain_is_not_taken_from_a_node() -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("true",)

    with pytest.raises(RemoteError, match="is not taken from a node") as caught:
        run(lambda: [Evil()])
    assert "posix.system" in caught.value.why


def test_a_value_that_cannot_be_pickled_says_so() -> None:
    with pytest.raises(TypeError, match="pickle"):
        run(lambda: (number for number in range(3)))


def test_plain_values_of_python_come_back() -> None:
    value = OrderedDict(a={1, 2}, b=(b"\0", Path("/x"), 1.5, None, frozenset({3})))
    assert run(lambda given: given, value) == value


def test_an_exception_of_a_library_comes_as_words() -> None:
    def parse() -> None:
        ET.fromstring("<a>")  # noqa: S314

    with pytest.raises(RemoteError, match="ParseError: no element found") as caught:
        run(parse)
    assert "in parse" in caught.value.traceback


def test_an_answer_that_is_damaged_is_an_error() -> None:
    with pytest.raises(RemoteError, match="cannot be read"):
        answers.read(pickle.dumps({"node": "n"}), {})
    with pytest.raises(RemoteError, match="cannot be read"):
        answers.read(b"nonsense", {})


def test_the_runner_keeps_to_what_python_3_6_knows() -> None:
    import ast  # noqa: PLC0415

    source = Path(runner.__file__).read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__ import annotations" not in source
    assert "removeprefix" not in source
