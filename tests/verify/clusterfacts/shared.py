"""Which directories nodes share, as far as the suite's user may write in them."""

from __future__ import annotations

from .topology import Topology


def shared(topology: Topology, node: str) -> dict[str, str]:
    """Where the suite's user may write: path of an export on the server to the directory on this node."""
    user = topology.user
    if user is None:
        return {}
    server = topology.first("nfs_server")
    directories = topology.var(server, "nfs_server_directories", [])
    owned = [user.home, *(entry["path"] for entry in directories if entry.get("owner") == user.name)]
    mounts = {mount.export: mount for mount in topology.mounts(node) if not mount.read_only}
    found = {}
    for export in topology.exports:
        inside = next((path for path in owned if f"{path}/".startswith(f"{export.path}/")), None)
        if inside is None:
            continue
        if node == server:
            found[export.path] = inside
        elif export.path in mounts:
            found[export.path] = mounts[export.path].path + inside.removeprefix(export.path)
    return found


def writers(topology: Topology) -> tuple[str, ...]:
    """The nodes that have any shared directory."""
    return tuple(node for node in topology.nodes() if shared(topology, node))
