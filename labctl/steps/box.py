"""Builds the boxes that machines start from, and keeps them: each whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from labctl import words
from labctl.console import Reporter, StepView
from labctl.definition import shipped
from labctl.errors import BoxError, HostError, UsageError
from labctl.process import ProcessError, installed, run_logged
from labctl.steps import mmdebstrap
from labctl.steps.recipe import Recipe, recipe

_SPACE_NEEDED = 7 * 1024**3  # bytes: the tree, the raw image, the qcow2 image and the box file, each once

_PLAIN = re.compile(r"[a-z0-9][a-z0-9.-]* [0-9a-f]+")  # name and version of a box
_WORKSHOPS = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it

# A direct boot from the box's own kernel; whoever uses the box without labctl logs in with Vagrant's well-known key,
# which is given on the kernel's command line and so is not in the image.
_VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  key = Vagrant.source_root.join("keys", "vagrant.pub").read.split[0, 2].join(" ")
  config.ssh.username = "root"
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.vm.allow_hosts_modification = false
  config.vm.provider :libvirt do |libvirt|
    libvirt.kernel = File.expand_path("vmlinuz", __dir__)
    libvirt.initrd = File.expand_path("initrd", __dir__)
    libvirt.cmd_line = %(root=/dev/vda rw console=ttyS0 systemd.set_credential="ssh.authorized_keys.root:#{key}")
  end
end
"""


@dataclass(frozen=True)
class Box:
    """A box in the user's cache.

    Attributes:
        name: such as ``debian-12``.
        version: content hash of what it was made from.
        path: its folder, with ``<name>.box``, ``vmlinuz`` and ``initrd``.
        size_bytes: of the box file.
        created: seconds since the epoch.
        sha256: of each file, by name.
        disk_size: of the image inside, in bytes; most of it is a hole.
    """

    name: str
    version: str
    path: Path
    size_bytes: int
    created: float
    sha256: dict[str, str]
    disk_size: int

    @property
    def kernel(self) -> Path:
        """What its machines boot."""
        return self.path / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """What finds the root disk."""
        return self.path / "initrd"

    @property
    def file(self) -> Path:
        """The Vagrant box itself."""
        return self.path / f"{self.name}.box"

    @property
    def vagrant_name(self) -> str:
        """The name under which Vagrant knows it; another content is another name.

        Two builds of one version differ in the age of their packages, and no machine may stand on the other one.
        """
        return f"labctl-{self.name}-{self.version}-{self.sha256.get(self.file.name, '')[:6]}"

    def check(self) -> None:
        """Read the box and compare it with the sums taken when it was built.

        Raises:
            BoxError: a file is missing or not what was built.
        """
        for name, expected in self.sha256.items():
            path = self.path / name
            if not path.is_file() or _sha256(path) != expected:
                raise BoxError(
                    f"the box {self.name} is damaged",
                    why=f"{path} is not the file that was built",
                    hint=f"labctl box build {self.name} --force",
                )


def is_own(name: str) -> bool:
    """Whether labctl builds the box; every other name is left to Vagrant."""
    return name in shipped.boxes()


def recipe_key(name: str) -> str:
    """Content hash of what the box would be made from today."""
    return recipe(name).key


def boxes() -> tuple[Box, ...]:
    """All boxes in the cache, the newest first."""
    found = (_read(path) for path in sorted(_cache().glob("*/box.json")))
    return tuple(sorted((box for box in found if box), key=lambda box: -box.created))


def current(name: str) -> Box | None:
    """The built box that matches today's recipe and roles; None if it must be built."""
    return _read(_home(recipe(name)) / "box.json")


def build(name: str, reporter: Reporter, *, force: bool = False) -> Box:
    """Builds a box, unless one with the same content hash is there.

    Raises:
        UsageError: labctl has no recipe of that name.
        HostError: a tool or the space is missing.
        BoxError: mmdebstrap or what follows it failed.
    """
    wanted = recipe(name)
    _cache().mkdir(parents=True, exist_ok=True)
    with FileLock(_cache() / f"{name}.lock"):
        found = current(name)
        if found and not force:
            return found
        _check_host()
        log = _cache() / f"{name}.log"
        log.write_text("")
        try:
            with reporter.step("box", log=log) as view, _workshop() as work:
                _make(wanted, work, view, log)
                _put(work / "box", _home(wanted))
        except ProcessError as error:
            why = f"{error.what}\n{error.why}"
            raise BoxError(f"the box {name} could not be built", why=why, hint=error.hint) from error
        except OSError as error:
            raise BoxError(
                f"the box {name} could not be built", why=str(error), hint=f"the whole log: {log}"
            ) from error
    built = current(name)
    if built is None:
        raise BoxError(f"the box {name} was built but cannot be read back", hint=f"the whole log: {log}")
    return built


def remove(name: str) -> tuple[Box, ...]:
    """Removes all builds of a box from the cache and returns them.

    Raises:
        UsageError: there is none.
    """
    doomed = tuple(box for box in boxes() if box.name == name)
    if not doomed:
        hint = words.hint(name, [box.name for box in boxes()], "labctl box list shows what there is")
        raise UsageError(f"no box {name!r} has been built", hint=hint)
    for box in doomed:
        shutil.rmtree(box.path)
    return doomed


def discard(box: Box) -> None:
    """One build of a box gone from the cache."""
    shutil.rmtree(box.path)


def older(box: Box, days: float) -> bool:
    """Whether a box was built more than so many days ago."""
    return box.created < time.time() - days * 86400


def take_in(folder: Path) -> Box:
    """Put a box from another host into the cache, unless the very same is there.

    It becomes the current one of its version if there is none yet.

    Raises:
        BoxError: it is damaged.
    """
    box = _read(folder / "box.json")
    if box is None or not _PLAIN.fullmatch(f"{box.name} {box.version}"):  # they are part of paths
        raise BoxError(f"{folder} has no box", hint="export the snapshot anew where it was saved")
    box.check()
    _cache().mkdir(parents=True, exist_ok=True)
    with FileLock(_cache() / f"{box.name}.lock"):
        known = next((one for one in boxes() if one.vagrant_name == box.vagrant_name), None)
        if known is None:
            home = _cache() / f"{box.name}-{box.version}"
            target = home if not home.exists() else _cache() / box.vagrant_name
            _put(folder, target)
            known = _read(target / "box.json")
    if known is None:
        hint = f"labctl box rm {box.name}, then import it again"
        raise BoxError(f"the box {box.name} cannot be read back", hint=hint)
    return known


def _cache() -> Path:
    return platformdirs.user_cache_path("labctl") / "boxes"


def _home(wanted: Recipe) -> Path:
    return _cache() / f"{wanted.name}-{wanted.key}"


def _read(path: Path) -> Box | None:
    try:
        facts = json.loads(path.read_text())
        box = Box(path=path.parent, **facts)
    except (OSError, ValueError, TypeError):
        return None
    return box if box.file.is_file() else None


def _check_host() -> None:
    missing = [tool for tool in ("mmdebstrap", "mke2fs", "qemu-img") if not installed(tool)]
    if missing:
        raise HostError(f"{', '.join(missing)} not installed", hint="labctl doctor --fix")
    for directory in (_cache(), _WORKSHOPS):
        free = shutil.disk_usage(directory).free
        if free < _SPACE_NEEDED:
            raise HostError(
                f"not enough space to build a box in {directory}",
                why=f"{free // 1024**2} MiB free, {_SPACE_NEEDED // 1024**2} MiB needed",
                hint="make room, or set XDG_CACHE_HOME to a larger disk",
            )


@contextmanager
def _workshop() -> Iterator[Path]:
    """A folder on a real disk that mmdebstrap's user namespace can write to as well."""
    with tempfile.TemporaryDirectory(prefix="labctl-box.", dir=_WORKSHOPS) as name:
        work = Path(name)
        work.chmod(0o1777)
        (work / "box").mkdir()
        yield work


def _put(box: Path, target: Path) -> None:
    """Move a box into the cache, which may be on another file system, so that it is there as a whole at once."""
    draft = _cache() / f"new-{target.name}" / target.name
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(exist_ok=True)
    try:
        shutil.move(box, draft)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    finally:
        shutil.rmtree(draft.parent)


def _make(wanted: Recipe, work: Path, view: StepView, log: Path) -> None:
    raw, box = work / "disk.raw", work / "box"
    with raw.open("wb") as image:
        image.truncate(wanted.disk_size * 1024**3)
    raw.chmod(0o666)
    view.node(wanted.name, "installing packages (1 to 5 minutes)")
    tree = work / "tree"
    try:
        run_logged(
            mmdebstrap.command(wanted, work),
            within=mmdebstrap.own_mounts(),
            log=log,
            on_line=lambda line: _progress(line, wanted.name, view),
        )
        view.node(wanted.name, "packing the image")
        for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd", "initrd.img-*")):
            kernel = next((tree / "boot").glob(pattern))
            run_logged([*mmdebstrap.as_root(), "sh", "-c", f"cat {kernel} > {work / name}"], log=log)
            shutil.copyfile(work / name, box / name)
        # With a journal, because machines are switched off by force, too; a small one, because each writes its own.
        options = ["-q", "-F", "-t", "ext4", "-J", "size=8", "-E", "lazy_itable_init=0", "-L", "root"]
        run_logged([*mmdebstrap.as_root(), "mke2fs", *options, "-d", str(tree), str(raw)], log=log)
    finally:
        # Nothing that may still be mounted in it, by a build that was killed, is to be removed.
        run_logged([*mmdebstrap.as_root(), "rm", "-rf", "--one-file-system", str(tree)], log=log)
    run_logged(["qemu-img", "convert", "-O", "qcow2", str(raw), str(box / "box.img")], log=log)
    raw.unlink()
    _pack(wanted, box)
    size = (box / f"{wanted.name}.box").stat().st_size
    facts = {
        "name": wanted.name,
        "version": wanted.key,
        "created": time.time(),
        "disk_size": wanted.disk_size * 1024**3,
        "size_bytes": size,
        "sha256": {path.name: _sha256(path) for path in sorted(box.iterdir())},
    }
    (box / "box.json").write_text(json.dumps(facts, indent=2))
    view.node(wanted.name, f"{size // 1024**2} MiB, version {wanted.key}", "ok")


def _progress(line: str, name: str, view: StepView) -> None:
    if line.startswith("I: ") and "hook" not in line:
        view.node(name, line.removeprefix("I: "))


def _pack(wanted: Recipe, box: Path) -> None:
    """Makes the Vagrant box; only it, the kernel and the initrd are kept."""
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": wanted.disk_size}
    (box / "metadata.json").write_text(json.dumps(metadata))
    (box / "Vagrantfile").write_text(_VAGRANTFILE)
    with tarfile.open(box / f"{wanted.name}.box", "w") as archive:
        for name in ("metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd"):
            archive.add(box / name, arcname=name)
    for name in ("metadata.json", "Vagrantfile", "box.img"):
        (box / name).unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
