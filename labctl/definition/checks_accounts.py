"""Rules for users and groups: every name and number means one account, on every node."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.definition import accounts
from labctl.definition.parts import Parts, twice
from labctl.definition.problems import Problem

#: Accounts and groups of a Debian system. Local ones win over LDAP's: such a user could never log in.
RESERVED = frozenset(
    """root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody
    nogroup _apt adm tty disk dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp
    video sasl plugdev staff users kmem input sgx kvm render crontab netdev messagebus sshd polkitd munge
    slurm openldap sssd statd _rpc systemd-network systemd-timesync systemd-resolve systemd-journal vagrant
    mysql redis""".split()  # noqa: SIM905 - a list literal of these fills a screen
)


def once(parts: Parts) -> Iterator[Problem]:
    """No name, number or home is there twice."""
    users, groups = parts.users.items(), parts.groups.items()
    yield from twice("user", ((("users", i, "name"), user.name, user.name) for i, user in users))
    yield from twice("uid", ((("users", i, "uid"), user.uid, user.name) for i, user in users))
    yield from twice("home", ((("users", i, "home"), user.directory, user.name) for i, user in users))
    yield from twice("group", ((("groups", i, "name"), group.name, group.name) for i, group in groups))
    yield from twice("gid", ((("groups", i, "gid"), group.gid, group.name) for i, group in groups))


def own_groups(parts: Parts) -> Iterator[Problem]:
    """A user's own group takes neither the number nor the name of another one."""
    groups = list(parts.groups.values())
    numbers = {group.gid: group.name for group in groups}
    names = {group.name: group.gid for group in groups}
    claims, seen = [], set[int]()  # a uid that is there twice is said by `once`
    for index, user in parts.users.items():
        gid = accounts.primary_gid(user, groups)
        if user.gid is None and numbers.get(gid, user.name) != user.name:
            words = f"the user's own group would have gid {gid}, which is that of the group {numbers[gid]!r}"
            yield Problem(("users", index, "uid"), f"{words}; say gid: {gid} if that is meant")
        elif gid not in numbers and user.name in names:
            words = f"no group has gid {gid}, and the group {user.name!r} has {names[user.name]}"
            yield Problem(("users", index, "gid"), f"{words}; allowed: the gid of a group under groups")
        elif gid not in numbers and user.uid not in seen:
            claims.append((("users", index, "uid" if user.gid is None else "gid"), gid, user.name))
        seen.add(user.uid)
    yield from twice("no group under groups has the gid, and the own group with gid", claims)


def not_reserved(parts: Parts) -> Iterator[Problem]:
    """None is an account of the operating system's."""
    named = [
        *((("users", i, "name"), user.name) for i, user in parts.users.items()),
        *((("groups", i, "name"), group.name) for i, group in parts.groups.items()),
        *(
            (("users", i, "groups", k), name)
            for i, user in parts.users.items()
            for k, name in enumerate(user.groups)
        ),
    ]
    for path, name in named:
        if name in RESERVED:
            yield Problem(path, f"{name!r} is an account or group of the system itself; take another name")


def someone(parts: Parts) -> Iterator[Problem]:
    """There is a user at all."""
    if not parts.users and parts.sure("users"):
        yield Problem(("users",), "a lab needs a user: jobs do not run as root, and it is proven by jobs")
