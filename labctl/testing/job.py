"""A job that was submitted: its state, the wait for its end, and what came of it."""

from __future__ import annotations

from typing import Any

from labctl.testing import answers
from labctl.testing.backend import OVER, Backend, Look, Output, Submission
from labctl.testing.errors import JobError, JobTimeoutError

PATIENCE = 300.0  # seconds that a wait takes at most if nobody says how long
_TAIL = 20  # lines


class Job:
    """A job of Slurm's, or a mock's.

    Attributes:
        job_id: as Slurm knows it.
        script: what sbatch got.
    """

    def __init__(self, backend: Backend, job_id: str, submission: Submission) -> None:
        self.job_id = job_id
        self.script = submission.script
        self._parcel = submission.parcel
        self._backend = backend
        self._last: Look | None = None
        self._output: Output | None = None

    def __repr__(self) -> str:
        """The job in a line."""
        return f"<Job {self.job_id}{f' {self._last.state}' if self._last else ''}>"

    @property
    def last(self) -> Look | None:
        """What was seen of it at the last look; Slurm is not asked."""
        return self._last

    @property
    def state(self) -> str:
        """Slurm's word: PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT, ..."""
        return self._look().state

    @property
    def reason(self) -> str:
        """Why it is in that state, in Slurm's words; empty if Slurm says nothing."""
        return self._look().reason

    @property
    def nodes(self) -> str:
        """The nodes that it has or had, as a hostlist."""
        return self._look().nodes

    @property
    def exit_code(self) -> int | None:
        """Of the script, 128 more than a signal's number; None until the job is over."""
        return self._look().exit_code

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._look().state in OVER

    def wait(self, timeout: float = PATIENCE) -> Job:
        """Wait until it is over, well or badly; the job itself.

        Args:
            timeout: seconds.

        Raises:
            JobTimeoutError: it is not over by then; it goes on.
        """
        end = self._backend.now() + timeout
        while not self.is_over:
            if self._backend.now() >= end:
                look = self._look()
                raise JobTimeoutError(
                    f"the job {self.job_id} is not over within {timeout:.0f} s",
                    why=f"it is {look.state}" + (f": {look.reason}" if look.reason else ""),
                    hint="give wait() more seconds, or look at `squeue` and `sinfo` of the cluster",
                )
            self._backend.pause()
        return self

    @property
    def result(self) -> Any:
        """What came of it; waits for its end if it must.

        Of a function the value that it returned, or the exception that it raised, with the traceback of the node in its
        notes. Of a script what it wrote, without the newline at its end.

        Raises:
            JobError: it did not end as it should.
            JobTimeoutError: it does not end.
        """
        self.wait()
        output = self._read()
        if self._parcel and output.answer:
            return answers.read(output.answer, self._parcel.classes).result()
        look = self._look()
        if look.state != "COMPLETED" or self._parcel:
            why = (
                f"it is {look.state}"
                + (f", {look.reason}" if look.reason else "")
                + f", exit code {look.exit_code}"
            )
            tail = "\n".join((output.stderr or output.stdout).splitlines()[-_TAIL:])
            raise JobError(f"the job {self.job_id} did not end as it should", why=f"{why}\n{tail}".strip())
        return output.stdout.removesuffix("\n")

    @property
    def stdout(self) -> str:
        """What it has written to its standard output by now."""
        return self._read().stdout

    @property
    def stderr(self) -> str:
        """What it has written to its standard error by now."""
        return self._read().stderr

    def cancel(self) -> None:
        """End it. One that is over stays as it is."""
        if self._last is None or self._last.state not in OVER:
            self._backend.cancel(self.job_id)

    def _look(self) -> Look:
        if self._last is None or self._last.state not in OVER:
            self._last = self._backend.look(self.job_id)
            if self._last.state in OVER and self._output is None:
                self._output = self._backend.output(self.job_id)  # while Slurm still knows where it is
        return self._last

    def _read(self) -> Output:
        if self._output is None:
            self._look()
        return self._output or self._backend.output(self.job_id)
