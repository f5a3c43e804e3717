"""MPI: a program that a user builds on a login node runs on several compute nodes at once."""

from __future__ import annotations

import re

import pytest
from clusterfacts.answers import Sections
from clusterfacts.topology import Topology

pytestmark = pytest.mark.needs("login", "mpi", "slurmctld", "slurmd")


def ended(mpi: Sections, name: str) -> tuple[str, str]:
    """The exit code of a command, and what it said."""
    code, _, said = mpi[name].partition("\n")
    return code, said


def ranks(topology: Topology, mpi: Sections, name: str) -> None:
    """A rank on each of the nodes, that have counted each other."""
    partition = topology.default_partition
    nodes = partition.nodes if partition else ()
    size = min(2, len(nodes))
    code, said = ended(mpi, name)
    assert code == "0", f"srun of an MPI program ended with {code}: {said}"
    seen = re.findall(r"^rank (\d+) of (\d+) on (\S+), counted (\d+)$", said, re.MULTILINE)
    expected = [(str(rank), str(size), str(size)) for rank in range(size)]
    assert sorted((rank, of, counted) for rank, of, _, counted in seen) == expected, (
        f"{size} ranks were to find each other, and they say: {said}"
    )
    hosts = {host for _, _, host, _ in seen}
    assert len(hosts) == size, f"the ranks ran on {sorted(hosts)}, expected {size} nodes"


def test_user_builds_an_mpi_program_in_the_home(topology: Topology, mpi: Sections) -> None:
    code, said = ended(mpi, "build")
    assert code == "0", f"{topology.first('login')}: mpicc ended with {code}: {said}"


def test_ranks_on_several_nodes_find_each_other_over_pmix(topology: Topology, mpi: Sections) -> None:
    ranks(topology, mpi, "pmix")


def test_plain_srun_starts_mpi_programs_where_that_is_the_default(topology: Topology, mpi: Sections) -> None:
    if "pmix" not in mpi["default"]:
        pytest.skip(f"MpiDefault is {mpi['default'] or 'not set'}")
    ranks(topology, mpi, "plain")
