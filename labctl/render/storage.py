"""What the lab's NFS server shares, and where its clients see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.definition.accounts import primary_gid, resolve
from labctl.definition.models import Definition, Node
from labctl.render.layout import Layout
from labctl.render.merge import all_named, merged

#: Of an export that says nothing else: root of a client is nobody on the server.
OPTIONS = ("rw", "sync", "root_squash", "no_subtree_check")
#: An option also speaks against its opposite.
_OPPOSITES = {
    "rw": {"ro"},
    "sync": {"async"},
    "root_squash": {"no_root_squash", "all_squash"},
    "no_subtree_check": {"subtree_check"},
}
_HOMES = "/home"
_DATA = "/data"
#: For bundles of containers. slurmstepd reads them as root, which is nobody on NFS: a private home is closed to it.
BUNDLES = f"{_DATA}/bundles"


def server(layout: Layout) -> dict[str, Any]:
    """The role nfs_server's: homes, and for each user a place on /data with a link in the home."""
    definition = layout.definition
    groups = {group.gid: group.name for group in resolve(definition.users, definition.groups)}
    at_home = [user for user in definition.users if user.directory == f"{_HOMES}/{user.name}"]
    return {
        "nfs_server_exports": [
            {"path": path, "mode": "0755", "owner": "root", "group": "root"} for path in (_HOMES, _DATA)
        ],
        "nfs_server_homes": [user.name for user in at_home],
        "nfs_server_directories": [
            {
                "path": f"{_DATA}/{user.name}",
                "owner": user.name,
                "group": groups[primary_gid(user, definition.groups)],
                "mode": "0750",
            }
            for user in definition.users
        ]
        + _bundles(definition),
        "nfs_server_links": [
            {"path": f"{user.directory}/data", "target": f"{_DATA}/{user.name}", "owner": user.name}
            for user in at_home
        ],
    }


def _bundles(definition: Definition) -> list[dict[str, str]]:
    """The place for them, where jobs can run in containers."""
    wanted = any("containers" in node.roles for node in definition.machines())
    return [{"path": BUNDLES, "owner": "root", "group": "root", "mode": "1777"}] if wanted else []


def paths(definition: Definition) -> tuple[str, ...]:
    """What is shared, a user's exports included; nothing where those are a template that only Ansible can read."""
    given = {key: value for key, value in definition.vars.items() if key == "nfs_server_exports"}
    exports = merged({"nfs_server_exports": [{"path": path} for path in (_HOMES, _DATA)]}, given)
    listed = exports["nfs_server_exports"]
    return tuple(export["path"] for export in listed) if all_named(listed, "path") else ()


def finished(variables: dict[str, Any], layout: Layout, host: str) -> dict[str, Any]:
    """`variables` with each export, also a user's, kept to the lab's network, and with a mount for each.

    A list that is no plain one (a template of the user's) is left as it is.
    """
    given = variables.get("nfs_client_mounts", [])
    if not all_named(variables["nfs_server_exports"], "path") or not all_named(given, "path"):
        return variables
    exports = [_export(export, layout) for export in variables["nfs_server_exports"]]
    paths = [export["path"] for export in exports]
    mounts = {path: {"path": path, "source": f"{host}:{path}"} for path in paths}
    for mount in given:
        mounts[mount["path"]] = {**mounts.get(mount["path"], {}), **mount}
    return {
        "slurmd_requires_mounts": list(mounts),
        **variables,
        "nfs_server_exports": exports,
        "nfs_client_mounts": list(mounts.values()),
    }


def _export(export: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    given = export.get("options", [])
    given = given.split(",") if isinstance(given, str) else given
    rest = [option for option in OPTIONS if not ({option} | _OPPOSITES[option]) & set(given)]
    return {
        "path": export["path"],
        "clients": [str(layout.network.subnet)],
        **export,
        "options": [*given, *rest],
    }


def of_node(node: Node) -> dict[str, Any]:
    """On the NFS server itself /home is a directory and no mount that slurmd could wait for."""
    serves = "nfs_server" in node.roles and "slurmd" in node.roles
    return {"slurmd_requires_mounts": []} if serves else {}
