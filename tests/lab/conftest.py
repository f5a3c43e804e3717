"""Real labs: what follows boots virtual machines, by the command line as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt
import pytest

# In the background of a script SIGINT is ignored, and labctl would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

LABCTL = str(Path(sys.executable).with_name("labctl"))
# Seconds. A cold `up` of seven machines takes some four minutes under software emulation on two cores.
DEADLINE = 1500
STAGED = ("labctl-debian-12-", "labctl-snapshot-")


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class User:
    """Somebody at a terminal, in a folder of their own."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Said:
        """Run labctl; it must end in time."""
        done = subprocess.run(
            [LABCTL, *words],
            cwd=self.home,
            env={**os.environ, **self.env, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, **options: Any) -> Said:
        """Run labctl; it must succeed."""
        said = self(*words, **options)
        assert said.code == 0, f"labctl {' '.join(words)} ended with {said.code}:\n{said.all}"
        return said

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start labctl and leave it running."""
        return subprocess.Popen(
            [LABCTL, *words],
            cwd=self.home,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@dataclass(frozen=True)
class World:
    """What of labs can be seen on the host."""

    domains: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]
    links: frozenset[str]
    processes: frozenset[str]
    leases: frozenset[str]

    def differs(self, before: World) -> dict[str, set[str]]:
        """What came or went since then, by its kind; processes come and go by themselves."""
        kinds = ("domains", "networks", "volumes", "links", "leases")
        changes = {kind: set(getattr(self, kind) ^ getattr(before, kind)) for kind in kinds}
        return {kind: changed for kind, changed in changes.items() if changed}

    @classmethod
    def now(cls) -> World:
        connection = libvirt.open("qemu:///system")
        volumes = set()
        for pool in connection.listAllStoragePools():
            if pool.isActive():
                with contextlib.suppress(libvirt.libvirtError):  # a volume is being made
                    pool.refresh()
                volumes |= {volume.name() for volume in pool.listAllVolumes()}
        links = json.loads(subprocess.check_output(["ip", "-json", "link"], text=True))
        commands = subprocess.check_output(["ps", "-eo", "args="], text=True).splitlines()
        return cls(
            domains=frozenset(domain.name() for domain in connection.listAllDomains()),
            networks=frozenset(network.name() for network in connection.listAllNetworks()),
            # The box is staged once and stays for the next lab, and so do the disks of snapshots.
            volumes=frozenset(volume for volume in volumes if not volume.startswith(STAGED)),
            links=frozenset(link["ifname"] for link in links),
            processes=frozenset(
                line for line in commands if any(word in line for word in ("qemu-system", "dnsmasq", "ssh: "))
            ),
            leases=frozenset(path.name for path in Path("/var/lib/libvirt/dnsmasq").glob("lc-*")),
        )


@pytest.fixture(scope="session", autouse=True)
def _a_host_that_can() -> None:
    found = subprocess.run([LABCTL, "doctor", "full", "--json"], capture_output=True, text=True, check=False)
    bad = [check for check in json.loads(found.stdout) if check["ok"] is False]
    if bad:
        pytest.exit(
            "this host cannot run labs; `labctl doctor --fix` may help: " + json.dumps(bad, indent=1), 1
        )


@pytest.fixture(scope="session")
def world_before() -> World:
    return World.now()


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory, world_before: World) -> Iterator[User]:  # noqa: ARG001 - looked at before
    home = tmp_path_factory.mktemp("user")
    # Snapshots of our own: the first `up` shall build, and the user's are not ours to touch.
    someone = User(home, {"LABCTL_SNAPSHOTS": str(tmp_path_factory.mktemp("snapshots"))})
    yield someone
    for lab in someone("list", "--json").json():
        if Path(lab["directory"]).is_relative_to(home):  # nobody else's
            someone("destroy", lab["name"])
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def cold_up(user: User) -> Said:
    """The lab `full`, brought up once from nothing for all tests that need one."""
    return user.ok("up", "full", "--fresh")


@pytest.fixture
def full(user: User, cold_up: Said) -> User:  # noqa: ARG001 - it must have happened
    """Somebody whose lab `full` runs."""
    return user
