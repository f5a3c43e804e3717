#!/usr/bin/python
"""Ansible module: the distribution, as os-release(5) has it."""

from __future__ import annotations

import platform

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: os_release
short_description: Learns which distribution a host runs
description:
  - Sets the facts distribution, distribution_version and os_family as the module setup does, from the one file that
    says them. What setup imports for them takes a slow machine several seconds.
options: {}
author: labctl contributors
"""

RETURN = r"""
ansible_facts:
  description: distribution, distribution_version and os_family, the names as setup spells them.
  type: dict
  returned: always
"""

# As in the module setup; what is not here is a family of its own.
FAMILIES = {
    "debian": "Debian",
    "ubuntu": "Debian",
    "rhel": "RedHat",
    "centos": "RedHat",
    "fedora": "RedHat",
    "suse": "Suse",
    "opensuse": "Suse",
}


def facts(release: dict[str, str]) -> dict[str, str]:
    """The facts, from the fields of os-release."""
    kin = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    name = release.get("NAME", "").split(" ")[0]
    return {
        "ansible_distribution": name,
        "ansible_distribution_version": release.get("VERSION_ID", ""),
        "ansible_os_family": next((FAMILIES[word] for word in kin if word in FAMILIES), name),
    }


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        release = platform.freedesktop_os_release()
    except OSError as error:
        module.fail_json(msg=f"There is no os-release: {error}")
    module.exit_json(changed=False, ansible_facts=facts(release))


if __name__ == "__main__":
    main()
