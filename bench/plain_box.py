"""A plain Debian box, and a mirror of what the roles install in it: made once, where there is a network."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from bench import mirror, programs
from bench.programs import BenchError
from labctl.steps.mmdebstrap import as_root, mirrors

SUITE = "bookworm"
#: vagrant-libvirt's own network, which its machines are in if nobody says otherwise.
GATEWAY = "192.168.121.1"
MIRROR_PORT = 8099
MIRROR = f"http://{GATEWAY}:{MIRROR_PORT}/"
_DISK_SIZE = 16  # GiB, as that of labctl's own box
# What a public box of Debian has at the least: a kernel, systemd with its bus, SSH, Python and sudo.
_PACKAGES = (
    "dbus",
    "linux-image-cloud-amd64",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
    "udev",
)
_CUSTOMIZE = Path(__file__).with_name("plain_box.sh")
_VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.vm.provider :libvirt do |libvirt|
    libvirt.kernel = File.expand_path("vmlinuz", __dir__)
    libvirt.initrd = File.expand_path("initrd", __dir__)
    libvirt.cmd_line = "root=/dev/vda rw console=ttyS0 quiet"
  end
end
"""
_LAYOUT = 1  # raised when the box is packed in another way than before
_WORKSHOPS = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it
_BUILD = 3600.0  # seconds


@dataclass(frozen=True)
class Prepared:
    """What the way people do it today starts from.

    Attributes:
        box: a Vagrant box.
        mirror: a folder for apt, served over HTTP.
        packages: how many packages it has.
    """

    box: Path
    mirror: Path
    packages: int


def prepared() -> Prepared | None:
    """What `prepare` has made from today's recipe; None if it has to be made."""
    home = _home()
    try:
        packages = json.loads((home / "prepared.json").read_text())["packages"]
    except (OSError, ValueError, KeyError):
        return None
    return Prepared(home / "plain.box", home / "mirror", packages)


def prepare(log: Path, say: Callable[[str], None]) -> Prepared:
    """Make the box and the mirror, unless they are there. Needs the network.

    Raises:
        BenchError: a tool is missing, or one failed.
    """
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "prepare.lock"):
        found = prepared()
        if found:
            return found
        missing = [tool for tool in ("mmdebstrap", "mke2fs", "qemu-img", "vagrant") if not shutil.which(tool)]
        if missing:
            raise BenchError(f"{', '.join(missing)} not installed", hint="make setup")
        say("naive: making a plain box and downloading packages (some minutes, once)")
        with tempfile.TemporaryDirectory(prefix="labctl-plain-box.", dir=_WORKSHOPS) as name:
            work = Path(name)
            work.chmod(0o1777)  # mmdebstrap's user namespace writes to it as well
            _make(work, log)
            _put(work / "result")
    made = prepared()
    if made is None:
        raise BenchError("the plain box was made but cannot be read back", hint=f"the log: {log}")
    return made


def _cache() -> Path:
    return platformdirs.user_cache_path("labctl") / "bench"


def _home() -> Path:
    parts = (_LAYOUT, SUITE, MIRROR, _PACKAGES, _DISK_SIZE, _VAGRANTFILE, mirror.package_sets())
    return _cache() / hashlib.sha256(repr(parts).encode() + _CUSTOMIZE.read_bytes()).hexdigest()[:12]


def _make(work: Path, log: Path) -> None:
    key = _well_known_key()
    result, tree, raw = work / "result", work / "tree", work / "disk.raw"
    (result / "mirror").mkdir(parents=True)
    (result / "mirror").chmod(0o1777)

    def run(*argv: str) -> None:
        programs.run(argv, deadline=_BUILD, log=log)

    try:
        run(*mmdebstrap(tree, result / "mirror", mirror.package_sets(), key, mirrors(SUITE)))
        # Ansible holds lists of an hour ago for new enough; a public box is older than that.
        run(*as_root(), "touch", "--date=2000-01-01", str(tree / "var/lib/apt/lists"))
        for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd", "initrd.img-*")):
            kernel = next((tree / "boot").glob(pattern))
            run(*as_root(), "sh", "-c", f"cat {kernel} > {work / name}")
        with raw.open("wb") as image:
            image.truncate(_DISK_SIZE * 1024**3)
        raw.chmod(0o666)
        run(*as_root(), "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", str(tree), str(raw))
    finally:
        run(*as_root(), "rm", "-rf", "--one-file-system", str(tree))
    run("qemu-img", "convert", "-O", "qcow2", str(raw), str(work / "box.img"))
    _pack(work, result / "plain.box")
    packages = mirror.index(result / "mirror")
    (result / "mirror").chmod(0o755)
    (result / "prepared.json").write_text(json.dumps({"packages": packages}))


def mmdebstrap(
    tree: Path, packages: Path, sets: Sequence[Sequence[str]], key: str, mirrors: Sequence[str]
) -> list[str]:
    """The command that makes the tree of the box and downloads what the roles will ask for.

    Args:
        tree: where the box's files go.
        packages: where the downloaded packages go.
        sets: of packages that are installed at once.
        key: the public key that opens the user vagrant.
        mirrors: lines of a sources.list; none means mmdebstrap's default.
    """
    download = (
        'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --no-install-recommends --download-only'
        ' -o Dir::Cache::archives="$1/var/cache/bench/" install'
    )
    settings = f"KEY={shlex.quote(key)} MIRROR={MIRROR} NAMESERVER={GATEWAY}"
    return [
        "mmdebstrap",
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(_PACKAGES)}",
        '--aptopt=APT::Install-Recommends "false"',
        '--customize-hook=mkdir -p "$1/var/cache/bench/partial"',
        *(f"--customize-hook={download} {shlex.join(names)}" for names in sets),
        '--customize-hook=rm -rf "$1/var/cache/bench/partial" "$1/var/cache/bench/lock"',
        f"--customize-hook=sync-out /var/cache/bench {shlex.quote(str(packages))}",
        '--customize-hook=rm -rf "$1/var/cache/bench"',
        f'--customize-hook={settings} sh {shlex.quote(str(_CUSTOMIZE))} "$1"',
        SUITE,
        str(tree),
        *mirrors,
    ]


def _well_known_key() -> str:
    """The public half of the key that every public box lets in, from Vagrant itself.

    Vagrant puts the private half into its home when it first does something.
    """
    with tempfile.TemporaryDirectory(prefix="labctl-") as home:
        env = {**os.environ, "VAGRANT_HOME": home, "VAGRANT_CHECKPOINT_DISABLE": "1"}
        try:
            programs.output(["vagrant", "box", "list"], deadline=120, env=env)
            private = Path(home) / "insecure_private_key"
            private.chmod(0o600)
            asked = subprocess.run(
                ["ssh-keygen", "-y", "-f", str(private)],
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise BenchError("Vagrant's well-known key cannot be found", why=str(error)) from error
    return " ".join(asked.stdout.split()[:2])


def _pack(work: Path, target: Path) -> None:
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": _DISK_SIZE}
    (work / "metadata.json").write_text(json.dumps(metadata))
    (work / "Vagrantfile").write_text(_VAGRANTFILE)
    with tarfile.open(target, "w") as archive:
        for name in ("metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd"):
            archive.add(work / name, arcname=name)


def _put(result: Path) -> None:
    """Move what was made into the cache, there as a whole at once; what was made from older recipes goes."""
    target = _home()
    for old in target.parent.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    draft = target.with_name(f"new-{target.name}")
    shutil.move(result, draft)
    draft.rename(target)
