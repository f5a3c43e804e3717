"""A Python that has loaded all that Ansible needs of a node; each program that is brought to it runs in a fork.

Under software emulation a Python that starts, and the modules that Mitogen sends it at each connection, cost as much as
a third of a converge that changes nothing. Here they are loaded once, when somebody first asks. What a box keeps of
them is what Mitogen sent when the box was built (`labctl/steps/precompile.py`); it is Mitogen that says how a fork
takes over what its parent has imported. A fork is asked for by name and version (the socket's), and a Mitogen that
begins with any other text gets a Python of its own.
"""
# ruff: noqa: S102, SLF001 - programs are run here, and Mitogen begins with its own private parts

from __future__ import annotations

import builtins
import gc
import importlib
import marshal
import os
import signal
import socket
import struct
import sys
import time
import types
import zlib
from contextlib import suppress

TYPE_CHECKING = False  # what begins with every Python of the machine imports no `typing`
if TYPE_CHECKING:
    from typing import Any, NoReturn

KEPT = "/usr/lib/warm_python/modules"
_START = (
    b"\nExternalContext("  # where the text that begins a Mitogen ends, and what it shall begin with follows
)
_execl = os.execl


class Nowhere:
    """Mitogen's router, before there is a connection."""

    def add_handler(self, **_: object) -> None:
        """Nothing will come."""


class Warm:
    """Mitogen and what it has imported, without a connection.

    Args:
        kept: the file that `keep_loaded` of precompile.py wrote.
    """

    def __init__(self, kept: str) -> None:
        with open(kept, "rb") as stream:  # noqa: PTH123 - nothing is to be imported that no program needs
            names, sent = marshal.load(stream)  # noqa: S302 - root's own, from when the box was built
        sources = {module[0]: module for module in sent}
        self.text = zlib.decompress(sources["mitogen.core"][3])
        self.core: Any = _program()
        exec(compile(self.text, "<stdin>", "exec", 0, True), self.core.__dict__)
        policy = self.core.ImportPolicy(("ansible", "ansible_mitogen", "mitogen"))
        self.importer = self.core.Importer(Nowhere(), None, self.text, policy)
        self.importer._cache.update(sources)
        # Mitogen's own asks for what no package has, and that is looked for each time: a sixth of a node's converge.
        vars(self.core)["import_module"] = importlib.import_module
        sys.meta_path.insert(0, self.importer)
        self._package()
        _program()  # some import it, and it is Mitogen itself no more
        for name in names:
            importlib.import_module(name)
        sys.meta_path.remove(self.importer)

    def _package(self) -> None:
        """Have a package `mitogen`, as Mitogen makes one of its first text."""
        context = self.core.ExternalContext({"version": None, "context_id": 0, "parent_ids": [0]})
        context.importer = self.importer
        context._setup_package()
        context._setup_globals()

    def take_over(self, beginning: bytes) -> None:
        """Be what Mitogen wants here: until the connection ends."""
        _read(101)  # the same text once more, for importers that have none
        os.close(101)
        exec(beginning, {"ExternalContext": self._context})

    def _context(self, settings: dict[str, Any]) -> Any:
        self.importer.policy = self.core.ImportPolicy(settings["import_overrides"], settings["import_blocks"])
        inherited = {"importer": self.importer, "setup_package": False, "core_src_fd": None}
        return self.core.ExternalContext({**settings, **inherited})


def serve(listener: socket.socket, warm: Warm) -> NoReturn:
    """Run each program that comes, side by side."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # or every fork would touch, and so copy, all that is loaded
    while True:
        connection, _ = listener.accept()
        with connection:
            if os.fork() == 0:
                listener.close()
                _attend(connection, warm)


def _attend(connection: socket.socket, warm: Warm) -> NoReturn:
    """Run one program, and say that it has begun and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    words, files = _received(connection)
    connection.sendall(b"!")
    program = os.fork()
    if program == 0:
        connection.close()
        _become(words, files, warm)
    for file in files:
        os.close(file)
    _, ended = os.waitpid(program, 0)
    code = os.waitstatus_to_exitcode(ended)
    with suppress(OSError):  # whoever asked has gone
        connection.sendall(struct.pack("i", code if code >= 0 else 128 - code))
    os._exit(0)


def _received(connection: socket.socket) -> tuple[list[str], list[int]]:
    head, files, _, _ = socket.recv_fds(connection, 4, 3)
    (length,) = struct.unpack("I", head)
    text = b""
    while len(text) < length:
        more = connection.recv(length - len(text))
        if not more:
            raise EOFError
        text += more
    return os.fsdecode(text).split("\0")[:-1], files


def _become(words: list[str], files: list[int], warm: Warm) -> NoReturn:
    """The program's process: all that it inherits is what the one has who asked."""
    mask, directory, count, *rest = words
    arguments, environment = rest[: int(count)], rest[int(count) :]
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.umask(int(mask, 8))
    os.chdir(directory)
    os.environ.clear()
    os.environ.update({name: value for name, _, value in (one.partition("=") for one in environment)})
    time.tzset()  # the machine may have been told another zone since
    os.execl = lambda path, *more: _replaced(path, more, warm)
    sys.argv = ["-c", *arguments[2:]]
    sys.path.insert(0, "")
    code = 0
    try:
        exec(compile(arguments[1], "<string>", "exec", 0, True), _program().__dict__)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    _end(code)


def _replaced(path: str, arguments: tuple[str, ...], warm: Warm) -> NoReturn:
    """What os.execl does; but a Python that reads Mitogen from its standard input has read it already."""
    if path != sys.executable or len(arguments) != 1:
        _execl(path, *arguments)
    text = _read(0)
    core, start, settings = text.rpartition(_START)
    if core == warm.text:
        warm.take_over(start + settings)
        _end(0)
    unread = os.memfd_create("stdin")
    os.write(unread, text)
    os.lseek(unread, 0, os.SEEK_SET)
    os.dup2(unread, 0)
    _execl(path, *arguments)


def _program() -> types.ModuleType:
    """A new, empty program."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return main


def _read(file: int) -> bytes:
    """All that is left of a file."""
    with open(file, "rb", closefd=False) as stream:
        return stream.read()


def _end(code: int) -> NoReturn:
    """End this process, and leave alone what its parent had registered to be done at its own end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=3), Warm(KEPT))  # systemd's
