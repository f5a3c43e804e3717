"""The errors that labctl shows to its users: what went wrong, why, and what to try."""

from __future__ import annotations


class LabError(Exception):
    """An error a user can act on.

    Args:
        what: one sentence that says what went wrong.
        why: the cause, as far as it is known; may have several lines.
        hint: what to do about it: a command, a file, a value.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        """All that is known, on as many lines as it needs."""
        return "\n".join(part for part in (self.what, self.why, self.hint) if part)


class DefinitionError(LabError):
    """The definition cannot be a lab; nothing has been touched."""

    exit_code = 2


class UsageError(LabError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class HostError(LabError):
    """This host cannot do what is asked of it."""

    exit_code = 3


class BoxError(LabError):
    """A box is missing, damaged or could not be built."""

    exit_code = 4


class BootError(LabError):
    """A machine could not be made or did not answer."""

    exit_code = 5


class ConvergeError(LabError):
    """A task failed on a node."""

    exit_code = 6


class VerifyError(LabError):
    """The lab is up but is not what the definition says."""

    exit_code = 7


class LockedError(LabError):
    """Another process works on the lab."""

    exit_code = 8


class SnapshotError(LabError):
    """A snapshot is missing, damaged, of elsewhere, or could not be taken or brought back."""

    exit_code = 9


class DamagedError(SnapshotError):
    """A snapshot is not what was saved, and of no use to anybody."""


class JobsRunError(LabError):
    """Jobs run on nodes that are to go; nothing has been touched."""

    exit_code = 10


class DeadlineError(LabError):
    """It was not done within the time that it was given; what it had begun was interrupted."""

    exit_code = 11
