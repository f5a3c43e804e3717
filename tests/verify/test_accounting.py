"""Accounting: it knows the cluster, its users and what they ran, and its limits hold."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections
from clusterfacts.topology import Topology, User

pytestmark = pytest.mark.needs("slurmdbd", "slurmctld")
#: As slurm_strerror words it.
INVALID_ACCOUNT = "Invalid account"
POLICY = "violates accounting/QOS policy"


def rows(text: str) -> list[list[str]]:
    """The lines of an answer in columns."""
    return [line.split("|") for line in text.splitlines() if "|" in line]


def submitted(accounting: Sections, name: str) -> tuple[str, str]:
    """The exit code and the words of sbatch."""
    code, _, said = accounting[f"submit {name}"].partition("\n")
    return code, said


def test_accounting_knows_the_cluster(topology: Topology, accounting: Sections) -> None:
    seen = accounting.lines("clusters")
    assert topology.cluster in seen, (
        f"sacctmgr knows the clusters {seen}, expected {topology.cluster} among them"
    )


def test_user_has_the_accounts_that_the_inventory_gives(
    topology: Topology, user: User, accounting: Sections
) -> None:
    expected = topology.accounts.get(user.name)
    if not expected:
        pytest.skip(f"the inventory gives {user.name} no accounts")
    seen = {row[0] for row in rows(accounting["associations"])}
    assert seen == set(expected), f"{user.name} has the accounts {sorted(seen)}, expected {sorted(expected)}"
    default = next((row[1] for row in rows(accounting["default"])), "none")
    assert default == expected[0], f"the default account of {user.name} is {default}, expected {expected[0]}"


@pytest.mark.needs("slurmd")
def test_sacct_shows_a_job(topology: Topology, user: User, jobs: Sections) -> None:
    number = jobs["id research"].strip()
    assert number, f"the research job was not submitted: {jobs['submit research']}"
    found = [row for row in rows(jobs["sacct"]) if row[0] == number]
    assert found, f"sacct does not know the job {number}; it shows: {jobs['sacct'] or 'nothing'}"
    _, name, owner, account, _, partition, state = found[0]
    default = topology.default_partition
    expected = ("research", user.name, default.name if default else "", "COMPLETED")
    assert (name, owner, partition, state) == expected, (
        f"sacct has the job {number} as {(name, owner, partition, state)}, expected {expected}"
    )
    accounts = topology.accounts.get(user.name) or (account,)
    assert account == accounts[0], f"the job {number} went to the account {account!r}, expected {accounts[0]}"


def test_sreport_answers(accounting: Sections) -> None:
    assert "- answered" in accounting.lines("report"), f"sreport says: {accounting['report'] or 'nothing'}"


def test_user_has_a_fair_share(user: User, accounting: Sections) -> None:
    shares = [row for row in rows(accounting["shares"]) if row[1] == user.name]
    assert shares, f"sshare does not know {user.name}; it says: {accounting['shares'] or 'nothing'}"
    for account, _, _, fair in shares:
        assert fair and 0 <= float(fair) <= 1, (  # noqa: PT018 - one fact
            f"the fair share of {user.name} in {account} is {fair!r}, expected a number from 0 to 1"
        )


def test_job_of_an_unknown_account_is_refused(user: User, accounting: Sections) -> None:
    code, said = submitted(accounting, "stranger")
    assert code not in ("", "0"), (
        f"a job of {user.name} for an account that does not exist was accepted: {said}"
    )
    assert INVALID_ACCOUNT in said, (
        f"a job for an unknown account was refused, but for another reason: {said}"
    )


def test_job_longer_than_its_qos_allows_is_refused(topology: Topology, accounting: Sections) -> None:
    limit = topology.limit
    if limit is None or not limit.longer:
        pytest.skip("the inventory has no QOS with MaxWall and DenyOnLimit in slurmdbd_qos")
    code, said = submitted(accounting, "longer")
    assert code not in ("", "0"), f"the QOS {limit.qos} let a job of unlimited length in: {said}"
    assert POLICY in said, (
        f"a job too long for the QOS {limit.qos} was refused, but for another reason: {said}"
    )


def test_one_job_more_than_the_qos_allows_is_refused(topology: Topology, accounting: Sections) -> None:
    limit = topology.limit
    if limit is None or limit.jobs is None:
        pytest.skip("the inventory has no QOS with MaxSubmitJobsPerUser in slurmdbd_qos")
    code, said = submitted(accounting, "within 1")
    assert code == "0", f"the QOS {limit.qos} allows {limit.jobs} jobs, but refused the first: {said}"
    code, said = submitted(accounting, "beyond")
    assert code not in ("", "0"), (
        f"the QOS {limit.qos} allows {limit.jobs} jobs, but one more was accepted: {said}"
    )
    assert POLICY in said, (
        f"one job too many for the QOS {limit.qos} was refused, but for another reason: {said}"
    )
