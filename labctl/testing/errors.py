"""What can go wrong with jobs and with functions that run on nodes."""

from __future__ import annotations

from labctl.errors import LabError


class JobError(LabError):
    """A job could not be submitted, was lost, or did not end as it should."""


class JobTimeoutError(JobError, TimeoutError):
    """A job was not over in time. It was not cancelled."""


class ShippingError(LabError):
    """A function cannot go to a node; nothing was sent."""


class RemoteError(LabError):
    """A function ended badly on a node, in a way that no exception of this side can say.

    Attributes:
        node: where.
        traceback: what Python said there; empty if it said nothing.
    """

    def __init__(
        self, what: str, *, why: str = "", hint: str = "", node: str = "", traceback: str = ""
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.node = node
        self.traceback = traceback


def reason(exit_code: int, words: str) -> str:
    """Why a command on a node failed: what it said, or what its exit code says where it said nothing."""
    told = {
        124: "it did not end in time",
        255: "the node cannot be reached by SSH, or the connection was lost",
    }
    return words.strip() or told.get(exit_code, "")
