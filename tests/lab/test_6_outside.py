"""A host outside of the cluster is a client of it, set up from what `labctl config` exports and from nothing else."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import User
from ruamel.yaml import YAML

pytestmark = pytest.mark.skipif(
    "LABCTL_TEST_SERVICES" not in os.environ,
    reason="some three minutes more: LABCTL_TEST_SERVICES=1 make lab",
)
LAB, OUTSIDE = "outside", "outside-0"
DEFINITION = """\
name: outside
users:
  - {name: nucci, uid: 10000, groups: [research]}
services: {accounting: true}
nodes:
  - {name: cpu-0, roles: [ldap_server, nfs_server, slurmctld, slurmd], cpus: 2, memory: 2048, partitions: [debug]}
  - {name: outside-0, bare: true}
partitions:
  - {name: debug, default: true, max_time: "1:00:00"}
"""
DOCS = Path(__file__).resolve().parents[2] / "docs/clients.md"
#: What an export is called there.
KEY, CONF = "munge.key", "slurm.conf"


def documented() -> str:
    """The lines of the documentation that set a client up, as root gives them."""
    section = DOCS.read_text().split("## A Slurm client of your own")[1]
    (block,) = re.findall(r"```sh\n(labctl config --format munge.*?)```", section, re.DOTALL)
    return "\n".join(
        line.replace("sudo ", "") for line in block.splitlines() if not line.startswith("labctl")
    )


class Client:
    """The host that is no part of the cluster."""

    def __init__(self, user: User) -> None:
        self.user = user

    def on(self, command: str, node: str = OUTSIDE) -> str:
        return self.user.ok("ssh", "--name", LAB, node, "--", command).out.strip()

    def as_user(self, command: str) -> str:
        return self.on(f"cd / && runuser -u nucci -- {command}")

    def blank(self) -> None:
        """Have nothing but the packages of Debian's, which make no user for Slurm, and know no name of the lab."""
        self.on(f"""
            systemctl stop munge
            rm -rf /etc/munge/{KEY} /etc/slurm/{CONF} /etc/resolv.conf setup && mkdir setup
            ! getent passwd slurm || userdel slurm
            ! getent group slurm || groupdel slurm
        """)

    def set_up(self, folder: Path) -> None:
        """Bring both files and do what the documentation says with them."""
        self.blank()
        self.user.ok("cp", "--name", LAB, str(folder / KEY), str(folder / CONF), f"{OUTSIDE}:setup/")
        self.on(f"set -e; cd setup\n{documented()}")


@pytest.fixture(scope="module")
def client(user: User) -> Iterator[Client]:
    (user.home / "outside.yml").write_text(DEFINITION)
    assert "verified:" in user.ok("up", "outside.yml").out
    made = Client(user)
    # What is known of the lab's user there is a number alone.
    made.on("useradd --uid 10000 nucci")
    yield made
    user("destroy", LAB)


@pytest.fixture(scope="module")
def exported(client: Client) -> Path:
    """The folder with the exports that are files as they are."""
    folder = client.user.home / "exported"
    folder.mkdir()
    for form, name in (("munge", KEY), ("slurm-conf", CONF)):
        client.user.ok("config", LAB, "--format", form, "--output", str(folder / name))
    return folder


@pytest.fixture(scope="module")
def unpacked(client: Client) -> Path:
    """The same from the manifests for Kubernetes alone."""
    folder = client.user.home / "unpacked"
    folder.mkdir()
    text = client.user.ok("config", LAB, "--format", "kubernetes").out
    secret, facts = YAML(typ="safe").load_all(text)
    (folder / KEY).write_bytes(base64.b64decode(secret["data"][KEY], validate=True))
    (folder / CONF).write_text(facts["data"][CONF])
    return folder


def works(client: Client) -> None:
    """Whoever has uid 10000 there sees the cluster, and submits, follows and cancels jobs."""
    assert client.as_user("sinfo -h -o '%R %D'") == "debug 1"
    where = "--chdir=/home/nucci --output=/home/nucci/said"
    script = "'hostname; id -un'"
    job = client.as_user(f"sbatch --parsable --wait {where} --wrap={script}")
    assert client.on("cat /home/nucci/said", "cpu-0").split() == ["cpu-0", "nucci"]
    asked = f"sacct -nPX -j {job} -o User,State"
    waits = f"for i in $(seq 60); do {asked} | grep -q COMPLETED && break; sleep 1; done; {asked}"
    assert client.on(waits) == "nucci|COMPLETED"

    job = client.as_user(f"sbatch --parsable {where} --wrap='sleep 600'")
    assert client.as_user(f"squeue -h -j {job} -o '%u'") == "nucci"
    client.as_user(f"scancel {job}")
    asked = f"squeue -h -j {job} -t PENDING,RUNNING,COMPLETING"
    client.on(f'for i in $(seq 60); do [ -n "$({asked} 2>/dev/null)" ] || exit 0; sleep 1; done; exit 1')


def test_no_playbook_got_there_and_it_resolves_no_node(client: Client) -> None:
    client.blank()
    assert client.user("ssh", "--name", LAB, OUTSIDE, "--", "getent hosts cpu-0").code != 0
    assert (
        client.on("systemctl is-active sssd munge slurmd; findmnt -n -t nfs4; true").split()
        == ["inactive"] * 3
    )
    assert client.user.ok("exec", "--name", LAB, "all", "--", "hostname").out.count(OUTSIDE) >= 1
    assert OUTSIDE not in client.on("cat /etc/hosts /etc/slurm/slurm.conf", "cpu-0")


def test_a_host_is_a_client_with_the_key_and_slurm_conf(client: Client, exported: Path) -> None:
    client.set_up(exported)
    works(client)


def test_another_key_is_refused(client: Client, exported: Path) -> None:
    client.set_up(exported)
    client.on(f"dd if=/dev/urandom of=/etc/munge/{KEY} bs=128 count=1 && systemctl restart munge")
    refused = client.user("ssh", "--name", LAB, OUTSIDE, "--", "timeout 300 sinfo")
    assert refused.code not in (0, 124), refused.all
    credential = client.on("munge -n")
    decoded = client.user("ssh", "--name", LAB, "cpu-0", "--", f"echo {credential} | unmunge")
    assert "Invalid credential" in decoded.all


def test_a_container_is_one_with_what_kubernetes_gets(client: Client, unpacked: Path) -> None:
    client.set_up(unpacked)
    works(client)
