#!/usr/bin/python
"""Ansible module: what slurm.conf's NodeName lines have to say of the hardware, as facts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: slurm_hardware
short_description: Measures a compute node with slurmd -C, or reads what a slurm.conf said of nodes
description:
  - Without C(nodes) it returns the fact C(slurm_common_hardware) of the host that it runs on, or none
    if slurmd is not there.
  - With C(nodes) it returns C(known), what the file C(conf) says of them; for nodes that do not answer.
options:
  wait: {type: int, default: 0, description: Seconds to wait for slurmd to be installed before it fails.}
  nodes: {type: list, elements: str, description: Names of nodes to look up in the file instead.}
  conf: {type: path, default: /etc/slurm/slurm.conf, description: The file to look them up in.}
author: labctl contributors
"""

RETURN = r"""
ansible_facts:
  description: C(slurm_common_hardware), keys of a NodeName line such as CPUs and RealMemory (MiB).
  type: dict
  returned: without nodes, if slurmd is there
known:
  description: Node to such a dictionary, for the nodes that the file has.
  type: dict
  returned: with nodes
"""

HARDWARE = ("CPUs", "Boards", "SocketsPerBoard", "CoresPerSocket", "ThreadsPerCore", "RealMemory")


def hardware(line: str) -> dict[str, int]:
    """The hardware keys of a line such as slurmd -C prints; RealMemory in MiB."""
    words = (word.partition("=") for word in line.split())
    return {key: int(value) for key, _, value in words if key in HARDWARE and value.isdigit()}


def known(text: str, nodes: Iterable[str]) -> dict[str, dict[str, int]]:
    """What a slurm.conf with one line a node says of those nodes."""
    wanted = set(nodes)
    lines = (line for line in text.splitlines() if line.startswith("NodeName="))
    named = ((line.split()[0].partition("=")[2], hardware(line)) for line in lines)
    return {name: keys for name, keys in named if name in wanted and keys}


def measure(module: AnsibleModule, wait: float) -> dict[str, int]:
    """What slurmd -C prints, as soon as slurmd is there; nothing if it is not there in time."""
    deadline = time.monotonic() + wait
    while True:
        binary = module.get_bin_path("slurmd")
        if binary:
            _, printed, _ = module.run_command([binary, "-C"], check_rc=True)
            return hardware(printed.partition("\n")[0])
        if time.monotonic() >= deadline:
            return {}
        time.sleep(2)


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "wait": {"type": "int", "default": 0},
            "nodes": {"type": "list", "elements": "str"},
            "conf": {"type": "path", "default": "/etc/slurm/slurm.conf"},
        },
        supports_check_mode=True,
    )
    if module.params["nodes"] is not None:
        conf = Path(module.params["conf"])
        text = conf.read_text() if conf.exists() else ""
        module.exit_json(changed=False, known=known(text, module.params["nodes"]))
    keys = measure(module, module.params["wait"])
    if not keys and module.params["wait"]:
        module.fail_json(msg=f"slurmd was not there within {module.params['wait']} seconds: cannot measure")
    module.exit_json(changed=False, ansible_facts={"slurm_common_hardware": keys} if keys else {})


if __name__ == "__main__":
    main()
