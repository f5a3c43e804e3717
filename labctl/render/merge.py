"""A user's variables over derived ones: what the user says wins, and what the user leaves out stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Lists whose entries have a name: an entry of the user's changes the derived one of that name, or is added.
NAMED = {
    "containers_registries": "host",
    "ldap_server_groups": "name",
    "ldap_server_users": "name",
    "nfs_client_mounts": "path",
    "nfs_server_directories": "path",
    "nfs_server_exports": "path",
    "nfs_server_links": "path",
    "mariadb_databases": "name",
    "slurm_common_partitions": "name",
    "slurmdbd_accounts": "name",
    "slurmdbd_qos": "name",
    "slurmdbd_users": "name",
}


def merged(derived: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """All variables of both.

    Mappings are merged key by key, lists with named entries (`NAMED`) entry by entry; anything else of the
    user's replaces what was derived.
    """
    return {**derived, **{key: _over(key, derived.get(key), value) for key, value in given.items()}}


def _over(key: str, old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{part: _over(part, old.get(part), value) for part, value in new.items()}}
    if key in NAMED and isinstance(old, list) and all_named(new, NAMED[key]):
        return _by_name(old, new, NAMED[key])
    return new


def all_named(entries: Any, name: str) -> bool:
    """A list of mappings that all have the key `name`; a user may have put a template there instead."""
    return isinstance(entries, list) and all(
        isinstance(entry, Mapping) and name in entry for entry in entries
    )


def _by_name(old: list[Any], new: list[Any], name: str) -> list[Any]:
    entries = {entry[name]: entry for entry in old}
    for entry in new:
        entries[entry[name]] = {**entries.get(entry[name], {}), **entry}
    return list(entries.values())
