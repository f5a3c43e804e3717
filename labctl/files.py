"""The files of a lab, `.labctl/<name>/`: where each is, how it is written, and who works on them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from labctl import __version__, lock
from labctl.definition import loading, playbooks
from labctl.definition.accounts import Account
from labctl.definition.models import Definition
from labctl.plan import Shape
from labctl.render import registry, rest
from labctl.render.inventory import REMOVED, SECRET_FILES, inventory
from labctl.render.layout import Layout, Secrets
from labctl.render.ssh_config import ssh_config
from labctl.render.vagrantfile import vagrantfile
from labctl.resources import resource
from labctl.secrets import load_or_generate, write_private


@dataclass
class Record:
    """What a lab remembers of itself between two commands; everything else is asked of the machines.

    Attributes:
        addresses: of each node, so that it keeps its own when others come and go.
        shapes: the fields of the Shape that each machine was made with.
        image: the fields of the BoxImage that the machines were made from.
        driver: kvm or qemu.
        provider: libvirt or virtualbox.
        network: name, subnet and gateway.
        origin: the name in the definition that the lab was made from, which `--name` may have changed.
        definition: the key of the definition that the lab's files were last written from.
        converged: the key of what the lab was last converged to.
        verified: the same for verify.
        snapshot: the id of the snapshot that the lab was last saved as or made from.
        restoring: the id of the snapshot that is being brought back; empty once that is done.
        copying: the nodes whose machines are being copied from others; empty once that is done.
        rotating: the kind of secret that is being replaced; empty once that is done.
        rotated: when a secret was last replaced, in seconds since the epoch, by its kind.
        accounts: kind and name of each user and group that the directory is told to have.
        removed: the same of those that it was told to have, until a converge has taken them out.
    """

    addresses: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Any] = field(default_factory=dict)
    image: dict[str, Any] = field(default_factory=dict)
    driver: str = ""
    provider: str = ""
    network: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    definition: str = ""
    converged: str = ""
    verified: str = ""
    snapshot: str = ""
    restoring: str = ""
    copying: list[str] = field(default_factory=list)
    rotating: str = ""
    rotated: dict[str, float] = field(default_factory=dict)
    accounts: Sequence[Sequence[str]] = field(default_factory=list)
    removed: Sequence[Sequence[str]] = field(default_factory=list)

    def made_with(self) -> dict[str, Shape]:
        """The shapes, as far as they can be read."""
        shapes = {}
        for node, fields in self.shapes.items():
            with contextlib.suppress(TypeError, KeyError):
                shapes[node] = Shape(**{**fields, "roles": tuple(fields["roles"])})
        return shapes

    def told(self) -> frozenset[Account]:
        """The accounts that the lab itself has put into its directory."""
        return frozenset(Account(*account) for account in [*self.accounts, *self.removed])


class LabFiles:
    """The folder of one lab."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.definition = directory / "lab.yml"
        self.vagrantfile = directory / "Vagrantfile"
        self.inventory = directory / "inventory"
        self.ssh_config = directory / "ssh_config"
        self.key = directory / "id_ed25519"
        self.secrets = directory / "secrets.yml"
        self.logs = directory / "logs"
        self.junit = self.logs / "verify.xml"
        self.report = self.logs / "verify.html"
        self.timings = directory / "timings.json"
        self._record = directory / "record.json"

    def log(self, step: str) -> Path:
        """The log of a step."""
        return self.logs / f"{step}.log"

    def make(self) -> None:
        """Have the folder."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # Not 0700: QEMU's user writes the consoles into logs/, and what is secret has its own mode.
        self.logs.mkdir(exist_ok=True)
        (self.directory / ".gitignore").write_text("*\n")

    def load(self) -> Definition | None:
        """The definition as it was last written; None if there is none. Playbooks that it names may be gone."""
        if not self.definition.is_file():
            return None
        return loading.loads(loading.read(self.definition), name=str(self.definition))

    def record(self) -> Record:
        """What the lab remembers; nothing if it never was or if the file is damaged."""
        try:
            return Record(**json.loads(self._record.read_text()))
        except (OSError, ValueError, TypeError):
            return Record()

    def remember(self, record: Record) -> None:
        """Write the record; whole or not at all."""
        write_private(self._record, json.dumps(asdict(record), indent=2) + "\n")

    def note(self, **changes: Any) -> None:
        """Change some fields of the record."""
        self.remember(replace(self.record(), **changes))

    def render(self, layout: Layout) -> None:
        """Write all that a layout is rendered to; nodes that are no more are forgotten."""
        users = [user.name for user in layout.definition.users]
        self.render_with(layout, load_or_generate(self.secrets, layout.lab, layout.machines, users))

    def render_with(self, layout: Layout, known: Secrets) -> None:
        """The same with these secrets, whatever the lab's own file of them says."""
        self.forget_accounts()
        self.write({"Vagrantfile": vagrantfile(layout), "ssh_config": ssh_config(layout)})
        self.write(inventory(layout, known) | rest.files(layout, known) | registry.files(layout, known))
        self.forget_hosts({machine.node.name for machine in layout.machines})

    def write(self, texts: Mapping[str, str]) -> None:
        """Write rendered files below the folder, those with secrets for the owner only; what is equal is left alone."""
        for name, text in texts.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.read_text() == text:
                continue
            if name in SECRET_FILES:
                write_private(path, text)
            else:
                path.write_text(text)

    def forget_accounts(self) -> None:
        """Remove the variables that tell of accounts which are to go."""
        (self.directory / REMOVED).unlink(missing_ok=True)

    def forget_hosts(self, kept: set[str]) -> None:
        """Remove the variables of nodes that are no more."""
        for path in (self.inventory / "host_vars").glob("*.yml"):
            if path.stem not in kept:
                path.unlink()

    def remove(self) -> None:
        """The folder gone, and the one around it if it was the last lab."""
        shutil.rmtree(self.directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.directory.parent.rmdir()

    @contextlib.contextmanager
    def locked(self, name: str, doing: str) -> Iterator[None]:
        """Hold the lab for one command; the kernel frees it if we die.

        Raises:
            LockedError: another process has it.
        """
        try:
            with lock.held(self.directory.parent / f".{self.directory.name}.lock", f"the lab {name}", doing):
                yield
        finally:
            if not self.directory.exists():
                with contextlib.suppress(OSError):
                    self.directory.parent.rmdir()


def definition_key(definition: Definition) -> str:
    """Content hash of a definition, its playbooks aside: they are read anew each time."""
    return hashlib.sha256(_dumped(definition).encode()).hexdigest()[:16]


def key_of(definition: Definition, box: str) -> str:
    """Content hash of all that a converged lab depends on.

    Args:
        definition: what shall be.
        box: the name of the box, its version included.
    """
    digest = hashlib.sha256()
    for part in (__version__, sys.version.split()[0], box, _dumped(definition)):
        digest.update(part.encode() + b"\0")
    for name, path in playbooks.content(definition.playbooks):
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    for folder in ("playbooks", "roles"):
        for path in sorted(resource(folder).rglob("*")):
            if path.is_file() and path.suffix not in (".md", ".pyc"):
                digest.update(str(path.relative_to(resource(folder))).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _dumped(definition: Definition) -> str:
    """All that it says; where the user's playbooks are is of no matter, but what they say."""
    return loading.dump(definition.model_copy(update={"playbooks": []}))
