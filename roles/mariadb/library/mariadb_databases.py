#!/usr/bin/python
"""Ansible module: MariaDB's databases, each with a user who has rights on it and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: mariadb_databases
short_description: Makes MariaDB's databases and their users what they are said to be
description:
  - Asks the server once, as root over its socket, and tells it what differs.
  - A user has all rights on the one database, from the one host, with the password, and no other right.
  - Databases and users that are not named stay as they are.
options:
  databases:
    type: list
    elements: dict
    required: true
    description: The databases.
    suboptions:
      name: {type: str, required: true, description: Its name.}
      user: {type: str, required: true, description: Who works with it.}
      host: {type: str, default: localhost, description: "Where that user comes from, as MariaDB writes it."}
      password: {type: str, required: true, description: That user's password.}
author: labctl contributors
"""

RETURN = r"""
changes:
  description: What was done (or would be), in order.
  type: list
  elements: str
  returned: always
"""

Run = Callable[..., tuple[int, str, str]]

CLIENT = ("mariadb", "--no-defaults", "--batch", "--skip-column-names")
#: Rows of kind, whose, what. A user with no right at all has USAGE.
QUESTION = """
SELECT 'database', SCHEMA_NAME, '' FROM information_schema.SCHEMATA;
SELECT 'password', CONCAT(QUOTE(User), '@', QUOTE(Host)), authentication_string FROM mysql.user;
SELECT 'right', GRANTEE, CONCAT('*.* ', PRIVILEGE_TYPE, ' ', IS_GRANTABLE) FROM information_schema.USER_PRIVILEGES;
SELECT 'right', GRANTEE, CONCAT(TABLE_SCHEMA, '.* ', PRIVILEGE_TYPE, ' ', IS_GRANTABLE)
    FROM information_schema.SCHEMA_PRIVILEGES;
SELECT 'right', GRANTEE, CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLE_PRIVILEGES;
"""


class RefusedError(Exception):
    """The server did not do what it was asked for; the text says what it says."""


@dataclass
class Server:
    """What the server has: databases, the hash of each account's password, and each account's rights."""

    databases: set[str] = field(default_factory=set)
    passwords: dict[str, str] = field(default_factory=dict)
    rights: dict[str, set[str]] = field(default_factory=dict)


def ask(run: Run, statements: str) -> str:
    """What the server answers; the statements do not stand on a command line."""
    code, printed, error = run(list(CLIENT), data=statements)
    if code:
        raise RefusedError(error.strip() or printed.strip())
    return printed


def read(answer: str) -> Server:
    """The rows of the question."""
    server = Server()
    for line in answer.splitlines():
        kind, whose, what = line.split("\t")
        if kind == "database":
            server.databases.add(whose)
        elif kind == "password":
            server.passwords[whose] = what
        else:
            server.rights.setdefault(whose, set()).add(what)
    return server


def hashed(password: str) -> str:
    """A password as mysql_native_password keeps it."""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 - MariaDB's own
    return f"*{hashlib.sha1(once).hexdigest().upper()}"  # noqa: S324


def quoted(text: str) -> str:
    """A string as SQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def pattern(name: str) -> str:
    """A database's name in a GRANT, where _ and % would stand for other characters."""
    return name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")


def owns(rights: Iterable[str], name: str) -> bool:
    """All rights on the database, and no other."""
    rights = set(rights)
    # The view gives the name as it was granted; a tab-separated answer doubles the backslash.
    scopes = {f"{given}.*" for given in (name, pattern(name), pattern(name).replace("\\", "\\\\"))}
    others = {right for right in rights if right.split(" ", 1)[0] not in scopes}
    kinds = {right.split(" ", 1)[1] for right in rights - others}
    return others <= {"*.* USAGE NO"} and {"SELECT NO", "INSERT NO", "DROP NO", "TRIGGER NO"} <= kinds


def plan(server: Server, database: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a database needs: words for each thing, and the statement that does it."""
    name, account = database["name"], f"{quoted(database['user'])}@{quoted(database['host'])}"
    todo = []
    if name not in server.databases:
        todo.append((f"create the database {name}", f"CREATE DATABASE `{name}`"))
    secret = hashed(database["password"])
    if server.passwords.get(account) != secret or not owns(server.rights.get(account, ()), name):
        made = f"CREATE OR REPLACE USER {account} IDENTIFIED BY PASSWORD '{secret}'"
        granted = f"GRANT ALL PRIVILEGES ON `{pattern(name)}`.* TO {account}"
        todo.append((f"give {account} all rights on {name} and no other", f"{made};\n{granted}"))
    return todo


ARGUMENTS: dict[str, Any] = {
    "databases": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "host": {"type": "str", "default": "localhost"},
            "password": {"type": "str", "required": True, "no_log": True},
        },
    },
}


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        server = read(ask(module.run_command, QUESTION))
    except RefusedError as error:
        if not module.check_mode:
            module.fail_json(msg=f"MariaDB does not answer: {error}")
        server = Server()  # in check mode it may not run yet
    todo = [step for database in module.params["databases"] for step in plan(server, database)]
    if todo and not module.check_mode:
        try:
            ask(module.run_command, ";\n".join(statement for _, statement in todo))
        except RefusedError as error:
            module.fail_json(msg=f"MariaDB refused a change: {error}")
    module.exit_json(changed=bool(todo), changes=[words for words, _ in todo])


if __name__ == "__main__":
    main()
