"""The source of functions and classes, piece by piece, and the names that a piece needs from around it."""

from __future__ import annotations

import ast
import linecache
import symtable
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from labctl.testing.errors import ShippingError

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
LAMBDA = "_lambda"  # what one is called over there
_FUTURE = "from __future__ import annotations\n"  # a name in an annotation is not needed


@dataclass(frozen=True)
class Piece:
    """A definition as it stands in its file.

    Attributes:
        name: what it defines.
        filename: of its file.
        line: its first one there, from 1.
        text: its lines, with the indentation that they have.
    """

    name: str
    filename: str
    line: int
    text: str

    def names(self) -> set[str]:
        """The names that it takes from around it, builtins among them."""
        table = symtable.symtable(_FUTURE + self._alone(), self.filename, "exec")
        return set(_outer(table)) - {self.name}

    def chains(self) -> Iterator[str]:
        """What it reads with dots: ``a.b.c``, and ``a.b``."""
        for node in ast.walk(ast.parse(self._alone())):
            if isinstance(node, ast.Attribute):
                dotted = ast.unparse(node)
                if dotted.replace(".", "").isidentifier():
                    yield dotted

    def _alone(self) -> str:
        return f"if 1:\n{self.text}" if self.text[:1] in " \t" else self.text


def piece(thing: Callable[..., Any] | type, *, decorated: bool) -> Piece:
    """The source of a function, a lambda or a class.

    Args:
        thing: the function or class.
        decorated: with its decorators.

    Raises:
        ShippingError: there is none, or none that is surely it.
    """
    filename = _file(thing)
    lines = linecache.getlines(filename, vars(sys.modules.get(thing.__module__, ast)))
    if not lines:
        raise ShippingError(
            f"the source of {thing.__qualname__} is not known",
            why=f"{filename} cannot be read: it was typed, or made by a program",
            hint="put the function into a file",
        )
    found = _find(ast.parse("".join(lines)), thing)
    if isinstance(found, ast.Lambda):
        segment = ast.get_source_segment("".join(lines), found)
        return Piece(LAMBDA, filename, found.lineno, f"{LAMBDA} = ({segment})\n")
    first = min([found.lineno, *(one.lineno for one in found.decorator_list if decorated)])
    return Piece(
        found.name, filename, first, "".join(lines[first - 1 : found.end_lineno]).rstrip("\n") + "\n"
    )


def _file(thing: Any) -> str:
    code = getattr(thing, "__code__", None)
    if code is not None:
        return str(code.co_filename)
    return str(getattr(sys.modules.get(thing.__module__), "__file__", None) or "<unknown>")


def _find(tree: ast.Module, thing: Any) -> Definition:
    """The node of a file that defines the thing."""
    name, code = thing.__qualname__, getattr(thing, "__code__", None)
    found = [node for at, node in _definitions([tree], "") if at == name]
    if code is not None:
        found = [node for node in found if _first_line(node) == code.co_firstlineno]
    if name.endswith("<lambda>") and len(found) > 1:
        raise ShippingError(
            f"there are several lambdas on line {found[0].lineno} of {_file(thing)}",
            hint="write one of them as a function with a name",
        )
    if not found:
        raise ShippingError(f"{name} is not in {_file(thing)} any more", hint="run the tests again")
    return found[-1]


def _definitions(nodes: Iterable[ast.AST], inside: str) -> Iterator[tuple[str, Definition]]:
    """Every definition among nodes and below them, by its qualified name."""
    for node in nodes:
        children = list(ast.iter_child_nodes(node))
        if not isinstance(node, Definition):
            yield from _definitions(children, inside)
            continue
        name = f"{inside}{getattr(node, 'name', '<lambda>')}"
        yield name, node
        body: list[ast.AST] = [*node.body] if isinstance(node.body, list) else [node.body]
        # Decorators, defaults and bases are not inside.
        yield from _definitions([child for child in children if child not in body], inside)
        yield from _definitions(body, f"{name}{'.' if isinstance(node, ast.ClassDef) else '.<locals>.'}")


def _first_line(node: Definition) -> int:
    """The line where Python says that it begins: that of the first decorator."""
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(one.lineno for one in decorators)])


def _outer(table: symtable.SymbolTable) -> Iterator[str]:
    """Names that are read in a table or in one below it, and are of neither."""
    for symbol in table.get_symbols():
        if symbol.is_referenced() and symbol.is_global():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _outer(child)
