"""Vagrant without its surprises: what it says is kept, what failed is not destroyed, facts are asked elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import vagrant

from labctl.console import StepView
from labctl.errors import BootError, BoxError, HostError
from labctl.process import ProcessError, run_logged

#: A box that was added under this version has a volume name that does not depend on a file's date.
BOX_VERSION = "1.0.0"


class LabVagrant(vagrant.Vagrant):
    """python-vagrant, with the options it lacks and with its output in a log.

    Args:
        root: the folder with the Vagrantfile.
        vagrantfile: the name of that file.
        log: everything that Vagrant says is appended to it.
        on_line: is handed each line, too.
        enough: once set, Vagrant is not waited for any longer.
    """

    def __init__(
        self,
        root: Path,
        vagrantfile: str = "Vagrantfile",
        *,
        log: Path,
        on_line: Callable[[str], None] = lambda _: None,
        enough: threading.Event | None = None,
    ) -> None:
        if not shutil.which("vagrant"):
            raise HostError("Vagrant is not installed", hint="labctl doctor --fix")
        own = {
            "VAGRANT_VAGRANTFILE": vagrantfile,
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_NO_COLOR": "1",
            # By itself Vagrant prefers USERPROFILE, of which nobody else here knows.
            "VAGRANT_HOME": str(_home()),
        }
        super().__init__(root=str(root), env={**os.environ, **own})  # type: ignore[no-untyped-call]
        self._log = log
        self._on_line = on_line
        self._enough = enough

    def _call_vagrant_command(self, args: Sequence[str | None]) -> None:
        words = [word for word in args if word is not None]
        run_logged(
            ["vagrant", *words],
            log=self._log,
            on_line=self._on_line,
            env=self.env,
            cwd=Path(self.root),
            enough=self._enough,
        )

    def make(self, nodes: Sequence[str], provider: str) -> None:
        """``vagrant up`` of these nodes, side by side.

        Vagrant then logs in to each machine by itself, with a key exchange in Ruby that takes a machine under software
        emulation half a minute. Whoever knows already that they answer sets ``enough``.

        Raises:
            BootError: Vagrant failed; what it made is still there.
        """
        before = self._log.stat().st_size if self._log.is_file() else 0
        try:
            self._call_vagrant_command(
                ["up", *nodes, "--parallel", "--no-destroy-on-error", "--no-color", f"--provider={provider}"]
            )
        except ProcessError as error:
            raise BootError(
                "Vagrant could not make the machines",
                why=reasons(self._log.read_bytes()[before:].decode(errors="replace")) or error.why,
                hint=f"the whole log: {self._log}",
            ) from error

    def take_box(self, catalog: Path) -> None:
        """``vagrant box add`` of a catalog file."""
        self._call_vagrant_command(["box", "add", "--force", str(catalog)])


def follower(nodes: Sequence[str], view: StepView) -> Callable[[str], None]:
    """What shows each machine's progress by Vagrant's own words."""
    waiting = set(nodes)

    def follow(line: str) -> None:
        node, colon, text = line.removeprefix("==> ").partition(": ")
        if colon and node in waiting and not text.startswith(" --"):
            view.node(node, text.rstrip(". "))

    return follow


#: The first line of a Ruby stack trace: where, what, and the error's class.
_RAISED = re.compile(r"^\S+\.rb:\d+:in `[^']*': (?P<what>.*) \([\w:]+\)$", re.MULTILINE)


def reasons(log: str) -> str:
    """What Vagrant says went wrong, without its Ruby stack traces; empty if it does not say.

    Of several machines it says so in a summary; an error that it did not expect it lets Ruby print.
    """
    raised = _RAISED.search(log)
    if raised:
        return raised["what"]
    _, said, after = log.rpartition("errors that occurred are shown below.")
    shown = after.splitlines() if said else []
    lines = [line.replace("Please report this as a bug:", "").strip() for line in shown if ".rb:" not in line]
    return "\n".join(line for line in lines if line)


def add_box(name: str, file: Path, log: Path) -> None:
    """Make a box file known to Vagrant, unless it is.

    Raises:
        BoxError: Vagrant does not take it.
    """
    if (_home() / "boxes" / name / BOX_VERSION / "libvirt" / "metadata.json").is_file():
        return
    with tempfile.TemporaryDirectory(prefix="labctl-") as folder:
        catalog = Path(folder) / "box.json"
        providers = [{"name": "libvirt", "url": file.absolute().as_uri()}]
        catalog.write_text(
            json.dumps({"name": name, "versions": [{"version": BOX_VERSION, "providers": providers}]})
        )
        try:
            LabVagrant(Path(folder), log=log).take_box(catalog)
        except ProcessError as error:
            raise BoxError(f"Vagrant does not take the box {name}", why=error.why, hint=error.hint) from error


def forget_box(name: str) -> None:
    """Remove a box from Vagrant's own store."""
    shutil.rmtree(_home() / "boxes" / name, ignore_errors=True)


def version() -> str:
    """Vagrant's version, empty if it is not there."""
    try:
        asked = subprocess.run(
            ["vagrant", "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip().removeprefix("Vagrant ")


def _home() -> Path:
    return Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")


def note_machine(directory: Path, node: str, provider: str, id_: str) -> None:
    """Tell Vagrant which machine a node of the Vagrantfile in ``directory`` is, by the provider's id of it."""
    notes = directory / ".vagrant" / "machines" / node / provider
    notes.mkdir(parents=True, exist_ok=True)
    (notes / "id").write_text(id_)


def forget_machines(directory: Path, node: str = "") -> None:
    """Take a folder's machines, or one of them, out of Vagrant's index, as Vagrant does when it destroys them."""
    index = _home() / "data" / "machine-index" / "index"
    try:
        content = json.loads(index.read_text())
    except (OSError, ValueError):  # none yet, or Vagrant was killed while it wrote
        return
    kept = {
        key: entry
        for key, entry in content.get("machines", {}).items()
        if entry.get("vagrantfile_path") != str(directory) or (node and entry.get("name") != node)
    }
    if kept != content.get("machines", {}):
        index.write_text(json.dumps({**content, "machines": kept}))
