"""What a function gave back on a node. Nothing but plain values is taken from there: a pickle could be anything."""

from __future__ import annotations

import builtins
import io
import pickle
import platform
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from labctl.testing.errors import RemoteError
from labctl.testing.shipping import PROTOCOL, Classes

_VALUES = {
    "builtins": {
        *("bytearray", "complex", "frozenset", "object", "range", "set", "slice"),
        *(
            name
            for name, value in vars(builtins).items()
            if isinstance(value, type) and issubclass(value, BaseException)
        ),
    },
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "copyreg": {"_reconstructor"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "ipaddress": {"IPv4Address", "IPv4Network", "IPv6Address", "IPv6Network"},
    "pathlib": {"Path", "PosixPath", "PurePath", "PurePosixPath"},
    "subprocess": {"CalledProcessError", "CompletedProcess", "TimeoutExpired"},
    "uuid": {"UUID"},
}


@dataclass(frozen=True)
class Answer:
    """How a function ended.

    Attributes:
        node: where, as the machine calls itself.
        python: the version there.
        value: what it returned, if it did.
        exception: what it raised, with the traceback of the node in its notes; None if it did not.
    """

    node: str
    python: str
    value: Any
    exception: BaseException | None

    def result(self) -> Any:
        """The value, or the exception."""
        if self.exception is not None:
            raise self.exception
        return self.value


def read(data: bytes, classes: Classes) -> Answer:
    """Read an answer of `labctl.testing.runner`.

    Args:
        data: the answer.
        classes: those that went with the function.

    Raises:
        RemoteError: it is damaged, or has what is not taken from a node.
    """
    try:
        told = _load(data, {})
        node, python, error = str(told["node"]), str(told["python"]), told["error"]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError) as broken:
        raise RemoteError("what the node answered cannot be read", why=str(broken)) from broken
    if error:
        return Answer(node, python, None, _exception(error, node, python, classes))
    try:
        return Answer(node, python, _load(told["value"], classes), None)
    except Exception as broken:
        raise RemoteError(
            "what the function gave back is not taken from a node",
            why=str(broken),
            hint="return plain values: numbers, text, lists, dicts, classes of the project",
            node=node,
        ) from broken


def pack(value: Any, *, node: str) -> bytes:
    """The answer of a function that returned this, or raised it if it is an exception."""
    error = None
    if isinstance(value, BaseException):
        words = f"{type(value).__name__}: {value}\n"
        error = {
            "type": type(value).__name__,
            "text": str(value),
            "traceback": words,
            "pickled": pickle.dumps(value, PROTOCOL),
        }
    told = {
        "node": node,
        "python": platform.python_version(),
        "value": None if error else pickle.dumps(value, PROTOCOL),
        "error": error,
    }
    return pickle.dumps(told, PROTOCOL)


def _exception(error: dict[str, Any], node: str, python: str, classes: Classes) -> BaseException:
    """The exception itself if it can be made here, with what it said there."""
    words = f"on {node} (Python {python}):\n{error['traceback']}".rstrip("\n")
    itself: Any = None
    with suppress(Exception):  # then it is told in words
        itself = _load(error["pickled"], classes)
    if isinstance(itself, Exception):
        itself.add_note(words)
        return itself
    what = f"{error['type']}: {error['text']}"
    return RemoteError(what, why=words, node=node, traceback=error["traceback"])


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, classes: Classes) -> None:
        super().__init__(io.BytesIO(data))
        self._classes = classes

    def find_class(self, module: str, name: str) -> Any:
        """A class of the project, or a harmless one of Python's."""
        if (module, name) in self._classes:
            return self._classes[module, name]
        if name in _VALUES.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it has a {module}.{name} in it")


def _load(data: bytes, classes: Classes) -> Any:
    return _Unpickler(data, classes).load()
