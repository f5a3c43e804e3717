"""Compiled code is kept, on a machine of a lab: Python's own `compile` looks here first.

What Ansible runs comes to a node as text, at every connection anew, and would be compiled each time: under software
emulation that was nearly half of what Python did on a node in a converge that changes nothing. A file is named by
the hash of the text and of what else decides what becomes of it; so nothing here is ever out of date. Root alone reads
and writes it.
"""

from __future__ import annotations

import builtins
import marshal
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER  # changes with the form of compiled code

TYPE_CHECKING = False  # what begins with every Python of the machine imports no `typing`
if TYPE_CHECKING:
    from typing import Any

FOLDER = "/var/cache/kept_code"
_SMALLEST = 2000  # characters; what is shorter is compiled as fast as it is found
_FUTURE = 0x1FE0000  # the flags of compile() that `from __future__` sets
_compile = builtins.compile


def install() -> None:
    """Have root's Python look here first."""
    if os.geteuid() == 0 and os.path.isdir(FOLDER):
        builtins.compile = compile


def compile(  # noqa: A001, PLR0917 - it takes the place of Python's own
    source: Any,
    filename: Any,
    mode: str,
    flags: int = 0,
    dont_inherit: bool = False,
    optimize: int = -1,
    **more: Any,
) -> Any:
    """See Python's own; a whole module that asks for nothing in particular is kept."""
    whole = mode == "exec" and dont_inherit and not flags and optimize == -1 and not more
    if not whole or not isinstance(source, (str, bytes)) or len(source) < _SMALLEST:
        if not dont_inherit:  # from whoever called us, and not from here
            flags |= sys._getframe(1).f_code.co_flags & _FUTURE
        return _compile(source, filename, mode, flags, True, optimize, **more)
    path = _path(source)
    try:
        with open(path, "rb") as kept:
            return marshal.loads(kept.read())
    except (OSError, EOFError, ValueError, TypeError):  # not there, or cut short when power went
        code = _compile(source, filename, mode, dont_inherit=True)
    _keep(path, code)
    return code


def _path(source: str | bytes) -> str:
    from hashlib import sha256  # most programs never come here

    text = source.encode(errors="surrogatepass") if isinstance(source, str) else source
    settings = repr((type(source).__name__, MAGIC_NUMBER, sys.flags.optimize)).encode()
    return os.path.join(FOLDER, sha256(settings + text).hexdigest())


def _keep(path: str, code: Any) -> None:
    draft = f"{path}.{os.getpid()}"
    try:
        with open(draft, "wb") as kept:
            kept.write(marshal.dumps(code))
        os.replace(draft, path)
    except OSError:  # a full disk, say: it is compiled again the next time
        pass
