"""The REST daemon: it serves who has a token, over TLS, and nobody else."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections
from clusterfacts.topology import Topology, User

pytestmark = pytest.mark.needs("slurmrestd", "slurmctld")
OK = "200"
#: What slurmrestd of different versions says to who may not come in.
REFUSED = ("401", "500")


def first(rest: Sections, name: str) -> str:
    """The first line of an answer."""
    return next(iter(rest.lines(name)), "nothing")


def test_user_gets_a_token(user: User, rest: Sections) -> None:
    assert rest["token"] == "made", f"scontrol token gave {user.name} none: {rest['stderr']}"


def test_daemon_runs_under_a_user_of_its_own(rest: Sections) -> None:
    seen = {line.strip() for line in rest.lines("process")}
    assert seen and not seen & {"root", "slurm"}, f"slurmrestd runs as {sorted(seen)}"  # noqa: PT018 - one fact


def test_daemon_listens_on_loopback_and_tls_alone(topology: Topology, rest: Sections) -> None:
    address = topology.var(topology.first("slurmrestd"), "slurmrestd_tls_address", "")
    seen = {line.rpartition(":")[0] for line in rest.lines("listening")}
    expected = {"127.0.0.1", address} - {""}
    assert seen == expected, f"slurmrestd's port is open on {sorted(seen)}, expected {sorted(expected)}"


def test_key_of_tokens_is_slurms_alone(topology: Topology, rest: Sections) -> None:
    if topology.first("slurmrestd") not in topology.nodes("slurmctld"):
        pytest.skip("the daemon's node is not the controller's, so it has no key")
    assert rest["key"].split()[1:] == ["400", "slurm", "slurm"], (
        f"the key of tokens is {rest['key'] or 'not there'}"
    )


def test_ping_answers_who_has_a_token(rest: Sections) -> None:
    assert first(rest, "ping") == OK, f"GET ping with a token gave {rest['ping']}"


def test_nodes_are_those_of_the_cluster(topology: Topology, rest: Sections) -> None:
    assert first(rest, "nodes") == OK, f"GET nodes gave {rest['nodes']}"
    seen, expected = set(rest.lines("names")), set(topology.nodes("slurmd"))
    assert seen == expected, f"the REST daemon has the nodes {sorted(seen)}, expected {sorted(expected)}"


@pytest.mark.parametrize("token", ["none", "broken", "forged"])
def test_who_has_no_token_of_this_key_is_refused(rest: Sections, token: str) -> None:
    seen = first(rest, f"refused {token}")
    assert seen in REFUSED, f"GET ping with {token} token gave {seen}, expected to be refused"


def test_certificate_is_of_the_clusters_authority(rest: Sections) -> None:
    if "untrusted" not in rest:
        pytest.skip("the daemon serves its own host alone")
    seen = rest["untrusted"]
    assert "CERTIFICATE_VERIFY_FAILED" in seen, f"a client that trusts another authority was served: {seen}"


def test_nothing_is_served_without_tls(rest: Sections) -> None:
    if "plain" not in rest:
        pytest.skip("the daemon serves its own host alone")
    assert first(rest, "plain") != OK, "the daemon answers over HTTP without TLS on its public address"


@pytest.mark.needs("slurmd")
def test_job_that_was_submitted_over_rest_completes(rest: Sections) -> None:
    assert first(rest, "submit") == OK, f"POST job/submit gave {rest['submit']}"
    assert rest["job"] == "COMPLETED", (
        f"the job that was submitted over REST is {rest['job']}, expected COMPLETED"
    )
