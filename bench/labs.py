"""labctl as the benchmark runs it: in folders of its own, with labs and snapshots that are nobody else's."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import programs
from bench.programs import BenchError

LAB = "bench"
SECOND = "bench-second"
_LABCTL = str(Path(sys.executable).with_name("labctl"))
_LONGEST = 3600.0  # seconds for any one command; a cold build under emulation takes minutes
_KEPT = ("LABCTL_LIBVIRT_URI", "LABCTL_POOL", "LABCTL_DRIVER")  # where and how, not what


def environment(inherited: Mapping[str, str], snapshots: Path) -> dict[str, str]:
    """The environment of a measured labctl: none of the user's own options, and snapshots in a folder of ours.

    The cache is the user's: the box is there.
    """
    own = {key: value for key, value in inherited.items() if not key.startswith("LABCTL_") or key in _KEPT}
    return {**own, "LABCTL_SNAPSHOTS": str(snapshots)}


class Labctl:
    """Runs labctl commands.

    Args:
        home: the folder whose `.labctl` has the labs.
        snapshots: where their snapshots go.
        log: what labctl says is appended to it.
    """

    def __init__(self, home: Path, snapshots: Path, log: Path) -> None:
        self._home = home
        self._log = log
        self._env = environment(os.environ, snapshots)

    def __call__(self, *words: str) -> None:
        """Run a command.

        Raises:
            BenchError: it failed, or took too long.
        """
        programs.run([_LABCTL, *words], deadline=_LONGEST, log=self._log, cwd=self._home, env=self._env)

    def ask(self, *words: str) -> Any:
        """What a command prints with `--json`."""
        return json.loads(
            programs.output([_LABCTL, *words, "--json"], deadline=60, cwd=self._home, env=self._env)
        )

    def folder(self, lab: str) -> Path:
        """The files of a lab."""
        return self._home / ".labctl" / lab

    def steps(self, lab: str) -> list[dict[str, Any]]:
        """Where the time of the lab's last command went, as far as labctl wrote it down."""
        path = self.folder(lab) / "timings.json"
        return list(json.loads(path.read_text())["steps"]) if path.is_file() else []

    def forget_steps(self, lab: str) -> None:
        """Whatever timings are there afterwards are of the next command."""
        (self.folder(lab) / "timings.json").unlink(missing_ok=True)

    def refuse_taken_names(self) -> None:
        """Keep away from labs that are not ours: they would be destroyed at the end.

        Raises:
            BenchError: somebody else's lab has the name of one of ours.
        """
        taken = sorted({lab["name"] for lab in self.ask("list")} & {LAB, SECOND})
        if taken:
            raise BenchError(
                f"this host has a lab {taken[0]} already",
                why="The benchmark makes and destroys a lab of that name.",
                hint=f"labctl destroy {taken[0]}",
            )

    def remove_all(self) -> list[str]:
        """Labs and snapshots gone, also after a failure; what could not be removed, in words."""
        complaints = []
        try:
            there = {lab["name"] for lab in self.ask("list")}
            for lab in (SECOND, LAB):
                if lab in there or self.folder(lab).exists():
                    complaints += self._try("destroy", lab)
            for snapshot in self.ask("snapshot", "list"):
                complaints += self._try("snapshot", "rm", snapshot["id"])
        except BenchError as error:
            complaints.append(str(error))
        return complaints

    def _try(self, *words: str) -> list[str]:
        try:
            self(*words)
        except BenchError as error:
            return [str(error)]
        return []
