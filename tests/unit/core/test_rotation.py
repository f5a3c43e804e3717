"""Rotation: which stages a new secret takes, and whether a cluster is seen to go by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import get_args

import pytest

from labctl.definition.loading import loads
from labctl.errors import LabError, VerifyError
from labctl.providers.base import Answer
from labctl.render import groups
from labctl.render.layout import BoxImage, Layout, Machine, Network, Secrets
from labctl.rotation import Kind, given, overlapping, stages
from labctl.steps.witness import Witness, witness

KINDS: tuple[Kind, ...] = get_args(Kind)
LAB = """
name: small
users: [{name: ann, uid: 10000}, {name: bob, uid: 10001}]
nodes:
  - {name: head, roles: [ldap_server, nfs_server, slurmctld]}
  - {name: cpu-0, roles: [slurmd], partitions: [cpu]}
partitions: [{name: cpu}]
services: {accounting: true, rest: true}
"""
DEFINITION = loads(LAB)
LAYOUT = Layout(
    "small",
    DEFINITION,
    Network("lc-small", IPv4Network("10.0.0.0/24"), IPv4Address("10.0.0.1")),
    tuple(
        Machine(node, f"labctl_small_{node.name}", "52:54:00:00:00:01", IPv4Address(f"10.0.0.{10 + place}"))
        for place, node in enumerate(DEFINITION.machines())
    ),
    BoxImage("labctl-debian-12"),
    "qemu",
    "libvirt",
    Path("/lab"),
    "ssh-ed25519 AAAA labctl-small",
    "labctl_small_",
)


def secrets(age: str) -> Secrets:
    users = ("ann", "bob")
    return Secrets(
        munge_key=f"{age} key",
        ca_certificate=f"{age} authority\n",
        certificates={"head": f"{age} certificate\n"},
        private_keys={"head": f"{age} private key"},
        passwords={user: f"{age}-{user}" for user in users},
        password_hashes=dict.fromkeys(users, f"{age} hash"),
    )


OLD, NEW = secrets("old"), secrets("new")


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_changes_nodes_of_groups_that_there_are(kind: Kind) -> None:
    for stage in (*stages(kind), *stages(kind, authority=kind == "tls")):
        assert set(stage.groups) <= set(groups.ROLES)
        assert stage.does


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_stage_has_the_new_secrets_alone(kind: Kind) -> None:
    assert not stages(kind)[-1].overlap
    assert not stages("tls", authority=True)[-1].overlap


def test_clients_trust_a_new_authority_before_servers_show_it_and_the_old_one_until_they_do() -> None:
    first, second, third = stages("tls", authority=True)
    assert (first.tags, second.tags, third.tags) == (
        "ldap_client,containers",
        "ldap_server,slurmrestd,registry",
        "ldap_client,containers",
    )
    assert (first.overlap, second.overlap) == (True, False)
    both = overlapping(OLD, NEW)
    assert both.ca_certificate == "new authority\nold authority\n"
    assert both.certificates == OLD.certificates
    assert both.private_keys == OLD.private_keys


@pytest.mark.parametrize(
    ("kind", "variables", "name"),
    [
        ("munge", "munge_key: c2VjcmV0", "munge_key"),
        ("jwt", "slurm_common_jwt_key: c2VjcmV0", "slurm_common_jwt_key"),
        ("tls", "slurmrestd_tls_certificate: mine", "slurmrestd_tls_certificate"),
        ("ldap", "ldap_server_users: [{name: ann, password_hash: mine}]", "ldap_server_users"),
        ("ldap", "ldap_server_users: [{name: ann, shell: /bin/sh}]", ""),
        ("munge", "munge_uid: 900", ""),
    ],
)
def test_a_secret_that_the_definition_has_itself_is_known(kind: Kind, variables: str, name: str) -> None:
    assert given(kind, loads(f"{LAB}vars: {{{variables}}}\n")) == name


@dataclass
class Cluster:
    """Nodes that answer what they are told to answer; `wrong` answers as if nothing had been rotated."""

    wrong: set[str] = field(default_factory=set)
    authority: bool = False
    heard: list[tuple[str, str, str]] = field(default_factory=list)
    signed: int = 0

    def __call__(self, node: str, script: str, stdin: str) -> Answer:
        self.heard.append((node, script, stdin))
        if script.startswith(("munge -n", "scontrol token")):
            self.signed += 1
            return Answer(0, f"signed {self.signed}\n", "")
        return Answer(0, "\n".join(self._said(node, script, stdin)) + "\n", "")

    def _said(self, node: str, script: str, stdin: str) -> Sequence[str]:
        well = node not in self.wrong
        if "unmunge" in script:
            return ["14" if well else "15", "0"]
        if "SLURM_JWT" in script:
            return ["1" if well else "0", "0"]
        if "s_client" in script:
            return [(NEW if well else OLD).certificates["head"]]
        if "ldapsearch" in script:
            return ["2" if self.authority and well else "0", "0" if well or self.authority else "1"]
        return ["49" if well else "0", "0"] * (len(stdin.splitlines()) // 3)


def known(kind: Kind, cluster: Cluster) -> Witness:
    return witness(kind, LAYOUT, cluster)


@pytest.mark.parametrize(
    ("kind", "proofs"),
    [
        ("munge", ["head: reads what the new key signs", "cpu-0: reads what the new key signs"]),
        ("jwt", ["head: slurmctld takes tokens", "head: slurmdbd takes tokens"]),
        ("tls", ["head: slapd shows", "head: slurmrestd shows", "head: trusts", "cpu-0: trusts"]),
        ("ldap", ["head: ann logs in with the new password", "head: bob logs in with the new password"]),
    ],
)
def test_what_is_right_everywhere_is_said(kind: Kind, proofs: list[str]) -> None:
    said = known(kind, Cluster()).prove(OLD, NEW, authority=False)
    assert [text.startswith(proof) for text, proof in zip(said, proofs, strict=True)] == [True] * len(proofs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_where_the_old_one_still_counts_is_named(kind: Kind) -> None:
    with pytest.raises(VerifyError, match="not every node of small goes by the new secret alone") as failed:
        known(kind, Cluster(wrong={"head"})).prove(OLD, NEW, authority=False)
    assert failed.value.why.startswith("head: not so: ")
    assert "cpu-0" not in failed.value.why
    assert "labctl up --name small" in failed.value.hint


@pytest.mark.parametrize("still", [set(), {"cpu-0"}], ids=["nobody", "one"])
def test_who_trusts_the_old_authority_is_named(still: set[str]) -> None:
    asked = known("tls", Cluster(wrong=still, authority=True))
    if still:
        with pytest.raises(VerifyError, match="certificates") as failed:
            asked.prove(OLD, NEW, authority=True)
        assert (
            failed.value.why == "cpu-0: not so: trusts the directory, and no certificate of the old authority"
        )
    else:
        assert "cpu-0: trusts the directory, and no certificate of the old authority" in asked.prove(
            OLD, NEW, authority=True
        )


def test_what_was_signed_before_is_shown_beside_what_is_signed_afterwards() -> None:
    cluster = Cluster()
    asked = known("munge", cluster)
    assert [script for _, script, _ in cluster.heard] == ["munge -n"]
    asked.prove(OLD, NEW, authority=False)
    assert {stdin for _, script, stdin in cluster.heard if "unmunge" in script} == {"signed 1\nsigned 2\n"}


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_stands_in_a_command_line(kind: Kind) -> None:
    cluster = Cluster()
    known(kind, cluster).prove(OLD, NEW, authority=False)
    words = ["signed", "old", "new"]
    scripts = [script.replace('"$old"', "").replace('"$new"', "") for _, script, _ in cluster.heard]
    scripts = [script.replace("read -r old", "").replace("read -r new", "") for script in scripts]
    assert [script for script in scripts if any(word in script for word in words)] == []


@pytest.mark.parametrize("kind", ["munge", "jwt"])
def test_a_cluster_that_signs_nothing_is_left_alone(kind: Kind) -> None:
    with pytest.raises(LabError, match="head signs nothing") as failed:
        witness(kind, LAYOUT, lambda *_: Answer(1, "", "munged is down"))
    assert failed.value.why == "munged is down"
    assert "labctl up --name small" in failed.value.hint
