#!/usr/bin/python
"""Ansible module: directories, homes and links of a file server, in one go."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nfs_server_tree
short_description: Makes directories, users' homes and links
description:
  - Does for many paths what the module file does for one.
  - A home is made from C(/etc/skel), with mode 0700, by mkhomedir_helper.
options:
  directories: {type: list, elements: dict, default: [], description: "Path, owner, group, mode of each."}
  homes: {type: list, elements: str, default: [], description: Users whose homes are to exist.}
  links: {type: list, elements: dict, default: [], description: "Path, target, owner of each symbolic link."}
  timeout: {type: int, default: 120, description: Seconds to wait until the users and groups are known.}
author: labctl contributors
"""

RETURN = r"""
changes:
  description: What was done (or would be), in order.
  type: list
  elements: str
  returned: always
"""


class RefusedError(Exception):
    """Something stands in the way; the text says what."""


def known(name: str, look_up: Callable[[str], Any], deadline: float) -> Any:
    """A user's or group's entry; waits for one, because the directory service may have started just now."""
    while True:
        try:
            return look_up(name)
        except KeyError:
            if time.monotonic() >= deadline:
                raise RefusedError(
                    f"{name} is not known on this host: waited for it in vain (getent says no)"
                ) from None
            time.sleep(1)


def uid(name: str, deadline: float) -> int:
    """The uid of a login name, or the number itself."""
    return int(name) if name.isdigit() else known(name, pwd.getpwnam, deadline).pw_uid


def gid(name: str, deadline: float) -> int:
    """The gid of a group name, or the number itself."""
    return int(name) if name.isdigit() else known(name, grp.getgrnam, deadline).gr_gid


class Tree:
    """The changes to a tree, done or only told."""

    def __init__(self, run: Callable[[list[str]], Any], deadline: float, *, check: bool) -> None:
        self.run = run
        self.deadline = deadline
        self.check = check
        self.changes: list[str] = []

    def _do(self, what: str, action: Callable[[], Any]) -> None:
        self.changes.append(what)
        if not self.check:
            action()

    def directory(self, spec: Mapping[str, Any]) -> None:
        """Makes one directory with its owner, group and mode."""
        path = Path(spec["path"])
        wanted = (uid(spec["owner"], self.deadline), gid(spec["group"], self.deadline))
        mode = int(spec["mode"], 8)
        if path.exists() and not path.is_dir():
            raise RefusedError(f"{path} is there and is no directory")
        if not path.exists():
            self._do(f"make {path}", lambda: path.mkdir(parents=True))
            if self.check:
                return
        now = path.stat()
        if (now.st_uid, now.st_gid) != wanted:
            self._do(f"give {path} to {spec['owner']}:{spec['group']}", lambda: os.chown(path, *wanted))
        if stat.S_IMODE(path.stat().st_mode) != mode:  # chown may have taken set-id bits away
            self._do(f"set {path} to {mode:04o}", lambda: path.chmod(mode))

    def home(self, name: str) -> None:
        """Makes a user's home unless it is there; what is in it is the user's."""
        home = Path(known(name, pwd.getpwnam, self.deadline).pw_dir)
        if not home.exists():
            self._do(f"make {home}", lambda: self.run(["mkhomedir_helper", name, "0077"]))

    def link(self, spec: Mapping[str, Any]) -> None:
        """Makes one symbolic link; never replaces anything but a link."""
        path = Path(spec["path"])
        owner = uid(spec["owner"], self.deadline)
        if path.is_symlink():
            if str(path.readlink()) != spec["target"]:
                self._do(f"unlink {path}", path.unlink)
        elif path.exists():
            raise RefusedError(f"{path} is there and is no link")
        if not path.is_symlink():
            self._do(f"link {path} to {spec['target']}", lambda: path.symlink_to(spec["target"]))
            if self.check:
                return
        if path.lstat().st_uid != owner:
            self._do(f"give {path} to {spec['owner']}", lambda: os.lchown(path, owner, -1))


def filled(spec: Mapping[str, Any], **defaults: str) -> dict[str, Any]:
    """A dictionary of the task with the defaults for what it leaves out."""
    return {**defaults, **{key: value for key, value in spec.items() if value is not None}}


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "owner": {"type": "str"},
                    "group": {"type": "str"},
                    "mode": {"type": "str"},
                },
            },
            "homes": {"type": "list", "elements": "str", "default": []},
            "links": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "target": {"type": "str", "required": True},
                    "owner": {"type": "str"},
                },
            },
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    deadline = time.monotonic() + (0 if module.check_mode else module.params["timeout"])
    tree = Tree(lambda command: module.run_command(command, check_rc=True), deadline, check=module.check_mode)
    try:
        for directory in module.params["directories"]:
            tree.directory(filled(directory, owner="root", group="root", mode="0755"))
        for name in module.params["homes"]:
            tree.home(name)
        for link in module.params["links"]:
            tree.link(filled(link, owner="root"))
    except (RefusedError, OSError) as error:
        module.fail_json(msg=str(error), changes=tree.changes)
    module.exit_json(changed=bool(tree.changes), changes=tree.changes)


if __name__ == "__main__":
    main()
