#!/usr/bin/python
"""Ansible module: files with their text, owner and mode, many in one call."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: written_files
short_description: Writes files, all of a role in one call
description:
  - Writes each file whose text, owner or mode is another one than wanted, and makes the directories above it.
  - ansible.builtin.template and ansible.builtin.copy need two calls of the node for each file. Rendered by
    the lookup ansible.builtin.template, all files of a role need one.
  - With C(block) the text is a part of a file that others write, at its end; an empty text takes that part out.
  - A file is replaced in one step by one that has its owner and mode already. So nobody sees half of it, or a
    secret that is in it.
options:
  files:
    type: list
    elements: dict
    required: true
    description: The files.
    suboptions:
      dest: {type: path, required: true, description: Where it is. Where that is a link, the file that it leads to.}
      content: {type: str, required: true, description: Its text.}
      block: {type: str, description: The name of the part of the file that the text is; without it it is all.}
      owner: {type: str, default: root, description: Its owner.}
      group: {type: str, default: root, description: Its group.}
      mode: {type: raw, default: "0644", description: Its mode.}
      validate: {type: str, description: A command that must succeed before the file is used; %s stands for its path.}
author: labctl contributors
"""

RETURN = r"""
written:
  description: The files that were written (or would be).
  type: list
  elements: str
  returned: always
"""


def text(path: Path) -> str | None:
    """What a file says; None if there is none."""
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        return None


def framed(whole: str, name: str, content: str) -> str:
    """The text of a file with a block at its end, or without it for no content; the rest stays as it is."""
    first, last = (f"# {mark} {name}, managed by Ansible\n" for mark in ("BEGIN", "END"))
    head, begun, rest = whole.partition(first)
    kept = head + rest.partition(last)[2] if begun else whole
    if not content:
        return kept
    ended = [part.rstrip("\n") + "\n" for part in (kept, content) if part]
    return "".join([*ended[:-1], first, ended[-1], last])


def write(
    module: AnsibleModule, path: Path, file: dict[str, Any], after: str, attributes: dict[str, Any]
) -> None:
    """Puts a new file in the place of a file, or of none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(after.encode(errors="surrogateescape"))
        module.set_fs_attributes_if_different({**attributes, "path": draft}, changed=False)
        if file["validate"]:
            code, printed, error = module.run_command(file["validate"] % draft)
            if code:
                module.fail_json(msg=f"{path} would not be valid: {(error or printed).strip()}")
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def converge(module: AnsibleModule, file: dict[str, Any]) -> dict[str, str] | None:
    """Brings one file up to date; what was in it and what is, if that took anything."""
    path = Path(os.path.realpath(file["dest"]))
    attributes = module.load_file_common_arguments(file, path=str(path))
    attributes["secontext"] = module.selinux_default_context(str(path))
    before, after = text(path), file["content"]
    if file["block"]:
        if before is None and not after:
            return None
        after = framed(before or "", file["block"], after)
    if before != after:
        if not module.check_mode:
            write(module, path, file, after, attributes)
    elif not module.set_fs_attributes_if_different(attributes, changed=False):
        return None
    header = file["dest"]
    return {
        "before_header": header,
        "before": printable(before or ""),
        "after_header": header,
        "after": printable(after),
    }


def printable(content: str) -> str:
    """What of a text can be shown; Ansible takes no other from a module."""
    return content.encode(errors="surrogateescape").decode(errors="replace")


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "dest": {"type": "path", "required": True},
                    "content": {"type": "str", "required": True, "no_log": True},
                    "block": {"type": "str"},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "mode": {"type": "raw", "default": "0644"},
                    "validate": {"type": "str"},
                },
            },
        },
        supports_check_mode=True,
    )
    # Texts are secrets to the journal, but not to a diff: whether one is wanted the task says, by diff and no_log.
    module.no_log_values = set()
    changes = [change for file in module.params["files"] if (change := converge(module, file))]
    written = [change["after_header"] for change in changes]
    invocation = {
        "module_args": {"files": [file["dest"] for file in module.params["files"]]}
    }  # not the texts
    diff = {"diff": changes} if module._diff else {}  # noqa: SLF001 - Ansible has no other name for it
    module.exit_json(changed=bool(changes), written=written, invocation=invocation, **diff)


if __name__ == "__main__":
    main()
