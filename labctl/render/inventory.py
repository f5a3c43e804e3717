"""A lab's Ansible inventory: plain files, usable by hand, in the words of the roles."""

from __future__ import annotations

import shlex
from typing import Any

from labctl.definition import yamltext
from labctl.render import groups, variables
from labctl.render.layout import Layout, Machine, Secrets
from labctl.render.merge import merged

HOSTS = "inventory/hosts.yml"
MAIN = "inventory/group_vars/all/main.yml"
SECRETS = "inventory/group_vars/all/secrets.yml"
#: There while accounts are to go. Ansible reads it after MAIN, so that it wins.
REMOVED = "inventory/group_vars/all/removed.yml"
#: What only its owner may read.
SECRET_FILES = (SECRETS,)


def inventory(layout: Layout, secrets: Secrets) -> dict[str, str]:
    """Every file of the inventory: its path below the lab's directory, and its text.

    The definition's `vars` win over what is derived here, see `merge`. Those of them that are secrets go
    where secrets are.
    """
    hidden = variables.hidden(layout, secrets)
    given = layout.definition.vars
    return {
        HOSTS: _write(_hosts(layout), f"The nodes of the lab {layout.lab}, and the groups that roles go by."),
        MAIN: _write(
            variables.of_all(layout, secrets, {key: given[key] for key in given if key not in hidden}),
            "What every node is told. Made from lab.yml, whose vars win over what labctl derives.",
        ),
        SECRETS: _write(
            merged(hidden, {key: given[key] for key in given if key in hidden}),
            "Secrets of this lab alone, made for it.",
        ),
        **(
            {
                REMOVED: _write(
                    variables.absent(layout), "Who was in lab.yml, until a converge has taken them out."
                )
            }
            if layout.removed
            else {}
        ),
        **{
            f"inventory/host_vars/{machine.node.name}.yml": _write(
                merged(variables.of_node(layout, machine.node), machine.node.vars),
                f"What {machine.node.name} alone is told.",
            )
            for machine in _set_up(layout)
        },
    }


def _set_up(layout: Layout) -> list[Machine]:
    """All machines but bare ones: nothing sets those up."""
    return [machine for machine in layout.machines if not machine.node.bare]


def _write(data: dict[str, Any], comment: str) -> str:
    return yamltext.write(data, f"{comment}\nlabctl made this file; look, change, try.")


def _hosts(layout: Layout) -> dict[str, Any]:
    ssh = ["-F", str(layout.directory / "ssh_config")]
    return {
        "all": {
            "hosts": {
                machine.node.name: {"ansible_host": str(machine.address)} for machine in _set_up(layout)
            },
            "vars": {
                "ansible_user": layout.box.user,
                "ansible_become": layout.box.user != "root",
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_ssh_private_key_file": str(layout.directory / "id_ed25519"),
                "ansible_ssh_common_args": shlex.join(ssh),
            },
            "children": {
                group: {"hosts": {name: {} for name in names}}
                for group, names in groups.members(layout.definition.machines()).items()
            },
        }
    }
