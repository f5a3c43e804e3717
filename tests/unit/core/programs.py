"""Programs on the PATH that stand in for real ones: shell scripts, and what they were asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class Programs:
    """A folder in front of the PATH; each program notes its arguments, one line a call."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("PROGRAMS", str(folder))

    def add(self, name: str, script: str = "") -> None:
        """A program that runs `script`; PROGRAMS is the folder, where it may keep things."""
        path = self.folder / name
        path.write_text(f'#!/bin/bash\necho "$*" >> "$PROGRAMS/{name}.calls"\n{script}\n')
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        """The arguments of each call so far."""
        noted = self.folder / f"{name}.calls"
        return noted.read_text().splitlines() if noted.is_file() else []

    def only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing else is on the PATH from here on."""
        monkeypatch.setenv("PATH", str(self.folder))
