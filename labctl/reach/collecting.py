"""All that a lab can tell about itself in one archive, for a bug report. Its secrets stay where they are."""

from __future__ import annotations

import io
import json
import os
import platform
import secrets
import tarfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labctl import __version__
from labctl.errors import LabError
from labctl.reach.hiding import hide, secrets_of
from labctl.reach.parallel import Ended, run_all
from labctl.render.inventory import SECRET_FILES

if TYPE_CHECKING:
    from labctl.console import Reporter, StepView
    from labctl.known import KnownLab

#: Of the lab's folder. All else in it is secret, or makes no sense to others.
OF_THE_LAB = ("lab.yml", "Vagrantfile", "ssh_config", "record.json", "timings.json", "inventory", "logs")
#: What each node is asked, by the name of the file that the answer goes to.
QUESTIONS = {
    "journal.log": "journalctl --no-pager --output=short-iso-precise",
    "dmesg.log": "dmesg --ctime | tail -n 500",
    "failed-units.txt": "systemctl --failed --no-pager --full",
    "versions.txt": "uname -a; cat /etc/os-release; dpkg-query --show 2>/dev/null || rpm -qa",
    "df.txt": "df --human-readable --print-type",
    "free.txt": "free --mebi",
    "uptime.txt": "date --iso-8601=seconds; uptime",
    "network.txt": "ip -brief address; ip route; findmnt --types nfs,nfs4",
}
#: The same, of nodes with Slurm. Each program takes a second to start where there is no KVM.
OF_SLURM = {
    "sinfo.txt": "sinfo --Node --long",
    "scontrol.txt": r"printf 'show node\nshow partition\nshow job\nshow config\n' | scontrol",
}
#: Files and folders of each node; `gather.sh` says what in them is left out.
FILES = (
    *("/etc/slurm", "/etc/sssd", "/etc/ldap/ldap.conf", "/etc/exports", "/etc/exports.d", "/etc/nfs.conf"),
    *("/etc/nfs.conf.d", "/etc/fstab", "/etc/hosts", "/etc/nsswitch.conf"),
    *("/var/log/slurm", "/var/log/munge", "/var/log/sssd"),
)
#: In the place of what a node did not say, or in addition to what it did.
NO_ANSWER = "did-not-answer.txt"
_GATHER = (Path(__file__).parent / "gather.sh").read_text()
_MOST = 16 * 1024**2  # bytes of one file
_PATIENCE = 15  # seconds for one question: Slurm's commands wait for a controller that is dead
_DEADLINE = 300.0  # seconds for all that a node is asked

#: The files of a part by their paths in it.
Files = dict[str, bytes]


@dataclass(frozen=True)
class Part:
    """What the archive has of the lab's folder, of this host or of a node; `problem` says why it may not be all."""

    name: str
    files: int
    bytes: int
    problem: str = ""


@dataclass(frozen=True)
class Collection:
    """An archive, its bytes, and what is in it."""

    archive: Path
    bytes: int
    parts: tuple[Part, ...]


def collect(lab: KnownLab, archive: Path, reporter: Reporter) -> Collection:
    """Write the archive, a gzipped tar; a file of that name is replaced.

    A node that does not answer is named in it.

    Raises:
        LabError: it cannot be written.
    """
    known = secrets_of(lab.files)
    with reporter.step("collect") as view:
        found = {"lab": (_folder(lab.directory), ""), "host": (_host(lab), ""), **_nodes(lab, view)}
        hidden = {
            name: {path: hide(content, known) for path, content in files.items()}
            for name, (files, _) in found.items()
        }
        parts = tuple(
            Part(name, len(files), sum(len(content) for content in files.values()), found[name][1])
            for name, files in hidden.items()
        )
        contents = {
            f"{name}/{path}": content for name, files in hidden.items() for path, content in files.items()
        }
        summary = {"lab": lab.name, "parts": [asdict(part) for part in parts]}
        _write(archive, {"summary.json": _json(summary), **contents})
    return Collection(archive, archive.stat().st_size, parts)


def _folder(directory: Path) -> Files:
    """What of the lab's own folder others may see."""
    paths = [directory / name for name in OF_THE_LAB]
    below = [path for one in paths for path in (one, *sorted(one.rglob("*"))) if path.is_file()]
    named = {str(path.relative_to(directory)): path for path in below if not path.is_symlink()}
    return {name: _tail(path) for name, path in named.items() if name not in SECRET_FILES}


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _MOST))
            return stream.read()
    except OSError as error:  # a console's log is QEMU's
        return f"(cannot be read: {error.strerror})\n".encode()


def _host(lab: KnownLab) -> Files:
    """With what the lab was made, and what can be seen of it from here."""
    facts = {"labctl": __version__, "python": platform.python_version(), "host": platform.platform()}
    status: object
    try:
        facts |= lab.provider.saver.facts() if lab.provider.saver else {}
        status = asdict(lab.status())
    except LabError as error:
        status = {"error": str(error)}
    return {"versions.json": _json(facts), "status.json": _json(status)}


def _nodes(lab: KnownLab, view: StepView) -> dict[str, tuple[Files, str]]:
    """What each node says, and what was wrong with it."""
    try:
        nodes = lab.nodes("all")
        away = lab.unreachable(nodes)
    except LabError as error:
        view.note(f"its nodes are not known: {error.what}")
        return {}
    boundary = secrets.token_hex(16)
    questions = [word for question in _questions().items() for word in question]
    words = (boundary, str(_MOST), str(_PATIENCE), *questions, "--", *FILES)

    def told(node: str, ended: Ended) -> None:
        wrong = _problem(ended)
        view.node(node, wrong or f"{len(ended.out) / 1024:.0f} KiB", "failed" if wrong else "ok")

    for node in nodes:
        if node in away:
            view.node(node, _in_a_line(away[node]), "failed")
        else:
            view.node(node, "is asked")
    commands = {node: lab.root_command(node, _GATHER, *words) for node in nodes if node not in away}
    answers = run_all(commands, deadline=_DEADLINE, on_end=told)
    found = {node: (_files(ended, boundary), _problem(ended)) for node, ended in answers.items()}
    found |= {node: ({NO_ANSWER: f"{error}\n".encode()}, _in_a_line(error)) for node, error in away.items()}
    return {f"nodes/{node}": found[node] for node in nodes}


def _in_a_line(error: LabError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what


def _questions() -> dict[str, str]:
    """Each question by the name of its answer."""
    if_there = "[ -e /etc/slurm/slurm.conf ] || exit 0; "
    return QUESTIONS | {name: if_there + question for name, question in OF_SLURM.items()}


def _files(ended: Ended, boundary: str) -> Files:
    """The parts of what `gather.sh` has printed; where it did not come to its end, there is a file that says so."""
    files: Files = {}
    for part in ended.out.split(f"\n{boundary} ".encode())[1:]:
        name, _, content = part.partition(b"\n")
        path = name.decode(errors="replace").lstrip("/")
        if content or path not in QUESTIONS | OF_SLURM:
            files[path] = content
    if _problem(ended):
        files[NO_ANSWER] = ended.err or _problem(ended).encode()
    return files


def _problem(ended: Ended) -> str:
    """Why there is not all of it, in a line; nothing if there is."""
    if not ended.exit_code:
        return ""
    last = ended.err.decode(errors="replace").strip().splitlines()[-1:]
    return last[0] if last else f"ended with exit code {ended.exit_code}"


def _json(facts: object) -> bytes:
    return json.dumps(facts, indent=2, default=str).encode() + b"\n"


def _write(archive: Path, contents: Mapping[str, bytes]) -> None:
    """All of it, for the owner only; whole or not at all."""
    draft = archive.with_name(f".{archive.name}.new")
    top = archive.name.removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz")
    try:
        with (
            open(draft, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream,
            tarfile.open(fileobj=stream, mode="w:gz") as tar,
        ):
            for name, content in contents.items():
                member = tarfile.TarInfo(f"{top}/{name}")
                member.size, member.mtime, member.mode = len(content), int(time.time()), 0o600
                tar.addfile(member, io.BytesIO(content))
        draft.replace(archive)
    except OSError as error:
        raise LabError(f"{archive} cannot be written", why=str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
