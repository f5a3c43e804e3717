"""Folders that live as long as a command: what one leaves behind that was killed, the next one of the lab clears away.

They are in a folder in /tmp that is this user's alone, beside SSH's shared connections, as the lab's ssh_config says:
sockets need short paths, and libvirt's daemon may be kept from homes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labctl.errors import HostError


def place() -> Path:
    """Where the folder is, or would be."""
    return Path(f"/tmp/labctl-{os.getuid()}")  # noqa: S108 - `folder` sees that it is ours alone


def folder() -> Path:
    """The folder; made, if it is not there.

    Raises:
        HostError: somebody else has made it.
    """
    path = place()
    path.mkdir(mode=0o700, exist_ok=True)
    facts = path.lstat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077 or path.is_symlink():
        raise HostError(f"{path} is not yours alone", why="others could listen in", hint=f"rm -rf {path}")
    return path


@contextmanager
def scratch(lab: str, purpose: str) -> Iterator[Path]:
    """A lab's own folder in there, for one purpose; gone afterwards. Whoever asks holds the lab."""
    with fresh(folder() / f"{lab}.{purpose}") as path:
        yield path


@contextmanager
def fresh(path: Path) -> Iterator[Path]:
    """An empty folder for the time of the block, whatever is left of an earlier one."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def forget(lab: str) -> None:
    """Nothing left of a lab that is no more."""
    for path in place().glob(f"{lab}.*"):  # no lab's name has a dot
        shutil.rmtree(path, ignore_errors=True)
