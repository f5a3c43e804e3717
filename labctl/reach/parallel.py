"""Commands side by side, and their output with equal parts folded."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import IO

from ClusterShell.MsgTree import MsgTree
from ClusterShell.NodeSet import NodeSet

# A fork of ssh each; more at once would only make each slower.
_MOST_AT_ONCE = 64
LATE = 124  # what timeout(1) says of a command that it ended
_CHUNK = 65536  # bytes: what a pipe holds


@dataclass(frozen=True)
class Ended:
    """How one node's command ended, and all that it said."""

    exit_code: int
    out: bytes
    err: bytes

    def in_text(self) -> Outcome:
        """The same to read; what is no UTF-8 is replaced."""
        return Outcome(self.exit_code, self.out.decode(errors="replace"), self.err.decode(errors="replace"))


@dataclass(frozen=True)
class Outcome:
    """How one node's command ended, as people read it."""

    exit_code: int
    stdout: str
    stderr: str


def run_all(
    commands: Mapping[str, Sequence[str]],
    *,
    given: int | None = None,
    deadline: float | None = None,
    on_end: Callable[[str, Ended], None] = lambda *_: None,
) -> dict[str, Ended]:
    """Run a command for each node, all at the same time, and wait for all; an interrupt ends them all.

    Args:
        commands: the argument vector for each node.
        given: the file descriptor of what every command reads on its standard input, as it comes in; None is nothing.
        deadline: seconds that each of them may take; one that takes longer is ended, with exit code 124.
        on_end: is told of each that has ended.

    Raises:
        OSError: there is no such program.
    """
    ended: dict[str, Ended] = {}
    with closing(as_they_end(commands, given=given, deadline=deadline)) as ends:
        for node, how in ends:
            ended[node] = how
            on_end(node, how)
    return {node: ended[node] for node in commands}


def as_they_end(
    commands: Mapping[str, Sequence[str]], *, given: int | None = None, deadline: float | None = None
) -> Generator[tuple[str, Ended], None, None]:
    """The same, each when it has ended. Close it, and those that still run are ended."""
    group = _Group(None if given is None else _Input(given), deadline)
    try:
        for node, argv in commands.items():
            # Daemons: nobody waits for them. ssh's shared connection holds our pipes while the node is at work.
            threading.Thread(target=group.run, args=(node, argv), daemon=True).start()
        for _ in commands:
            yield group.next()
    except BaseException:
        group.end()
        raise


def worst(outcomes: Mapping[str, Outcome]) -> int:
    """The worst exit code of all."""
    return max((outcome.exit_code for outcome in outcomes.values()), default=0)


def folded(texts: Mapping[str, str]) -> list[tuple[NodeSet, str]]:
    """Each different text once, with the nodes that said it; the most nodes first, silent nodes left out."""
    tree = MsgTree()
    for node, text in texts.items():
        for line in text.splitlines():
            tree.add(node, line.encode())
    groups = [(NodeSet.fromlist(list(nodes)), message) for message, nodes in tree.walk()]
    groups.sort(key=lambda group: (-len(group[0]), str(group[0])))
    return [(nodes, b"\n".join(message).decode(errors="replace")) for nodes, message in groups]


class _Group:
    """Processes that are ended together. One that would start later than that does not start."""

    def __init__(self, stdin: _Input | None, deadline: float | None) -> None:
        self._ended: queue.Queue[tuple[str, Ended | OSError]] = queue.Queue()
        self._stdin = stdin
        self._deadline = deadline
        self._turns = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._started: list[subprocess.Popen[bytes]] = []
        self._over = False

    def run(self, node: str, argv: Sequence[str]) -> None:
        """Run one of them, and tell how it ended."""
        try:
            with self._turns:
                self._ended.put((node, self._await(self._start(argv))))
        except OSError as error:
            self._ended.put((node, error))

    def next(self) -> tuple[str, Ended]:
        """The next one that ends, and how it ended."""
        node, how = self._ended.get()
        if isinstance(how, OSError):
            raise how
        return node, how

    def end(self) -> None:
        """End them all; nobody waits for that."""
        with self._lock:
            self._over = True
            for process in self._started:
                process.terminate()

    def _start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._over:
                raise InterruptedError
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if self._stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            self._started.append(process)
        if self._stdin:
            # From here on the pipe is the thread's: communicate() would close it.
            pipe, process.stdin = process.stdin, None
            threading.Thread(target=self._stdin.feed, args=(pipe,), daemon=True).start()
        return process

    def _await(self, process: subprocess.Popen[bytes]) -> Ended:
        try:
            out, err = process.communicate(timeout=self._deadline)
        except subprocess.TimeoutExpired as late:
            process.kill()
            why = f"no end within {self._deadline:.0f} s\n".encode()
            return Ended(LATE, late.stdout or b"", (late.stderr or b"") + why)
        code = process.returncode
        return Ended(code if code >= 0 else 128 - code, out, err)


class _Input:
    """What several programs read, each at its own pace, while it still comes in. It need not ever end."""

    def __init__(self, source: int) -> None:
        self._chunks: list[bytes] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def feed(self, pipe: IO[bytes]) -> None:
        """Hand all of it to a program that may have ended long since."""
        with suppress(BrokenPipeError), pipe:
            for chunk in self._all():
                pipe.write(chunk)
                pipe.flush()

    def _read(self, source: int) -> None:
        # Not by sys.stdin: a thread that waits in it keeps Python from ending.
        with suppress(OSError):
            while chunk := os.read(source, _CHUNK):
                self._tell(chunk)
        self._tell(b"")

    def _tell(self, chunk: bytes) -> None:
        with self._news:
            self._chunks.append(chunk)
            self._news.notify_all()

    def _all(self) -> Iterator[bytes]:
        at = 0
        while True:
            with self._news:
                self._news.wait_for(lambda at=at: at < len(self._chunks))  # type: ignore[misc]
                chunk = self._chunks[at]
            if not chunk:
                return
            yield chunk
            at += 1
