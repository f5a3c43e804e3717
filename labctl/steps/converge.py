"""Converge: run playbooks over the lab until its nodes are as defined, through ansible-runner."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from labctl import scratch
from labctl.console import StepView
from labctl.errors import ConvergeError
from labctl.steps import ansible_settings
from labctl.steps.ansible_events import Collector, Failure, HostResult
from labctl.steps.processes import Process, family, find, kill

# After the first failed host the others may finish what they are at, but not sit out the deadlines of what
# they wait for: it will never come. Seconds.
GRACE_AFTER_FAILURE = 5.0
# With the free strategy a rescue starts at once; a failure that has stood this long is one. Seconds.
SETTLED = 1.0
# How long Ansible gets to end its workers after an interrupt before it is killed, in seconds.
GRACE_AFTER_INTERRUPT = 5.0
# More than any lab on one host has nodes; Ansible starts a worker only for a host that has something to do.
FORKS = 100
# How often ansible-runner looks whether it was cancelled, in seconds.
POLL = 0.5


@dataclass(frozen=True)
class ConvergeResult:
    """What a run did.

    Attributes:
        changed: tasks that changed something, over all hosts; 0 says the lab was as defined.
        ok: tasks that ran well, the changed ones included.
        failed: tasks that failed and that nothing rescued.
        hosts: the same counts for each host.
        changed_tasks: ``host: role : task`` of every change, in order.
        task_seconds: for each ``role : task`` the seconds of the slowest host, slowest first.
    """

    changed: int
    ok: int
    failed: int
    hosts: dict[str, HostResult]
    changed_tasks: list[str]
    task_seconds: dict[str, float]


def converge(
    directory: Path,
    *,
    inventory: Path,
    playbooks: Sequence[Path],
    view: StepView,
    log: Path,
    tags: str = "",
    skip: str = "",
    limit: str = "",
    check: bool = False,
    python: str = "",
) -> ConvergeResult:
    """Run playbooks one after the other, drawing each node's tasks on `view`.

    Args:
        directory: the lab's directory; ansible-runner's own files live in it for the time of the run.
        inventory: an Ansible inventory, file or directory.
        playbooks: the playbooks. After one that fails, no other is run.
        view: the step's view.
        log: all of Ansible's output goes there, mode 0600.
        tags: only tasks with these tags, comma separated.
        skip: no tasks of the first playbook with these tags, comma separated; others may mean something else by them.
        limit: only these hosts, an Ansible host pattern.
        check: change nothing, say what would change.
        python: the nodes' interpreter where Mitogen can be had, and the lab's variables name no other; empty for the
            inventory's own.

    Raises:
        ConvergeError: a task failed, a host did not answer, or Ansible could not start.
        KeyboardInterrupt: the user interrupted; nothing of Ansible is left running.
    """
    collector = Collector(view)
    options: dict[str, Any] = {
        "inventory": [str(inventory.absolute())],
        "tags": tags or None,
        "limit": limit or None,
        "cmdline": "--check" if check else None,
    }
    with _private_file(log) as output:
        for number, playbook in enumerate(playbooks):
            if len(playbooks) > 1:
                view.note(playbook.name)
            collector.begin()
            left_out = {"skip_tags": skip if skip and number == 0 else None}
            last = _play(directory, playbook, collector, output, options | left_out, python=python)
            if last is not None:
                raise _error([failure for failure, _ in collector.failures.values()], playbook, log, last)
    return _result(collector)


def _play(
    directory: Path,
    playbook: Path,
    collector: Collector,
    output: TextIO,
    options: Mapping[str, Any],
    *,
    python: str,
) -> list[str] | None:
    """Run one playbook; None if it went well, else the last lines that Ansible said."""
    import ansible_runner  # noqa: PLC0415 - slow, and most commands do without

    cancel, tail = _Cancel(collector), _Tail(output)
    with ExitStack() as stack:
        private = stack.enter_context(scratch.fresh(directory / ".converge"))
        # Not below the lab: Mitogen makes a socket in it, whose path must stay under 108 bytes.
        sockets = stack.enter_context(scratch.scratch(directory.name, "ansible"))
        stack.enter_context(_interrupts(cancel.interrupt))
        stack.callback(cancel.kill)

        def handle(event: dict[str, Any]) -> bool:
            tail.write(event.get("stdout"))
            collector.take(event)
            return False  # nothing is to be kept on disk

        run = ansible_runner.run(
            private_data_dir=str(private),
            playbook=str(playbook.absolute()),
            forks=FORKS,
            envvars=ansible_settings.environment(private, sockets),
            settings={"pexpect_timeout": POLL, "suppress_output_file": True},
            fact_cache_type="memory",
            quiet=True,
            event_handler=handle,
            cancel_callback=cancel,
            **{
                **options,
                "inventory": [*options["inventory"], *ansible_settings.interpreter(private, python)],
            },
        )
    if cancel.interrupted:
        raise KeyboardInterrupt
    collector.show_ends()
    return tail.last if collector.failures or run.rc != 0 else None


class _Cancel:
    """ansible-runner's cancel callback: asks Ansible to stop, then has ansible-runner kill it."""

    def __init__(self, collector: Collector, clock: Callable[[], float] = time.monotonic) -> None:
        self.interrupted = False
        self._collector = collector
        self._clock = clock
        self._asked: float | None = None
        self._root: Process | None = None
        self._family: tuple[Process, ...] = ()

    def interrupt(self) -> None:
        """Stop as soon as may be."""
        self.interrupted = True

    def __call__(self) -> bool:
        if self._root is None and self._collector.pid is not None:
            self._root = find(self._collector.pid)
        self._collector.show_failures(older_than=SETTLED)
        age = self._collector.first_failure_age()
        hopeless = age is not None and age >= GRACE_AFTER_FAILURE and not self._collector.finished
        if not (self.interrupted or hopeless):
            return False
        if self._root is None:
            return True
        if self._asked is None:
            self._asked = self._clock()
            self._family = family(self._root)
            _signal(self._root.pid, signal.SIGINT)
        if find(self._root.pid) == self._root and self._clock() - self._asked < GRACE_AFTER_INTERRUPT:
            return False
        self.kill()  # what outlives Ansible holds its terminal open, and ansible-runner would wait for that
        return True

    def kill(self) -> None:
        """End what is left: Ansible's workers and Mitogen's connections have sessions of their own."""
        if self._root is not None:
            kill(self._family + family(self._root))


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


class _Tail:
    """Writes the log and remembers its last lines, for a failure that no task is to blame for."""

    def __init__(self, stream: TextIO, keep: int = 15) -> None:
        self._stream = stream
        self._keep = keep
        self.last: list[str] = []

    def write(self, text: str | None) -> None:
        """Add an event's output."""
        if not text:
            return
        lines = text.replace("\r\n", "\n").strip("\n").splitlines()
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()
        self.last = [*self.last, *(line for line in lines if line.strip())][-self._keep :]


@contextmanager
def _private_file(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as stream:
        yield stream


@contextmanager
def _interrupts(handler: Callable[[], None]) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a call: an exception inside ansible-runner would orphan Ansible."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: handler()) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _error(failures: list[Failure], playbook: Path, log: Path, tail: list[str]) -> ConvergeError:
    hint = f"the whole output is in {log}; `labctl up` goes on from here"
    if not failures:
        return ConvergeError(f"Ansible could not run {playbook.name}", why="\n".join(tail), hint=hint)
    first, *others = failures
    where = f"\n({first.path})" if first.path else ""
    also = "".join(f"\n{other.host}: {other.task}: {other.summary}" for other in others)
    return ConvergeError(f"{first.host}: {first.task} failed", why=f"{first.message}{where}{also}", hint=hint)


def _result(collector: Collector) -> ConvergeResult:
    hosts: Mapping[str, HostResult] = collector.hosts
    return ConvergeResult(
        changed=sum(host.changed for host in hosts.values()),
        ok=sum(host.ok for host in hosts.values()),
        failed=sum(host.failed for host in hosts.values()),
        hosts=dict(hosts),
        changed_tasks=list(collector.changed_tasks),
        task_seconds=collector.task_seconds(),
    )
