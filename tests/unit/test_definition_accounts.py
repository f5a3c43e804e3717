"""Groups and their numbers: nothing is left to chance, and nothing collides."""

from __future__ import annotations

import pytest

from labctl.definition.accounts import Account, ResolvedGroup, named, resolve
from labctl.definition.loading import loads
from labctl.errors import DefinitionError

LAB = """\
name: x
nodes:
  - {name: all-0, roles: [ldap_server, nfs_server, slurmctld, slurmd], partitions: [debug]}
partitions: [{name: debug}]
"""


def groups(accounts: str) -> dict[str, ResolvedGroup]:
    lab = loads(LAB + accounts)
    return {group.name: group for group in resolve(lab.users, lab.groups)}


def refused(accounts: str) -> str:
    with pytest.raises(DefinitionError) as refusal:
        loads(LAB + accounts)
    return str(refusal.value)


def test_a_user_without_a_gid_has_a_group_of_their_own() -> None:
    assert groups("users: [{name: ann, uid: 10000}]") == {"ann": ResolvedGroup("ann", 10000, ())}


def test_a_group_that_is_only_mentioned_gets_a_free_number_from_10100_up() -> None:
    found = groups(
        """
users:
  - {name: ann, uid: 10100, groups: [research, teaching]}
  - {name: bob, uid: 10000, groups: [teaching]}
groups: [{name: taken, gid: 10102}]
"""
    )
    assert found["research"] == ResolvedGroup("research", 10101, ("ann",))
    assert found["teaching"] == ResolvedGroup("teaching", 10103, ("ann", "bob"))


def test_a_primary_group_may_be_shared() -> None:
    found = groups("users: [{name: ann, uid: 10000, gid: 10500}, {name: bob, uid: 10001, gid: 10500}]\n"
                   "groups: [{name: staffs, gid: 10500}]")  # fmt: skip
    assert list(found) == ["staffs"]


def test_a_written_group_of_the_users_name_is_the_users_own() -> None:
    assert list(groups("users: [{name: ann, uid: 10000}]\ngroups: [{name: ann, gid: 10007}]")) == ["ann"]


@pytest.mark.parametrize(
    ("accounts", "words"),
    [
        ("users: [{name: a, uid: 10000}, {name: b, uid: 10000}]", "uid 10000 is already that of a"),
        ("users: [{name: a, uid: 10000}, {name: a, uid: 10001}]", "user 'a' is there twice"),
        (
            "users: [{name: a, uid: 10000, home: /home/b}, {name: b, uid: 10001}]",
            "home '/home/b' is already that of a",
        ),
        ("users: [{name: a, uid: 10000}]\ngroups: [{name: g, gid: 10000}]", "which is that of the group 'g'"),
        (
            "users: [{name: a, uid: 10000}]\ngroups: [{name: g, gid: 10001}, {name: g, gid: 10002}]",
            "group 'g' is there twice",
        ),
        (
            "users: [{name: a, uid: 10000}]\ngroups: [{name: g, gid: 10001}, {name: h, gid: 10001}]",
            "gid 10001 is already that of g",
        ),
        (
            "users: [{name: a, uid: 10000, gid: 10001}, {name: b, uid: 10001}]",
            "own group with gid 10001 is already that of a",
        ),
        (
            "users: [{name: a, uid: 10000, gid: 10002}]\ngroups: [{name: a, gid: 10001}]",
            "no group has gid 10002",
        ),
    ],
)
def test_accounts_that_collide(accounts: str, words: str) -> None:
    assert words in refused(accounts)


def test_what_goes_into_the_directory_is_named_whoever_says_it() -> None:
    lab = loads(
        LAB
        + """
users: [{name: ann, uid: 10000, groups: [research]}]
vars:
  ldap_server_users: [{name: bob, uid: 10001}]
  ldap_server_groups: "{{ a_template }}"
"""
    )
    assert named(lab) == {
        Account("user", "ann"),
        Account("user", "bob"),
        Account("group", "ann"),
        Account("group", "research"),
    }
