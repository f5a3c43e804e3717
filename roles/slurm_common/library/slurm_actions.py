#!/usr/bin/python
"""Ansible module: what Slurm's daemons have to do about changed files, as a fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: slurm_actions
short_description: Tells what a change of Slurm's files asks of the daemons
description:
  - Returns the fact C(slurm_common_actions), daemon to C(reloaded) or C(restarted), for the daemons that read a
    changed file. It touches nothing.
options:
  results:
    type: list
    elements: dict
    required: true
    description: The results of the template task that wrote the files, run with C(diff), one a file.
  restarts:
    type: dict
    required: true
    description: Key of slurm.conf to the daemons that a change of it restarts.
author: labctl contributors
"""

RETURN = r"""
keys:
  description: The keys of slurm.conf that changed.
  type: list
  elements: str
  returned: always
"""

DAEMONS = ("slurmctld", "slurmd")

#: What a daemon may have to do about changed files, the mildest first.
ACTIONS = ("reloaded", "restarted")


def _lines(text: str) -> set[str]:
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    return {line for line in stripped if line}


def changed_keys(before: str, after: str) -> list[str]:
    """The keys whose lines differ between two texts of slurm.conf; comments and order do not count."""
    keys = {line.replace("=", " ", 1).split()[0] for line in _lines(before) ^ _lines(after)}
    return sorted(keys)


def texts(result: Mapping[str, Any]) -> tuple[str, str] | None:
    """A file before and after, from the diff of Ansible's template; None if that has none (a long file)."""
    for part in result.get("diff") or []:
        if isinstance(part.get("before"), str) and isinstance(part.get("after"), str):
            return part["before"], part["after"]
    return None


def keys_of(results: Iterable[Mapping[str, Any]]) -> list[str] | None:
    """The changed keys of slurm.conf; None if it changed and nobody can tell where."""
    for result in results:
        if result.get("item") == "slurm.conf" and result.get("changed"):
            found = texts(result)
            return changed_keys(*found) if found else None
    return []


def actions(results: Iterable[Mapping[str, Any]], restarts: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """What each daemon has to do about the files that were written.

    Args:
        results: results of the template task, one a file; item names the file.
        restarts: key of slurm.conf to the daemons that a change of it restarts.

    Returns:
        Daemon to action, for the daemons that read a changed file: reloaded or restarted.
    """
    needs: dict[str, int] = {}
    table = {key.lower(): set(daemons) for key, daemons in restarts.items()}
    results = [result for result in results if result.get("changed")]

    def need(daemons: Iterable[str], level: int) -> None:
        for daemon in daemons:
            needs[daemon] = max(needs.get(daemon, 0), level)

    names = {result.get("item") for result in results}
    if "cgroup.conf" in names:  # cgroup.conf(5): read again on SIGHUP; slurmctld does not use it
        need(["slurmd"], 0)
    if "gres.conf" in names:  # gres.conf(5): Type restarts both; devices are opened at the start
        need(DAEMONS, 1)
    if "slurm.conf" in names:
        keys = keys_of(results)
        need(DAEMONS, 1 if keys is None else 0)
        for key in keys or []:
            need(table.get(key.lower(), ()), 1)
    return {daemon: ACTIONS[level] for daemon, level in needs.items()}


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "results": {"type": "list", "elements": "dict", "required": True},
            "restarts": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    results = module.params["results"]
    facts = {"slurm_common_actions": actions(results, module.params["restarts"])}
    module.exit_json(changed=False, keys=keys_of(results) or [], ansible_facts=facts)


if __name__ == "__main__":
    main()
