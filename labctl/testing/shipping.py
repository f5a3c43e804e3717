"""Functions to nodes, and what they give back: as source and pickled values, for a Python that need not be ours.

What goes along: the function, without its decorators; the functions and classes of the project that it uses, by their
source; imports; the values of other names that it uses, as far as they can be pickled. What is installed (the standard
library, site-packages) is imported over there and must be there.
"""

from __future__ import annotations

import functools
import inspect
import io
import pickle
import sys
import sysconfig
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.testing import sources
from labctl.testing.errors import ShippingError

PROTOCOL = 4  # of pickle: what Python 3.4 and later can read
_PATHS = [
    Path(path) for path in {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
]
Classes = Mapping[tuple[str, str], type]


@dataclass(frozen=True)
class Parcel:
    """A function, its arguments and all that it needs.

    Attributes:
        name: of the function.
        data: what `labctl.testing.runner` runs.
        classes: those that went along by their source: what comes back may be made of them.
    """

    name: str
    data: bytes = field(repr=False)
    classes: Classes = field(repr=False)


def pack(
    task: Callable[..., Any], arguments: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
) -> Parcel:
    """Make a parcel of a call.

    Args:
        task: a function, a lambda or a `functools.partial` of one.
        arguments: for it.
        keywords: for it, too.

    Raises:
        ShippingError: something of it cannot go along.
    """
    given = dict(keywords or {})
    while isinstance(task, functools.partial):
        arguments, given, task = (*task.args, *arguments), {**task.keywords, **given}, task.func
    if not isinstance(task, types.FunctionType) or hasattr(task, "__wrapped__"):
        decorated = (
            " is decorated: what the decorator does would be lost" if hasattr(task, "__wrapped__") else ""
        )
        raise ShippingError(
            f"{task!r} cannot go to a node", why=decorated.strip(), hint="give a plain function that calls it"
        )
    packer = _Packer()
    entry = packer.define(task, decorated=False)
    packed = packer.pickle((tuple(arguments), given), f"the arguments of {task.__qualname__}")
    content = {"steps": [*packer.steps, *packer.late], "entry": entry, "arguments": packed}
    return Parcel(task.__qualname__.rpartition(".")[2], pickle.dumps(content, PROTOCOL), packer.classes)


class _Packer:
    """Collects the steps that make the function's modules over there, what others need first."""

    def __init__(self) -> None:
        self.steps: list[tuple[Any, ...]] = []
        self.late: list[tuple[Any, ...]] = []
        self.classes: dict[tuple[str, str], type] = {}
        self._known: dict[tuple[str, str], Any] = {}
        self._begun: set[tuple[str, str]] = set()

    def define(self, thing: Any, *, decorated: bool = True) -> tuple[str, str]:
        """Take a function or class along; in which module and by which name it is there."""
        piece = sources.piece(thing, decorated=decorated)
        at = (thing.__module__, piece.name)
        if at in self._known:
            if self._known[at] is not thing:
                raise ShippingError(
                    f"two different things are called {piece.name} in {at[0]}", hint="rename one"
                )
            return at
        self._known[at] = thing
        self._begun.add(at)
        if isinstance(thing, type):
            self.classes[at] = thing
        around = _around(thing)
        for name in sorted(piece.names() & around.keys()):
            self._name(at[0], name, around[name], piece)
        self.steps.append(("source", at[0], piece.filename, piece.line, piece.text))
        self._begun.discard(at)
        return at

    def pickle(self, value: Any, what: str) -> bytes:
        """A value, with the classes that it is made of."""
        stream = io.BytesIO()
        try:
            _Pickler(self, stream).dump(value)
        except ShippingError:
            raise
        except Exception as error:  # pickle raises what it likes
            raise ShippingError(
                f"{what} cannot go to a node",
                why=str(error),
                hint="make it in the function, or give plain values",
            ) from error
        return stream.getvalue()

    def refer(self, thing: Any) -> None:
        """Something that pickle only names must be there by that name."""
        if not _installed(thing.__module__):
            self.define(thing)

    def _name(self, module: str, name: str, value: Any, piece: sources.Piece) -> None:
        """A name that a piece uses is there, too."""
        if isinstance(value, types.ModuleType):
            self._module(module, name, value, piece)
        elif isinstance(value, type | types.FunctionType | types.BuiltinFunctionType) and value.__module__:
            self._import(module, name, value)
        else:
            what = f"{name}, a {type(value).__name__} that {piece.name} uses,"
            self.steps.append(("value", module, name, self.pickle(value, what)))

    def _module(self, module: str, name: str, value: types.ModuleType, piece: sources.Piece) -> None:
        if not _installed(value.__name__):
            raise ShippingError(
                f"{piece.name} uses the module {value.__name__}, which is not installed on nodes",
                hint=f"from {value.__name__} import what it needs: functions and classes go along",
            )
        self.steps.append(("import", module, name, value.__name__, ""))
        for chain in piece.chains():
            first, _, rest = chain.partition(".")
            if first == name and f"{value.__name__}.{rest}" in sys.modules:
                self.steps.append(("import", module, "", f"{value.__name__}.{rest}", ""))

    def _import(self, module: str, name: str, value: Any) -> None:
        if _installed(value.__module__):
            self.steps.append(("import", module, name, value.__module__, value.__qualname__))
            return
        at = self.define(value)
        if at != (module, name):
            (self.late if at in self._begun else self.steps).append(("import", module, name, *at))


class _Pickler(pickle.Pickler):
    """Takes the source of classes along that pickle only names."""

    def __init__(self, packer: _Packer, stream: io.BytesIO) -> None:
        super().__init__(stream, PROTOCOL)
        self._packer = packer

    def reducer_override(self, value: Any) -> Any:
        """Look at what is pickled; how that is done is up to pickle."""
        if isinstance(value, type | types.FunctionType):
            self._packer.refer(value)
        return NotImplemented


def _around(thing: Any) -> dict[str, Any]:
    """The names that a function or class can see, those of closures before those of its module."""
    functions = [thing] if isinstance(thing, types.FunctionType) else _methods(thing)
    known = dict(vars(sys.modules[thing.__module__])) if thing.__module__ in sys.modules else {}
    for function in functions:
        known |= function.__globals__
    for function in functions:
        known |= inspect.getclosurevars(function).nonlocals
    return known


def _methods(thing: type) -> list[types.FunctionType]:
    return [value for value in vars(thing).values() if isinstance(value, types.FunctionType)]


def _installed(module: str) -> bool:
    """Whether a module is of Python or of a package, and not of the project whose tests run."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return module != "__main__" and (file is None or any(Path(file).is_relative_to(path) for path in _PATHS))
