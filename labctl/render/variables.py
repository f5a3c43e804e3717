"""The roles' variables, derived from a definition and from where its machines are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.definition.accounts import primary_gid, resolve
from labctl.definition.models import Definition, Node, User
from labctl.definition.yamltext import Unsafe
from labctl.render import accounting, groups, jupyter, login, registry, rest, slurm, storage
from labctl.render.layout import Layout, Secrets
from labctl.render.merge import merged


def of_all(layout: Layout, secrets: Secrets, given: Mapping[str, Any]) -> dict[str, Any]:
    """What every node is told, the user's variables `given` included."""
    derived = {
        "common_hosts": True,
        # A box that is booted by its kernel is told its name by that; any other one by the role.
        "common_hostname": layout.box.kernel is None,
        **({f"{role}_install": False for role in _roles(layout)} if layout.box.baked else {}),
        **_directory(layout, secrets),
        **storage.server(layout),
        **slurm.of_all(layout),
        **accounting.of_all(layout),
        **rest.of_all(layout, secrets),
        **registry.of_all(layout, secrets),
        **jupyter.of_all(layout),
        **login.of_all(layout.definition),
        **_verification(layout),
    }
    return storage.finished(merged(derived, given), layout, host(layout, "nfs_server"))


def of_node(layout: Layout, node: Node) -> dict[str, Any]:
    """What one node alone is told."""
    return slurm.of_node(node) | storage.of_node(node) | login.of_node(layout.definition, node)


def needless(definition: Definition, *, baked: bool) -> str:
    """The tag of the roles' tasks that nobody needs: that of installing, where the box has every package; else empty.

    Args:
        definition: of the lab; a variable of it may ask a role to install something all the same.
        baked: the packages of every role are in the box.
    """
    given = [definition.vars, *(node.vars for node in definition.machines())]
    asked = any(name.endswith("_install") and value for each in given for name, value in each.items())
    return "install" if baked and not asked else ""


def hidden(layout: Layout, secrets: Secrets) -> dict[str, Any]:
    """What nobody but the lab's owner may read."""
    users = layout.definition.users
    return {
        **accounting.hidden(layout, secrets),
        **rest.hidden(layout, secrets),
        **registry.hidden(layout, secrets),
        "munge_key": secrets.munge_key,
        "ldap_server_tls_key": secrets.private_keys[host(layout, "ldap_server")],
        "lab_password_hashes": {user.name: secrets.password_hashes[user.name] for user in users},
        "verify_password": Unsafe(secrets.passwords[users[0].name]),
    }


def absent(layout: Layout) -> dict[str, Any]:
    """What the directory and those who ask it are told of accounts that have left the definition."""
    given = layout.definition.vars
    return {
        variable: [*given.get(variable, []), *sorted(one.name for one in layout.removed if one.kind == kind)]
        for role in ("ldap_server", "ldap_client")
        for kind in ("user", "group")
        for variable in [f"{role}_absent_{kind}s"]
    }


def _roles(layout: Layout) -> list[str]:
    """The roles that some node may need."""
    there = groups.members(layout.definition.machines())
    return [role for role in groups.ROLES if role not in groups.SERVICES or role in there]


#: SSSD's files in memory, in MiB. They are written out in full at each start: by default 30 MiB on the disk and in the
#: memory of each node, for ten thousands of accounts.
#: None for SIDs, which only Active Directory has.
_CACHES = {
    "memcache_size_passwd": 1,
    "memcache_size_group": 1,
    "memcache_size_initgroups": 1,
    "memcache_size_sid": 0,
}


def host(layout: Layout, role: str) -> str:
    """The one node that has the role."""
    return next(machine.node.name for machine in layout.machines if role in machine.node.roles)


def _directory(layout: Layout, secrets: Secrets) -> dict[str, Any]:
    definition = layout.definition
    server = host(layout, "ldap_server")
    suffix = f"dc={layout.lab},dc=lab"
    return {
        "ldap_server_suffix": suffix,
        "ldap_server_organization": layout.lab,
        "ldap_server_users": [_account(layout, user) for user in definition.users],
        "ldap_server_groups": [
            {"name": group.name, "gid": group.gid, "members": list(group.members)}
            for group in resolve(definition.users, definition.groups)
        ],
        "ldap_server_tls_ca": secrets.ca_certificate,
        "ldap_server_tls_certificate": secrets.certificates[server],
        "ldap_client_uris": [f"ldap://{server}"],
        "ldap_client_base": definition.vars.get("ldap_server_suffix", suffix),
        "ldap_client_tls_ca": secrets.ca_certificate,
        "ldap_client_sssd": {"nss": dict(_CACHES)},
    }


def _account(layout: Layout, user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "uid": user.uid,
        "gid": primary_gid(user, layout.definition.groups),
        "gecos": Unsafe(user.gecos) if user.gecos else user.name,
        "home": user.directory,
        "shell": user.shell,
        "password_hash": f"{{{{ lab_password_hashes['{user.name}'] }}}}",
        "ssh_keys": [Unsafe(layout.public_key.strip())],
    }


def _verification(layout: Layout) -> dict[str, Any]:
    """What the suite in tests/verify logs in as; no role reads it."""
    return {
        "verify_user": layout.definition.users[0].name,
        "verify_ssh_key": str(layout.directory / "id_ed25519"),
        **(
            {"verify_bundles": storage.BUNDLES}
            if "containers" in groups.members(layout.definition.machines())
            else {}
        ),
    }
