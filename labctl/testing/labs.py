"""The labs of a test run: each is made once, shared between processes and runs, and removed by whoever used it last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import platformdirs
import tenacity

from labctl import console, folders
from labctl.errors import LabError, LockedError, UsageError
from labctl.lab import Lab
from labctl.testing.hooks import EVENTS, Event
from labctl.testing.lab_cluster import VARIABLE, TestCluster
from labctl.testing.sharing import SharedLock
from labctl.testing.wanted import Wanted

# Seconds that another process may take to bring a lab up, or to remove it. Six machines from nothing, on two cores and
# without KVM, take five minutes, and a box that must be built first as long again.
_UP = 2400.0
_LEFT = 90.0  # seconds for a process that was interrupted to let go of a lab
# A process that was interrupted may still hold the lab.
_PATIENTLY = tenacity.Retrying(
    retry=tenacity.retry_if_exception_type(LockedError),
    stop=tenacity.stop_after_delay(_LEFT),
    wait=tenacity.wait_fixed(1),
    reraise=True,
)


class NotUpError(LabError):
    """A lab of this run did not come up; that was said where it happened."""


class NotEnoughError(LabError):
    """The lab that the user named lacks what a test needs."""


@dataclass(frozen=True)
class Settings:
    """How labs are handled.

    Attributes:
        root: of the project; its labs are in `.labctl/` there.
        run: the folder where the processes of this run tell each other what they do.
        keep: labs stay when the run ends.
        logs: where logs go that somebody may want to read later.
        last: this process is the one that ends last.
        call: is told of each event of a cluster.
        say: is told in a line what takes long.
    """

    root: Path
    run: Path
    keep: bool
    logs: Path
    last: bool
    call: Callable[[Event, TestCluster], object]
    say: Callable[[str], object]


@dataclass
class Taken:
    """A lab that this process uses.

    Attributes:
        cluster: the lab.
        ours: it was made for tests, and is not the user's own.
        use: is shared by all processes that use it.
        busy: is shared by all tests that use it.
        holders: the fixtures that have it.
    """

    cluster: TestCluster
    ours: bool
    use: SharedLock
    busy: SharedLock
    holders: set[str] = field(default_factory=set)


@dataclass
class Labs:
    """The labs that this process uses."""

    settings: Settings
    taken: dict[Wanted, Taken] = field(default_factory=dict)

    def take(self, wanted: Wanted, holder: str) -> TestCluster:
        """The cluster, which comes up if it is not up; the holder has it until `release`.

        Raises:
            NotUpError: it did not come up before.
            LabError: it does not come up.
        """
        if wanted not in self.taken:
            given = os.environ.get(VARIABLE)
            self.taken[wanted] = self._given(wanted) if given else self._made(wanted)
        self.taken[wanted].holders.add(holder)
        return self.taken[wanted].cluster

    def failed(self, wanted: Wanted) -> str:
        """Why it did not come up in this run; nothing if it did, or was not asked for."""
        note = self._failed(wanted.name(self.settings.root))
        return note.read_text() if note.exists() else ""

    def release(self, wanted: Wanted, holder: str) -> None:
        """A holder's tests have ended; if nobody else uses it, it is removed."""
        taken = self.taken.get(wanted)
        if taken is None or taken.holders - {holder}:
            return
        del self.taken[wanted]
        taken.use.release()
        if taken.ours and self.settings.last:
            self._remove(taken.cluster)

    def finish(self) -> None:
        """The run has ended: no lab of it stays that is not to be kept."""
        for wanted, taken in list(self.taken.items()):
            for holder in list(taken.holders):
                taken.holders.discard(holder)
                self.release(wanted, holder)
        if not self.settings.last:
            return
        for note in sorted(self.settings.run.glob("*.lab")):
            if (self.settings.root / folders.FOLDER / note.stem).exists():
                self._remove(self._cluster(Lab.find(note.stem, base=self.settings.root)))
        shutil.rmtree(self.settings.run, ignore_errors=True)

    @contextmanager
    def at_work(self, wanted: Wanted) -> Iterator[None]:
        """A test uses it: nobody resets it meanwhile."""
        taken = self.taken[wanted]
        if not taken.busy.share(_UP):
            raise LabError(f"{taken.cluster.name} is being reset by another process since {_UP:.0f} s")
        try:
            _used(taken.cluster).touch()
            yield
        finally:
            taken.busy.release()

    def reset(self, wanted: Wanted) -> None:
        """Put one that was taken back as it was verified, once the tests of other processes on it have ended.

        Raises:
            UsageError: it is the user's own.
            LabError: it cannot be.
        """
        taken = self.taken[wanted]
        cluster = taken.cluster
        if not taken.ours:
            raise UsageError(
                f"the test resets its lab, and {cluster.name} is yours", hint=f"run it without {VARIABLE}"
            )
        if not _used(cluster).exists():
            return
        if not taken.busy.alone(_UP):
            raise LabError(f"other tests use {cluster.name} since {_UP:.0f} s, so it cannot be reset")
        try:
            cluster.reset()
            _used(cluster).unlink(missing_ok=True)
        finally:
            taken.busy.release()

    # How that comes about

    def _given(self, wanted: Wanted) -> Taken:
        """The lab that the user names, if it is enough."""
        if wanted.changes:
            raise NotEnoughError(f"the test wants a lab of its own: {wanted}", hint=f"unset {VARIABLE}")
        cluster = TestCluster.from_env(directory=self.settings.root)
        self._attach(cluster)
        wants = _counts(TestCluster(preset=wanted.preset, **wanted.arguments()).lab)
        has = _counts(cluster.lab)
        for what, want in wants.items():
            if has[what] < want:
                why = f"it has {has[what]} {what}, and {wanted} has {want}"
                raise NotEnoughError(
                    f"{cluster.name} is not enough for the test", why=why, hint=f"unset {VARIABLE}"
                )
        use, busy = self._locks(cluster.name)
        return Taken(cluster, ours=False, use=use, busy=busy)

    def _made(self, wanted: Wanted) -> Taken:
        name = wanted.name(self.settings.root)
        self.settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        cluster = TestCluster(
            name,
            wanted.preset,
            directory=self.settings.root,
            reporter=console.PlainReporter(),
            **wanted.arguments(),
        )
        self._attach(cluster)
        use, busy = self._locks(name)
        if not use.share(_UP):
            raise LabError(f"{name} is being removed by another process since {_UP:.0f} s")
        try:
            self._await_turn(cluster)
        except BaseException:
            use.release()
            raise
        return Taken(cluster, ours=True, use=use, busy=busy)

    def _await_turn(self, cluster: TestCluster) -> None:
        """Bring it up when no other process does; to the next one it is up then."""
        try:
            with filelock.FileLock(_folder() / f"{cluster.name}.up", timeout=_UP):
                self._bring_up(cluster)
        except filelock.Timeout as error:
            raise LabError(f"another process has not brought {cluster.name} up within {_UP:.0f} s") from error

    def _bring_up(self, cluster: TestCluster) -> None:
        failed = self._failed(cluster.name)
        if failed.exists():
            raise NotUpError(f"the lab {cluster.name} did not come up", why=failed.read_text())
        (self.settings.run / f"{cluster.name}.lab").touch()
        if not cluster.lab.files.definition.is_file():
            _used(cluster).unlink(missing_ok=True)  # that was another one
        self.settings.say(f"labctl: {cluster.name} is brought up")
        try:
            cluster.start()
        except BaseException as error:
            if cluster.lab.files.definition.is_file():
                self._give_up(cluster, error)
            raise

    def _give_up(self, cluster: TestCluster, error: BaseException) -> None:
        """Nothing is left of a lab that has not come up but its logs."""
        self._failed(cluster.name).write_text(str(error).partition("\n")[0] or type(error).__name__)
        logs = self._keep_logs(cluster)
        if not self.settings.keep:
            cluster.destroy()
        if isinstance(error, LabError) and logs:
            error.hint = f"{error.hint}\nits logs: {logs}".strip()

    def _keep_logs(self, cluster: TestCluster) -> Path | None:
        """The logs of a lab that did not come up, which go with it."""
        logs, kept = cluster.lab.files.logs, self.settings.logs / cluster.name
        if not any(logs.glob("*")):
            return None
        with suppress(OSError, shutil.Error):  # a console's log is QEMU's
            shutil.copytree(logs, kept, dirs_exist_ok=True)
            (kept / ".gitignore").write_text("*\n")
        return kept

    def _remove(self, cluster: TestCluster) -> None:
        """Destroy it, unless it is to be kept or somebody else uses it."""
        use, _ = self._locks(cluster.name)
        try:
            if not self.settings.keep and use.alone():
                _PATIENTLY(cluster.destroy)
        finally:
            use.release()

    def _cluster(self, lab: Lab) -> TestCluster:
        cluster = TestCluster.of(lab, reporter=console.PlainReporter())
        self._attach(cluster)
        return cluster

    def _attach(self, cluster: TestCluster) -> None:
        """Have the project's hooks called."""
        for event in EVENTS:
            if event.endswith(("start", "stop")):
                cluster.hooks.add(event, lambda it, event=event: self.settings.call(event, it))

    def _failed(self, name: str) -> Path:
        """Where the processes of the run are told why it did not come up."""
        return self.settings.run / f"{name}.failed"

    @staticmethod
    def _locks(name: str) -> tuple[SharedLock, SharedLock]:
        return SharedLock(_folder() / f"{name}.use"), SharedLock(_folder() / f"{name}.busy")


def _used(cluster: TestCluster) -> Path:
    """Is there once tests have used it."""
    return _folder() / f"{cluster.name}.used"


def _counts(lab: Lab) -> dict[str, int]:
    """What a test may need of a lab."""
    nodes = [node for node in lab.definition.machines() if "slurmd" in node.roles]
    return {
        "nodes that compute": len(nodes),
        "nodes with GPUs": sum(node.gpus > 0 for node in nodes),
        "registries": int(lab.definition.services.registry),
    }


def _folder() -> Path:
    """Where processes of this user's meet."""
    return platformdirs.user_cache_path("labctl") / "pytest"
