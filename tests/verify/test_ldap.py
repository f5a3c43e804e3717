"""Users and passwords: one directory, hashed passwords, StartTLS only."""

from __future__ import annotations

import base64

import pytest
from clusterfacts.account import Account
from clusterfacts.answers import Sections, scheme
from clusterfacts.connection import Answer
from clusterfacts.questions import Questions
from clusterfacts.topology import Topology, User

CONFIDENTIALITY_REQUIRED, INVALID_CREDENTIALS = 13, 49  # RFC 4511, result codes
SEARCHED = (0, 8, 32, 48, 50)  # success, or one of the ways to say that this is not for everyone
HASHES = ("{CRYPT}", "{SSHA", "{ARGON2}", "{PBKDF2")


@pytest.mark.quick
@pytest.mark.needs("ldap_server")
@pytest.mark.nodes("ldap_client")
def test_every_user_resolves(topology: Topology, node: str, facts: Sections) -> None:
    seen = facts.table("passwd", ":")
    for user in topology.users:
        entry = seen.get(user.name)
        assert entry, f"{node}: user {user.name} is unknown (getent passwd {user.name} finds nothing)"
        expected = [str(user.uid), str(user.gid), user.home, user.shell]
        got = [entry[1], entry[2], entry[4], entry[5]]
        assert got == expected, f"{node}: {user.name} has uid, gid, home and shell {got}, expected {expected}"


@pytest.mark.needs("ldap_server")
@pytest.mark.nodes("ldap_client")
def test_every_group_resolves(topology: Topology, node: str, facts: Sections) -> None:
    seen = facts.table("groups", ":")
    for group in topology.ldap_groups:
        entry = seen.get(group["name"])
        assert entry, f"{node}: group {group['name']} is unknown (getent group {group['name']} finds nothing)"
        assert entry[1] == str(group["gid"]), (
            f"{node}: group {group['name']} has gid {entry[1]}, expected {group['gid']}"
        )


@pytest.mark.needs("ldap_server")
@pytest.mark.nodes("ldap_client")
def test_every_user_is_in_its_groups(topology: Topology, node: str, facts: Sections) -> None:
    seen = facts.table("memberships")
    for user in topology.users:
        gids = {int(gid) for gid in seen.get(user.name, [])} | {user.gid}
        missing = topology.memberships[user.name] - gids
        assert not missing, f"{node}: {user.name} is in the gids {sorted(gids)} but not in {sorted(missing)}"


@pytest.mark.needs("ldap_server")
def test_no_cleartext_password_in_the_directory(topology: Topology, directory: Sections) -> None:
    server, entry, count = topology.first("ldap_server"), "", 0
    for line in directory["stored"].splitlines():
        if not line.startswith("  "):
            entry = line
            continue
        count += 1
        hashed = scheme(_beginning(line))
        assert hashed.startswith(HASHES), (
            f"{server}: the password of {entry} is stored as {hashed or 'cleartext'}, expected a hash"
        )
    assert count or not topology.users, (
        f"{server}: no user in the directory has a password (slapcat shows none)"
    )


def _beginning(line: str) -> str:
    kind, _, value = line.strip().partition(" ")
    if kind == "plain":
        return value
    whole = value[: len(value) // 4 * 4]
    return base64.b64decode(whole).decode(errors="replace")


@pytest.fixture
def account(topology: Topology, user: User) -> Account:  # noqa: ARG001 - skips without a user
    return Account.of(topology)


@pytest.fixture
def binds(questions: Questions, account: Account) -> Sections:
    if not account.password:
        pytest.skip("the inventory has no verify_password, and VERIFY_PASSWORD is not set")
    seen = questions.binds()
    if seen["missing"]:
        pytest.skip(f"{account.client} has no {seen['missing']}")
    return seen


def _outcome(binds: Sections, name: str) -> tuple[int, str]:
    code, _, said = binds[name].partition("\n")
    return int(code or -1), said.strip() or "nothing"


@pytest.mark.needs("ldap_server")
def test_right_password_binds_over_starttls(binds: Sections, account: Account) -> None:
    code, said = _outcome(binds, "right")
    assert code == 0, (
        f"{account.client}: {account.user.name} cannot bind with the right password over StartTLS: {said}"
    )


@pytest.mark.needs("ldap_server")
def test_wrong_password_is_refused(binds: Sections, account: Account) -> None:
    code, said = _outcome(binds, "wrong")
    assert code == INVALID_CREDENTIALS, (
        f"{account.client}: a wrong password of {account.user.name} ended with {code} ({said}), "
        f"expected {INVALID_CREDENTIALS} (invalid credentials)"
    )


@pytest.mark.needs("ldap_server")
@pytest.mark.parametrize(("attempt", "what"), [("clear-bind", "a bind"), ("clear-search", "a search")])
def test_nothing_goes_without_tls(binds: Sections, account: Account, attempt: str, what: str) -> None:
    code, said = _outcome(binds, attempt)
    assert code == CONFIDENTIALITY_REQUIRED, (
        f"{account.client}: {what} without TLS ended with {code} ({said}), "
        f"expected {CONFIDENTIALITY_REQUIRED} (confidentiality required)"
    )


@pytest.mark.needs("ldap_server")
@pytest.mark.parametrize(("attempt", "who"), [("others", "another user"), ("anonymous", "anyone")])
def test_password_hashes_cannot_be_read(binds: Sections, account: Account, attempt: str, who: str) -> None:
    code, said = _outcome(binds, attempt)
    assert code in SEARCHED, f"{account.client}: a search over StartTLS ended with {code}: {said}"
    found = [line for line in said.splitlines() if line.startswith("dn:")]
    assert not found, f"{account.client}: {who} can see the password attribute of {found[0]}"


@pytest.mark.needs("ldap_server")
@pytest.mark.nodes("slurmd")
def test_ssh_key_of_the_user_comes_from_the_directory(
    topology: Topology, user: User, node: str, facts: Sections
) -> None:
    entries = topology.var(topology.first("ldap_server"), "ldap_server_users", [])
    keys = next((entry.get("ssh_keys") or [] for entry in entries if entry["name"] == user.name), [])
    if not keys:
        pytest.skip(f"the directory is given no SSH key of {user.name}")
    for key in keys:
        kind, body = key.split()[:2]
        assert f"{kind} {body}" in facts["keys"], (
            f"{node}: sss_ssh_authorizedkeys {user.name} does not show the key of the directory"
        )


@pytest.mark.needs("slurmd")
def test_user_logs_in_by_ssh_and_has_a_home(topology: Topology, login: Answer, user: User) -> None:
    node, seen = topology.entrance, login.stdout.splitlines()
    said = login.stderr.strip() or seen
    assert login.code == 0, f"{node}: the login of {user.name} ended with {login.code}: {said}"
    name, directory, home, owner = seen[:4]
    assert name == user.name, f"{node}: logged in as {name}, expected {user.name}"
    assert directory == home == user.home, (
        f"{node}: {name} starts in {directory}, HOME is {home}, expected {user.home}"
    )
    assert owner.split()[0] == user.name, (
        f"{node}: {home} belongs to {owner.split()[0]}, expected {user.name}"
    )
