"""Which nodes a pattern means."""

from __future__ import annotations

import pytest
from small_lab import small

from labctl.errors import UsageError
from labctl.selection import select

NODES = small().machines()


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("all", "head cpu-0 cpu-1"),
        ("cpu-1 @all", "head cpu-0 cpu-1"),
        ("cpu-[0-1]", "cpu-0 cpu-1"),
        ("cpu-1,head", "head cpu-1"),
        ("cpu-1 ; head", "head cpu-1"),
        ("cpu-0 cpu-0 @cpu", "cpu-0 cpu-1"),
        ("@slurmctld", "head"),
        ("head,@slurmd", "head cpu-0 cpu-1"),
        ("@slurmd!cpu-0", "cpu-1"),
        ("all!@slurmctld", "cpu-0 cpu-1"),
        ("", ""),
    ],
)
def test_each_node_is_meant_once_and_in_the_order_of_the_definition(pattern: str, meant: str) -> None:
    assert select("small", NODES, pattern) == tuple(meant.split())


@pytest.mark.parametrize(
    ("pattern", "what", "hint"),
    [
        ("head cpu-[1-3]", "small has no node cpu-2, cpu-3", "did you mean cpu-"),
        ("al", "small has no node al", "did you mean all?"),
        ("slurmd", "small has no node slurmd", "did you mean @slurmd?"),
        ("head,@slurm", "small has no group @slurm", "did you mean @slurm"),
        ("@", "small has no group @", "its groups: "),
        ("xyz", "small has no node xyz", "its nodes: cpu-[0-1],head"),
        ("head @slurm", "small has no group @slurm", "did you mean @slurm"),
        ("@xyz", "small has no group @xyz", "its groups: @ldap_server, @nfs_server, @slurmctld, @slurmd, @cpu"),
        ("cpu-[0-", "'cpu-[0-' is no hostlist", "cpu-[0-1], @slurmd or all"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_with_the_lab_and_what_there_is(
    pattern: str, what: str, hint: str
) -> None:
    with pytest.raises(UsageError) as refused:
        select("small", NODES, pattern)
    assert refused.value.what == what
    assert refused.value.hint.startswith(hint)
