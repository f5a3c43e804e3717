"""Shared file systems: NFSv4, the same on all nodes, closed to root of a client and to everyone outside."""

from __future__ import annotations

import re

import pytest
from clusterfacts.answers import Sections, mounts
from clusterfacts.questions import Questions
from clusterfacts.shared import shared, writers
from clusterfacts.topology import Topology, User


@pytest.mark.nodes("nfs_client", but="nfs_server")
def test_exports_are_nfs4_mounts(topology: Topology, node: str, facts: Sections) -> None:
    seen = mounts(facts["mounts"])
    wanted = topology.mounts(node)
    assert wanted, f"{node}: the inventory gives it no nfs_client_mounts"
    for mount in wanted:
        source, kind, options = seen.get(mount.path, ("nothing", "nothing", frozenset()))
        assert kind == "nfs4", (
            f"{node}: {mount.path} is {source} ({kind}), expected {mount.server}:{mount.export} over NFSv4"
        )
        assert source == f"{mount.server}:{mount.export}", (
            f"{node}: {mount.path} is {source}, expected {mount.server}:{mount.export}"
        )
        version = next((option for option in options if option.startswith("vers=")), "")
        assert version.startswith("vers=4"), (
            f"{node}: {mount.path} is mounted with {version or 'no version'}, expected vers=4.x"
        )
        if mount.read_only:
            assert "ro" in options, f"{node}: {mount.path} can be written, expected read-only"


@pytest.mark.needs("nfs_client")
@pytest.mark.nodes("nfs_server")
def test_server_uses_its_own_disk(topology: Topology, node: str, facts: Sections) -> None:
    seen = mounts(facts["mounts"])
    assert "/" in seen, f"{node}: its mounts are unknown: {facts['stderr']}"
    for export in topology.exports:
        kind = seen.get(export.path, ("", "", frozenset()))[1]
        assert not kind.startswith("nfs"), f"{node}: {export.path} is an NFS mount on the server itself"


@pytest.mark.needs("nfs_server")
def test_each_node_reads_what_the_others_wrote(
    topology: Topology, questions: Questions, node: str, exchange: Sections
) -> None:
    mine = shared(topology, node)
    if not mine:
        pytest.skip(f"{node} has no shared directory that the user may write")
    rows = [line.split(" ", 2) for line in exchange.lines("read")]
    seen = {(row[0], row[1]): row[2] if len(row) > 2 else "" for row in rows}
    for export, path in mine.items():
        for writer in writers(topology):
            if export not in shared(topology, writer):
                continue
            got = seen.get((path, writer), "")
            expected = f"{questions.token} from {writer}"
            assert got == expected, (
                f"{node}: what {writer} wrote into {export} reads as {got!r} here, expected {expected!r}"
            )


@pytest.mark.needs("nfs_server")
@pytest.mark.nodes("slurmd", but="nfs_server")
def test_root_cannot_read_a_private_home(
    topology: Topology, user: User, node: str, exchange: Sections
) -> None:
    seen = exchange.table("root")
    path = next((path for path in shared(topology, node).values() if path == user.home), None)
    if path is None:
        pytest.skip(f"{node} does not have {user.home} over NFS")
    got = " ".join(seen.get(path, ["nothing"]))
    assert got == "Permission denied", (
        f"{node}: root looked into a private folder in {path}: {got}; root_squash should deny it"
    )


@pytest.mark.needs("nfs_server")
@pytest.mark.nodes("slurmd", but="nfs_server")
def test_homes_are_private(user: User, node: str, exchange: Sections) -> None:
    seen = exchange["home"].split()
    assert len(seen) == 3, f"{node}: {user.home} cannot be looked at: {exchange['home']}"
    mode, owner, _ = seen
    assert owner == user.name, f"{node}: {user.home} belongs to {owner}, expected {user.name}"
    assert mode.endswith("0"), f"{node}: {user.home} has mode {mode}: it is open to everyone"


@pytest.fixture
def exported(exports: Sections) -> list[tuple[str, str, set[str]]]:
    """Path, client and options of each line of ``exportfs -s``."""
    lines = exports.lines("exports")
    found = [re.fullmatch(r"(\S+)\s+(\S+?)\((.*)\)", line.strip()) for line in lines]
    return [(match[1], match[2], set(match[3].split(","))) for match in found if match]


@pytest.mark.needs("nfs_server")
def test_exports_reach_the_promised_networks_only(
    topology: Topology, exported: list[tuple[str, str, set[str]]]
) -> None:
    server = topology.first("nfs_server")
    expected = {export.path: set(export.clients) for export in topology.exports}
    seen: dict[str, set[str]] = {}
    for path, client, _ in exported:
        seen.setdefault(path, set()).add(client)
    assert seen == expected, f"{server}: exports are {seen}, expected {expected}"
    assert not any("*" in clients for clients in seen.values()), (
        f"{server}: exports to the whole world (*): {seen}"
    )


@pytest.mark.needs("nfs_server")
def test_exports_squash_root(topology: Topology, exported: list[tuple[str, str, set[str]]]) -> None:
    server = topology.first("nfs_server")
    assert exported, f"{server}: nothing is exported"
    for path, client, options in exported:
        assert "root_squash" in options, (
            f"{server}: {path} to {client} has the options {sorted(options)}, expected root_squash"
        )


@pytest.mark.needs("nfs_server")
def test_only_version_4_is_spoken(topology: Topology, exports: Sections) -> None:
    versions = exports["versions"].split()
    server = topology.first("nfs_server")
    assert "+4" in versions, f"{server}: the NFS server speaks {versions}, expected +4"
    assert not {"+2", "+3"} & set(versions), (
        f"{server}: the NFS server speaks {versions}, expected version 4 only"
    )


@pytest.mark.needs("nfs_server")
def test_host_outside_the_networks_is_refused(topology: Topology, outsider: Sections) -> None:
    server = topology.first("nfs_server")
    if outsider["missing"]:
        pytest.skip(f"{server} lacks {outsider['missing']}")
    assert not outsider["broken"], f"{server}: no stranger could be made without {outsider['broken']}"
    if outsider["reach"] != "reached":
        assert outsider["filtered"], f"{server}: a stranger does not reach its NFS port: {outsider['reach']}"
        return  # a packet filter refuses it before NFS has to
    attempts = outsider.starting("mount ")
    assert attempts, f"{server}: no mount was tried: {outsider['stderr']}"
    for path, said in attempts.items():
        assert "code 0" not in said.splitlines(), f"{server}: a host of a foreign network could mount {path}"
