#!/usr/bin/python
"""Ansible module: what Slurm's daemons have to do about changed files, as a fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: slurm_actions
short_description: Tells what a change of Slurm's files asks of the daemons
description:
  - Returns the fact C(slurm_common_actions), daemon to C(reloaded) or C(restarted), for the daemons that read a
    changed file. It touches nothing.
options:
  changes:
    type: list
    elements: dict
    required: true
    description: The diff of written_files, one entry a file that changed.
  restarts:
    type: dict
    required: true
    description: Key of slurm.conf to the daemons that a change of it restarts.
author: labctl contributors
"""

RETURN = r"""
ansible_facts:
  description: slurm_common_actions, as above.
  type: dict
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


def actions(changes: Iterable[Mapping[str, str]], restarts: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """What each daemon has to do about the files that were written.

    Args:
        changes: before and after of each file that was written; after_header is its path.
        restarts: key of slurm.conf to the daemons that a change of it restarts.

    Returns:
        Daemon to action, for the daemons that read a changed file: reloaded or restarted.
    """
    needs: dict[str, int] = {}
    table = {key.lower(): set(daemons) for key, daemons in restarts.items()}

    def need(daemons: Iterable[str], level: int) -> None:
        for daemon in daemons:
            needs[daemon] = max(needs.get(daemon, 0), level)

    written = {Path(change["after_header"]).name: change for change in changes}
    if "cgroup.conf" in written:  # cgroup.conf(5): read again on SIGHUP; slurmctld does not use it
        need(["slurmd"], 0)
    if "gres.conf" in written:  # gres.conf(5): Type restarts both; devices are opened at the start
        need(DAEMONS, 1)
    if "slurm.conf" in written:
        need(DAEMONS, 0)
        for key in changed_keys(written["slurm.conf"]["before"], written["slurm.conf"]["after"]):
            need(table.get(key.lower(), ()), 1)
    return {daemon: ACTIONS[level] for daemon, level in needs.items()}


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "changes": {"type": "list", "elements": "dict", "required": True},
            "restarts": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    facts = {"slurm_common_actions": actions(module.params["changes"], module.params["restarts"])}
    module.exit_json(changed=False, ansible_facts=facts)


if __name__ == "__main__":
    main()
