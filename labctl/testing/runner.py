"""Runs a function that was shipped from elsewhere. This file goes to the node: it needs Python 3.6 and nothing else.

python3 runner.py PARCEL ANSWER         a file is read, a file is written
python3 -c LOADER BYTES MARK DEADLINE   from standard input; the answer is the last line of standard output
"""

import __future__

import ast
import base64
import importlib
import linecache
import os
import pickle
import signal
import socket
import sys
import traceback
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROTOCOL = 4  # of pickle: what Python 3.4 and later can read


def run(parcel: bytes) -> Any:
    """Run what is in a parcel; the answer, pickled, and the exit code.

    Args:
        parcel: a pickled dict: `steps` that make the modules, `entry` (module, name), `arguments` (pickled).
    """
    answer: Any = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "node": socket.gethostname().partition(".")[0],
        "value": None,
        "error": None,
    }
    code = 0
    try:
        content = pickle.loads(parcel)  # noqa: S301 - from whoever runs us
        value = _call(content)
        answer["value"] = pickle.dumps(value, _PROTOCOL)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, (int, type(None))):
            sys.stderr.write(f"{end.code}\n")
        answer["value"] = pickle.dumps(None, _PROTOCOL)
    except BaseException as error:  # whatever it is, it goes home
        code, answer["error"] = 1, _told(error)
    return pickle.dumps(answer, _PROTOCOL), code


def _call(content: Any) -> Any:
    for step in content["steps"]:
        _STEPS[step[0]](*step[1:])
    module, name = content["entry"]
    arguments, keywords = pickle.loads(content["arguments"])  # noqa: S301
    value = getattr(_module(module), name)(*arguments, **keywords)
    if isinstance(value, types.CoroutineType):
        import asyncio  # noqa: PLC0415 - few need it, and it is slow to come

        value = (
            asyncio.get_event_loop().run_until_complete(value)
            if sys.version_info < (3, 7)
            else asyncio.run(value)
        )
    return value


def _module(name: str) -> Any:
    module: Any = sys.modules.get(name)
    if module is None or not getattr(module, "__labctl__", False):
        module = sys.modules[name] = types.ModuleType(name)
        module.__labctl__ = True
    return module


def _source(module: str, filename: str, line: int, text: str) -> None:
    """A piece of a file, with the lines that it has there, so that tracebacks name and show them."""
    cache: Any = linecache.cache
    known = cache.get(filename, (0, None, [], filename))[2]
    lines = text.splitlines(True)
    known += ["\n"] * (line - 1 + len(lines) - len(known))
    known[line - 1 : line - 1 + len(lines)] = lines
    cache[filename] = (sum(map(len, known)), None, known, filename)
    indented = text[:1] in (" ", "\t")
    code = "\n" * (line - 2) + "if 1:\n" + text if indented else "\n" * (line - 1) + text
    exec(_compiled(code, filename), _module(module).__dict__)  # noqa: S102


def _compiled(code: str, filename: str) -> Any:
    """Annotations are not evaluated: they may name what did not come along, or what this Python does not know."""
    if hasattr(__future__, "annotations"):
        return compile(code, filename, "exec", __future__.annotations.compiler_flag, True)
    tree = ast.parse(code, filename)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.copy_location(ast.Tuple([], ast.Load()), node)
    return compile(tree, filename, "exec", 0, True)


def _import(module: str, alias: str, origin: str, attribute: str) -> None:
    found = (
        sys.modules[origin]
        if getattr(sys.modules.get(origin), "__labctl__", False)
        else importlib.import_module(origin)
    )
    if alias:
        setattr(_module(module), alias, getattr(found, attribute) if attribute else found)


def _value(module: str, alias: str, pickled: bytes) -> None:
    setattr(_module(module), alias, pickle.loads(pickled))  # noqa: S301


_STEPS: Any = {"source": _source, "import": _import, "value": _value}


def _told(error: BaseException) -> Any:
    """An exception in words, and as itself where that can be."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():  # our own frames tell nothing
        trace = trace.tb_next
    words = "".join(traceback.format_exception(type(error), error, trace))
    itself: Any = None
    with suppress(Exception):  # the words are enough
        itself = pickle.dumps(error, _PROTOCOL)
    return {"type": type(error).__name__, "text": str(error), "traceback": words, "pickled": itself}


def _too_late(*_: object) -> None:
    raise TimeoutError("the function did not end in time")


def over_pipes(parcel: bytes, mark: str, deadline: str) -> None:
    """Run a parcel; the answer follows what was said on standard output, behind a mark."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(int(deadline))
    answer, code = run(parcel)
    signal.alarm(0)
    sys.stdout.flush()
    os.write(1, b"\n" + mark.encode() + base64.b64encode(answer) + b"\n")
    sys.stderr.flush()
    os._exit(code)  # threads of the function's must not hold us


def over_files(source: str, target: str) -> None:
    """Run the parcel in a file; the answer is in another one, whole or not at all."""
    answer, code = run(Path(source).read_bytes())
    Path(f"{target}.new").write_bytes(answer)
    Path(f"{target}.new").rename(target)
    sys.exit(code)


if __name__ == "__main__":
    over_files(*sys.argv[1:3])
