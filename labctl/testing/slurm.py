"""A lab as the backend of a cluster: Slurm's own commands, and functions, over the lab's shared SSH connections."""

from __future__ import annotations

import base64
import io
import os
import re
import secrets
import shlex
import tarfile
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.reach import copying
from labctl.reach.commands import as_they_end_on
from labctl.reach.parallel import LATE, Outcome
from labctl.render.connection import Connection, connection
from labctl.testing.backend import OVER, Called, Look, Output, Submission
from labctl.testing.errors import JobError, reason

if TYPE_CHECKING:
    from labctl.lab import Lab
    from labctl.testing.shipping import Parcel

FOLDER = "slurm_jobs"  # in the user's home, where each job has a folder of its own
_INTERVAL = 1.0  # seconds between two looks at a job
_PATIENCE = 120.0  # seconds for one of Slurm's commands; where there is no KVM it takes one or two
_GRACE = 15.0  # seconds for a function to say that its time is over, before its process is ended
_LOST = 255  # ssh's own exit code
_TRIES = 3
_RUNNER = (Path(__file__).parent / "runner.py").read_bytes()
# Reads the runner, then the parcel.
_LOADER = (
    "import sys;b=sys.stdin.buffer;r={'__name__':'runner'};"
    "exec(compile(b.read(int(sys.argv[1])),'runner.py','exec'),r);r['over_pipes'](b.read(),*sys.argv[2:])"
)
_SUBMIT = (
    'mkdir -p "$HOME/{folder}/{job}" && cd "$HOME/{folder}/{job}" && tar xf - && sbatch --parsable {words}'
)
# A job that Slurm itself has forgotten may still be in its accounts, if there are any.
_LOOK = (
    "scontrol show job {job} 2>/dev/null"
    " || sacct -n -X -P -j {job} -o 'State,Reason,ExitCode,NodeList' 2>/dev/null"
)
# ls, so that the controller does not go by what it once knew of a folder on NFS.
_READ = 'for file in "$@"; do ls "${file%/*}" >/dev/null; base64 -w 0 "$file" 2>/dev/null; echo; done'


class SlurmBackend:
    """Jobs and functions on a running lab."""

    def __init__(self, lab: Lab, user: str = "") -> None:
        self.lab = lab
        self._user = user
        self._written: dict[str, tuple[str, str, str]] = {}  # by job: its output, its errors, its answer

    def connection(self) -> Connection:
        """See `Backend.connection`."""
        return self._connection

    @cached_property
    def _connection(self) -> Connection:
        return connection(self.lab.layout(), self._user)

    def nodes(self, pattern: str) -> tuple[str, ...]:
        """See `Backend.nodes`."""
        return self.lab.nodes(pattern)

    def submit(self, submission: Submission) -> str:
        """See `Backend.submit`. The job's folder is where it starts.

        Raises:
            JobError: sbatch refuses it.
        """
        files = {"script": submission.script.encode()}
        if submission.parcel:
            files |= {"runner.py": _RUNNER, "parcel": submission.parcel.data}
        words = shlex.join(["script", *submission.arguments])
        command = _SUBMIT.format(folder=FOLDER, job=secrets.token_hex(4), words=words)
        done = self._on_controller(command, _tar(files))
        found = re.search(r"^(\d+)(;.*)?$", done.stdout, re.MULTILINE)
        if done.exit_code or not found:
            raise JobError(
                "the job could not be submitted",
                why=reason(done.exit_code, done.stderr or done.stdout),
                hint=f"its script was:\n{submission.script}",
            )
        return found[1]

    def look(self, job_id: str) -> Look:
        """See `Backend.look`.

        Raises:
            JobError: Slurm does not know it any more.
        """
        done = self._ask(_LOOK.format(job=job_id))
        found = parse(done.stdout)
        if done.exit_code in (LATE, _LOST):
            raise JobError(f"the job {job_id} cannot be looked at", why=reason(done.exit_code, done.stderr))
        if found is None:
            raise JobError(
                f"Slurm does not know the job {job_id}",
                why="it is over since longer than MinJobAge, and there is no accounting",
                hint="look at jobs before that, or set vars.slurm_common_config.MinJobAge",
            )
        if paths := written(done.stdout):
            self._written[job_id] = paths
        return found

    def output(self, job_id: str) -> Output:
        """See `Backend.output`; where it is was seen at the first look.

        Raises:
            JobError: Slurm does not know it any more, and nobody has looked before.
        """
        if job_id not in self._written:
            self.look(job_id)
        paths = self._written.get(job_id, ("", "", ""))
        told = self._ask(shlex.join(["sh", "-c", _READ, "sh", *paths])).stdout.split("\n")
        out, err, answer = (base64.b64decode(text) for text in told[:3])
        return Output(out.decode(errors="replace"), err.decode(errors="replace"), answer or None)

    def cancel(self, job_id: str) -> None:
        """See `Backend.cancel`."""
        done = self._ask(f"scancel {job_id}")
        if done.exit_code and "Invalid job id" not in done.stderr:
            raise JobError(f"the job {job_id} could not be cancelled", why=done.stderr.strip())

    def now(self) -> float:
        """See `Backend.now`."""
        return time.monotonic()

    def pause(self) -> None:
        """See `Backend.pause`."""
        time.sleep(_INTERVAL)

    def execute(
        self, nodes: Sequence[str], command: str, *, user: str, timeout: float, given: bytes = b""
    ) -> Generator[tuple[str, Outcome], None, None]:
        """See `Backend.execute`; ``given`` is the command's standard input."""
        with (
            _file(given) as stream,
            closing(
                as_they_end_on(self.lab, nodes, [command], user=user or None, given=stream, deadline=timeout)
            ) as ends,
        ):
            yield from ends

    def call(
        self, nodes: Sequence[str], parcel: Parcel, *, user: str, timeout: float, python: str
    ) -> Generator[tuple[str, Called], None, None]:
        """See `Backend.call`."""
        mark = f"labctl-{secrets.token_hex(8)}:"
        command = shlex.join(
            [python, "-u", "-c", _LOADER, str(len(_RUNNER)), mark, str(max(1, int(timeout)))]
        )
        given = _RUNNER + parcel.data
        with closing(self.execute(nodes, command, user=user, timeout=timeout + _GRACE, given=given)) as ends:
            for node, ended in ends:
                yield node, called(ended, mark)

    def copy(
        self, sources: Sequence[str | Path], target: str | Path, *, user: str, recursive: bool
    ) -> Mapping[str, Outcome]:
        """See `Backend.copy`."""
        return copying.copy(
            self.lab, [str(one) for one in sources], str(target), user=user, recursive=recursive
        )

    def _ask(self, command: str) -> Outcome:
        """What may be asked twice is asked again if the connection is lost: that of a busy node is, at times."""
        done = self._on_controller(command)
        for _ in range(_TRIES - 1):
            if done.exit_code != _LOST:
                break
            self.pause()
            done = self._on_controller(command)
        return done

    def _on_controller(self, command: str, given: bytes = b"") -> Outcome:
        to = self._connection
        ((_, done),) = self.execute(
            [to.controller], command, user=to.username, timeout=_PATIENCE, given=given
        )
        return done


def parse(text: str) -> Look | None:
    """Read what ``scontrol show job`` or ``sacct`` says of a job; None if that is nothing."""
    facts = dict(
        re.findall(
            r"^   (JobState|NodeList|Reason|ExitCode)=(\S*)",
            text.replace(" Reason=", "\n   Reason="),
            re.MULTILINE,
        )
    )
    exit_code = re.search(r"\bExitCode=(\d+):(\d+)$", text, re.MULTILINE)
    if "JobState" in facts:
        code = exit_code.groups() if exit_code else ("0", "0")
        return _look(facts["JobState"], facts.get("Reason", ""), code, facts.get("NodeList", ""))
    fields = text.strip().split("\n")[0].split("|")
    if len(fields) == 4:  # noqa: PLR2004 - as many as were asked for
        state, reason, code_, nodes = fields
        return _look(state.split(" ")[0], reason, tuple(code_.split(":")), nodes)
    return None


def written(text: str) -> tuple[str, str, str] | None:
    """Where ``scontrol show job`` says that a job writes its output and errors, and where its answer is."""
    facts = dict(re.findall(r"^   (StdOut|StdErr|Command)=(.*)$", text, re.MULTILINE))
    if not facts:
        return None
    folder = Path(facts.get("Command", "").split(" ")[0]).parent
    return facts.get("StdOut", ""), facts.get("StdErr", ""), f"{folder}/answer"


def _look(state: str, reason: str, code: Sequence[str], nodes: str) -> Look:
    exit_code = None
    if state in OVER:
        exit_code = int(code[0]) or (128 + int(code[1]) if int(code[1]) else 0)
    none = ("None", "(null)")
    return Look(state, "" if reason in none else reason, exit_code, "" if nodes in none else nodes)


def called(ended: Outcome, mark: str) -> Called:
    """Part what a function's process said from the answer behind the mark."""
    out, found, answer = ended.stdout.rpartition(f"\n{mark}")
    if not found:
        return Called(ended.exit_code, ended.stdout, ended.stderr, None)
    return Called(ended.exit_code, out, ended.stderr, base64.b64decode(answer))


def _tar(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            member.mtime = int(time.time())
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@contextmanager
def _file(content: bytes) -> Iterator[int | None]:
    """The descriptor of a file with this content; nothing for nothing."""
    if not content:
        yield None
        return
    with tempfile.TemporaryFile() as stream:
        stream.write(content)
        stream.flush()
        os.lseek(stream.fileno(), 0, os.SEEK_SET)
        yield stream.fileno()
