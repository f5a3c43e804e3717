#!/usr/bin/python
"""Ansible module: LDAP entries as wanted, by difference, over one connection."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible.module_utils.basic import AnsibleModule

try:
    import ldap
except ImportError:
    ldap = None

DOCUMENTATION = r"""
module: ldap_entries
short_description: Makes LDAP entries what they are said to be
description:
  - Reads each entry, adds it or changes what differs, in the order given.
  - Attributes that are not named stay as they are.
  - Speaks to a server on the same machine as root (SASL EXTERNAL); works on C(cn=config) and on any database.
options:
  uri: {type: str, default: "ldapi:///", description: The server.}
  entries:
    type: list
    elements: dict
    required: true
    description: The entries.
    suboptions:
      dn: {type: str, required: true, description: Its name.}
      find:
        type: dict
        description: Base and filter that find an entry, one level below the base, whose name is not known.
      objectClass: {type: list, elements: str, default: [], description: Classes that the entry has at least.}
      attributes: {type: dict, default: {}, description: Attribute to value or values; empty to remove it.}
      initially: {type: dict, default: {}, description: Attributes that it is made with and that are left alone then.}
      state:
        type: str
        choices: [present, once, absent]
        default: present
        description: C(once) makes an entry that is not there and leaves one that is.
  passwords: {type: dict, default: {}, description: DN to hashed password.}
  update_password:
    type: str
    choices: [always, on_create]
    default: always
    description: Whether a password that differs is set again.
  purge: {type: list, elements: str, default: [], description: DNs below which unwanted entries go.}
  timeout: {type: int, default: 30, description: Seconds to wait for the server to answer.}
author: labctl contributors
"""

RETURN = r"""
changes:
  description: What was done (or would be), in order.
  type: list
  elements: dict
  returned: always
"""

Attributes = dict[str, list[bytes]]  # as slapd spells the names

#: cn=config keeps the order of these and numbers their values: {0}..., {1}...
ORDERED = {
    "olcaccess",
    "olcattributetypes",
    "olcauthzregexp",
    "olclimits",
    "olcmoduleload",
    "olcobjectclasses",
    "olcsyncrepl",
}
HIDDEN = {"userpassword", "olcrootpw"}
NUMBER = re.compile(rb"^\{-?\d+\}")


class Directory(Protocol):
    """What the module needs of an LDAP server; the fake of the unit tests is the other implementation."""

    def get(self, dn: str) -> Attributes | None: ...
    def find(self, base: str, filterstr: str) -> str | None: ...
    def children(self, base: str) -> list[str]: ...
    def add(self, dn: str, attributes: Attributes) -> None: ...
    def replace(self, dn: str, attributes: Attributes) -> None: ...
    def delete(self, dn: str) -> None: ...
    def reconnect(self) -> None: ...


@dataclass(frozen=True)
class Change:
    """One difference between what is and what is wanted."""

    operation: str  # add | modify | delete
    dn: str
    before: Attributes
    after: Attributes


def as_values(value: Any) -> list[bytes]:
    """One value or many, of any YAML type, as LDAP has them."""
    values = value if isinstance(value, list) else [value]
    return [str(item).upper().encode() if isinstance(item, bool) else str(item).encode() for item in values]


def same(name: str, have: list[bytes], want: list[bytes]) -> bool:
    """Whether an attribute's values are those wanted: in order where slapd keeps one, as a set otherwise."""
    if name.lower() in ORDERED:
        return [NUMBER.sub(b"", value) for value in have] == want
    if name.lower() == "olcdatabase":  # "mdb" comes back as "{1}mdb"
        return [NUMBER.sub(b"", value) for value in have] == [NUMBER.sub(b"", value) for value in want]
    return sorted(have) == sorted(want)


def wanted(entry: Mapping[str, Any], passwords: Mapping[str, str]) -> Attributes:
    """The attributes that an entry of the task asks for, classes and password among them."""
    result = {name: as_values(value) for name, value in entry["attributes"].items()}
    if entry["objectClass"]:
        result["objectClass"] = as_values(entry["objectClass"])
    if entry["dn"] in passwords:
        result["userPassword"] = [passwords[entry["dn"]].encode()]
    return result


def difference(have: Attributes, want: Attributes, keep: Iterable[str] = ()) -> tuple[Attributes, Attributes]:
    """The attributes that differ, as they are and are to be; those in keep stay if they have a value."""
    present = {name.lower(): values for name, values in have.items()}
    kept = {name.lower() for name in keep}
    before: Attributes = {}
    after: Attributes = {}
    for name, values in want.items():
        now = present.get(name.lower(), [])
        if name.lower() in kept and now:
            continue
        if name.lower() == "objectclass":  # a class that slapd or an admin added stays
            known = {value.lower() for value in now}
            goal = now + [value for value in values if value.lower() not in known]
        else:
            goal = values
        if not same(name, now, goal):
            before[name], after[name] = now, goal
    return before, after


def plan(directory: Directory, entry: Mapping[str, Any], params: Mapping[str, Any]) -> Change | None:
    """What an entry needs, or None."""
    dn = entry["dn"]
    if entry["find"]:
        dn = directory.find(entry["find"]["base"], entry["find"]["filter"]) or dn
    have = directory.get(dn)
    if entry["state"] == "absent":
        return None if have is None else Change("delete", dn, have, {})
    want = wanted(entry, params["passwords"])
    if have is None:
        want |= {name: as_values(value) for name, value in entry["initially"].items()}
        return Change("add", dn, {}, {name: values for name, values in want.items() if values})
    if entry["state"] == "once":
        return None
    keep = ["userPassword"] if params["update_password"] == "on_create" else []  # noqa: S105
    before, after = difference(have, want, keep)
    return Change("modify", dn, before, after) if after else None


def leftovers(directory: Directory, params: Mapping[str, Any]) -> Iterable[Change]:
    """The entries below the purged DNs that nobody wants."""
    keep = {entry["dn"].lower() for entry in params["entries"] if entry["state"] != "absent"}
    for base in params["purge"]:
        for dn in directory.children(base):
            if dn.lower() not in keep:
                yield Change("delete", dn, directory.get(dn) or {}, {})


def apply(directory: Directory, change: Change) -> None:
    """Does one change."""
    if change.operation == "add":
        directory.add(change.dn, change.after)
    elif change.operation == "delete":
        directory.delete(change.dn)
    else:
        directory.replace(change.dn, change.after)
    if change.dn.lower() == "cn=config":
        directory.reconnect()  # a connection keeps the strength (olcLocalSSF) that it was given at its start


def run(directory: Directory, params: Mapping[str, Any], *, check: bool) -> list[Change]:
    """Makes the directory as wanted and tells what that took."""
    changes = []
    for entry in params["entries"]:
        change = plan(directory, entry, params)
        if change:
            changes.append(change)
            if not check:
                apply(directory, change)
    for change in leftovers(directory, params):
        changes.append(change)
        if not check:
            apply(directory, change)
    return changes


def text(dn: str, attributes: Attributes) -> str:
    """An entry for --diff, without what nobody should read."""
    lines = [f"dn: {dn}"]
    for name, values in sorted(attributes.items()):
        hidden = name.lower() in HIDDEN
        lines += [f"{name}: {'(hidden)' if hidden else value.decode(errors='replace')}" for value in values]
    return "\n".join(lines) + "\n"


class Server:
    """A real LDAP server, reached as root of this machine."""

    def __init__(self, uri: str, timeout: float) -> None:
        self.uri = uri
        self.timeout = timeout
        self.reconnect()

    def reconnect(self) -> None:
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                self.connection = ldap.initialize(self.uri)
                self.connection.sasl_non_interactive_bind_s("EXTERNAL")
            except ldap.SERVER_DOWN:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def get(self, dn: str) -> Attributes | None:
        try:
            found = self.connection.search_s(dn, ldap.SCOPE_BASE)
        except ldap.NO_SUCH_OBJECT:
            return None
        return dict(found[0][1]) if found else None

    def _level(self, base: str, filterstr: str) -> list[str]:
        try:
            return [
                dn for dn, _ in self.connection.search_s(base, ldap.SCOPE_ONELEVEL, filterstr, ["1.1"]) if dn
            ]
        except ldap.NO_SUCH_OBJECT:
            return []

    def find(self, base: str, filterstr: str) -> str | None:
        return next(iter(self._level(base, filterstr)), None)

    def children(self, base: str) -> list[str]:
        return self._level(base, "(objectClass=*)")

    def add(self, dn: str, attributes: Attributes) -> None:
        self.connection.add_s(dn, list(attributes.items()))

    def replace(self, dn: str, attributes: Attributes) -> None:
        self.connection.modify_s(
            dn, [(ldap.MOD_REPLACE, name, values or None) for name, values in attributes.items()]
        )

    def delete(self, dn: str) -> None:
        self.connection.delete_s(dn)


class Nothing:
    """Stands for a server that does not run yet, in check mode: nothing is there."""

    def get(self, _dn: str) -> None:
        """No entry."""

    def find(self, _base: str, _filterstr: str) -> None:
        """No entry."""

    def children(self, _base: str) -> list[str]:
        """No entries."""
        return []


ARGUMENTS: dict[str, Any] = {
    "uri": {"type": "str", "default": "ldapi:///"},
    "entries": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "dn": {"type": "str", "required": True},
            "find": {"type": "dict"},
            "objectClass": {"type": "list", "elements": "str", "default": []},
            "attributes": {"type": "dict", "default": {}},
            "initially": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "once", "absent"], "default": "present"},
        },
    },
    "passwords": {"type": "dict", "default": {}, "no_log": True},
    "update_password": {
        "type": "str",
        "choices": ["always", "on_create"],
        "default": "always",
        "no_log": False,
    },
    "purge": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if ldap is None:
        module.fail_json(msg="python3-ldap is not installed on this host")
    try:
        directory = Server(module.params["uri"], module.params["timeout"] if not module.check_mode else 2)
    except ldap.LDAPError as error:
        if not module.check_mode:
            module.fail_json(msg=f"{module.params['uri']} does not answer: {error}")
        directory = Nothing()
    done: list[Change] = []
    try:
        done = run(directory, module.params, check=module.check_mode)
    except ldap.LDAPError as error:
        module.fail_json(msg=f"The directory refused a change: {error}")
    module.exit_json(
        changed=bool(done),
        changes=[
            {"operation": change.operation, "dn": change.dn, "attributes": sorted(change.after)}
            for change in done
        ],
        diff=[{"before": text(c.dn, c.before), "after": text(c.dn, c.after)} for c in done],
    )


if __name__ == "__main__":
    main()
