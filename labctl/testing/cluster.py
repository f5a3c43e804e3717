"""What a test does with a cluster, whatever is behind it: jobs, functions on nodes, commands, files and hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from labctl.errors import LabError
from labctl.reach.parallel import Outcome
from labctl.render.connection import Connection
from labctl.testing import results, script, shipping
from labctl.testing.backend import Backend, Submission
from labctl.testing.hooks import Event, Hook, Hooks
from labctl.testing.job import Job
from labctl.testing.results import Results
from labctl.testing.script import Value
from labctl.testing.testlet import PATIENCE, Testlet, Where

AnyHook = TypeVar("AnyHook", bound=Hook)
# SLURM_SUBMIT_DIR is the job's own folder, on a file system that all nodes see.
_RUN = (
    'exec {python} -u "$SLURM_SUBMIT_DIR/runner.py" "$SLURM_SUBMIT_DIR/parcel" "$SLURM_SUBMIT_DIR/answer"\n'
)


class Cluster:
    """A cluster.

    Attributes:
        jobs: those that were submitted here, in order.
        hooks: what happens before and after things.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self.jobs: list[Job] = []
        self.hooks = Hooks()
        self._backend = backend

    @property
    def backend(self) -> Backend:
        """What is behind it.

        Raises:
            LabError: there is nothing: it was not started.
        """
        if self._backend is None:
            raise LabError("the cluster does not run", hint="cluster.start(), or `with cluster:`")
        return self._backend

    @property
    def name(self) -> str:
        """Its name."""
        return self.get_config().cluster

    def get_config(self) -> Connection:
        """How an SSH client reaches it: hostname, port, username, key_filename, known_hosts, partitions, nodes, ..."""
        return self.backend.connection()

    def nodes(self, pattern: str = "all") -> tuple[str, ...]:
        """The nodes meant by a hostlist, ``@role``, ``@partition`` or ``all``."""
        return self.backend.nodes(pattern)

    # Jobs

    def submit(
        self,
        task: str | Path | Callable[..., Any],
        *arguments: Any,
        python: str = "python3",
        **options: Value,
    ) -> Job:
        """Submit a job.

        Args:
            task: a function, which runs on the job's first node; a script's text; or the path of a script.
            arguments: of the function, or of the script. For keywords there is `functools.partial`.
            python: the program on the node that runs the function.
            options: those of sbatch, with _ for -: ``partition="debug", cpus_per_task=2, exclusive=True``.

        Raises:
            JobError: Slurm refuses it.
            ShippingError: the function cannot go to a node.
        """
        if callable(task):
            parcel = shipping.pack(task, arguments)
            named = {"job_name": parcel.name, **options}
            rendered = script.render(_RUN.format(python=python), named)
            submission = Submission(rendered, parcel=parcel, python=python)
        else:
            words = tuple(str(word) for word in arguments)
            submission = Submission(script.render(script.text(task), options), words)
        job = Job(self.backend, self.backend.submit(submission), submission)
        self.jobs.append(job)
        return job

    # Functions and commands on nodes

    def on(
        self,
        nodes: str,
        *,
        user: str = "",
        timeout: float = PATIENCE,
        check: bool = True,
        python: str = "python3",
    ) -> Callable[[Callable[..., Any]], Testlet]:
        """A decorator: the function runs on these nodes when it is called. See `Where` for the arguments."""
        where = Where(nodes, user, timeout, check, python)
        return lambda function: Testlet(lambda: self.backend, where, function)

    def execute(
        self, command: str, nodes: str = "", *, user: str = "", timeout: float = PATIENCE, check: bool = True
    ) -> Results:
        """Run a shell command on nodes at the same time.

        Args:
            command: for the shell there.
            nodes: which, as for `nodes`; by default the controller, as the user whose jobs `submit` submits.
            user: who to be there; where nodes are named, the default is who owns the machines.
            timeout: seconds that it may take.
            check: raise if it fails anywhere.

        Raises:
            RemoteError: it failed.
        """
        chosen, who = self._who_and_where(nodes, user)
        with closing(self.backend.execute(chosen, command, user=who, timeout=timeout)) as ends:
            found = {node: results.of_command(node, command, ended) for node, ended in ends}
        together = Results({node: found[node] for node in chosen})
        return together.check(lambda result: result.exit_code != 0) if check else together

    # Files

    def push(
        self,
        sources: str | Path | Iterable[str | Path],
        target: str | Path = "",
        nodes: str = "",
        *,
        user: str = "",
        recursive: bool = False,
    ) -> None:
        """Copy files to nodes; by default to the controller, for the user whose jobs `submit` submits.

        Args:
            sources: here.
            target: there; what does not begin with / is in the user's home.
            nodes: which.
            user: who to be there.
            recursive: folders as well.

        Raises:
            LabError: a node did not get it.
        """
        chosen, who = self._who_and_where(nodes, user)
        place = f"{','.join(chosen)}:{target}"
        _check("push", self.backend.copy(_several(sources), place, user=who, recursive=recursive))

    def pull(
        self,
        sources: str | Path | Iterable[str | Path],
        target: str | Path = ".",
        nodes: str = "",
        *,
        user: str = "",
        recursive: bool = False,
    ) -> None:
        """Copy files from nodes; where there are several nodes, to a folder for each in the target.

        Args:
            sources: there.
            target: here.
            nodes: which.
            user: who to be there.
            recursive: folders as well.

        Raises:
            LabError: a node did not give it.
        """
        chosen, who = self._who_and_where(nodes, user)
        places = [f"{','.join(chosen)}:{source}" for source in _several(sources)]
        _check("pull", self.backend.copy(places, target, user=who, recursive=recursive))

    # Hooks

    def hook(self, event: Event) -> Callable[[AnyHook], AnyHook]:
        """A decorator: the function is called with the cluster at each such event."""

        def add(hook: AnyHook) -> AnyHook:
            self.hooks.add(event, hook)
            return hook

        return add

    def _who_and_where(self, nodes: str, user: str) -> tuple[tuple[str, ...], str]:
        if nodes:
            return self.backend.nodes(nodes), user
        config = self.get_config()
        return (config.controller,), user or config.username


def _several(sources: str | Path | Iterable[str | Path]) -> list[str | Path]:
    return [sources] if isinstance(sources, str | Path) else list(sources)


def _check(what: str, outcomes: Mapping[str, Outcome]) -> None:
    failed = {node: ended for node, ended in outcomes.items() if ended.exit_code}
    if failed:
        why = "\n".join(
            f"{node}: {ended.stderr.strip() or ended.exit_code}" for node, ended in failed.items()
        )
        raise LabError(f"{what} failed for {', '.join(failed)}", why=why)
