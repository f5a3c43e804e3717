#!/usr/bin/python
"""Ansible module: a cluster's QOS, accounts, users and their limits in Slurm's accounting, by difference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: slurm_associations
short_description: Makes QOS, accounts, users and their limits in Slurm's accounting what they are said to be
description:
  - Waits until slurmdbd answers, asks what there is with one sacctmgr, and tells what differs with another.
  - Options are sacctmgr's own, such as C(MaxWall), C(GrpTRES) or C(Fairshare). Those that are not named stay as they
    are, null takes a limit away.
options:
  cluster: {type: str, required: true, description: The cluster; added if accounting does not know it.}
  qos:
    type: list
    elements: dict
    default: []
    description: The QOS.
    suboptions:
      name: {type: str, required: true, description: Its name.}
      options: {type: dict, default: {}, description: Its options.}
      state: {type: str, choices: [present, absent], default: present, description: Whether it shall be there.}
  accounts:
    type: list
    elements: dict
    default: []
    description: The accounts, in any order.
    suboptions:
      name: {type: str, required: true, description: Its name.}
      parent: {type: str, default: root, description: The account above it.}
      description: {type: str, description: What it is for.}
      organization: {type: str, description: Whose it is.}
      options: {type: dict, default: {}, description: Options of its association.}
      state: {type: str, choices: [present, absent], default: present, description: Whether it shall be there.}
  users:
    type: list
    elements: dict
    default: []
    description: The users.
    suboptions:
      name: {type: str, required: true, description: Login name.}
      admin_level: {type: str, choices: [None, Operator, Administrator], description: "What the user may change."}
      associations:
        type: list
        elements: dict
        default: []
        description: The user's accounts; the first one is the default.
        suboptions:
          account: {type: str, required: true, description: The account.}
          options: {type: dict, default: {}, description: Options of the association.}
      state: {type: str, choices: [present, absent], default: present, description: Whether it shall be there.}
  purge:
    type: list
    elements: str
    choices: [qos, accounts, users]
    default: []
    description: Of which kinds everything goes that is not named.
  timeout: {type: int, default: 60, description: Seconds to wait for slurmdbd to answer.}
author: labctl contributors
"""

RETURN = r"""
changes:
  description: The commands of sacctmgr that were given (or would be), in order.
  type: list
  elements: str
  returned: always
"""

Run = Callable[..., tuple[int, str, str]]
Row = dict[str, str]

PROMPT = "sacctmgr: "
#: So that readline colours nothing and obeys nobody's inputrc.
PLAIN = {"TERM": "dumb", "INPUTRC": "/dev/null", "LC_ALL": "C.UTF-8"}
#: What sacctmgr says while slurmdbd does not listen yet.
SILENCE = (
    "Problem talking to the database",
    "Connection refused",
    "onnection timed out",
    "Unable to contact",
)
#: MiB in each unit: Slurm counts memory in them, and shows it in the largest that gives a whole number.
UNITS = {"K": 2**-10, "M": 1.0, "G": 2**10, "T": 2**20, "P": 2**30}
LISTS = {"qos", "qoslevel", "flags", "preempt"}
OWN = {"root"}  # sacctmgr's own account and user
NORMAL = {"normal"}  # the QOS of all that have no other


class SilentError(Exception):
    """slurmdbd does not answer (yet)."""


class RefusedError(Exception):
    """Sacctmgr did not do what it was asked for; the text says what it says."""


# How values are written, read and compared


def minutes(text: str) -> float | str:
    """A time of Slurm's in minutes: 90, 1:30:00, 1-0."""
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in (*parts, days or "0")):
        return text.lower()
    numbers = [int(part) for part in parts]
    if dash:  # days-hours[:minutes[:seconds]]
        hours, mins, seconds = (*numbers, 0, 0)[:3]
        return ((int(days) * 24 + hours) * 60 + mins) + seconds / 60
    if len(numbers) == 1:
        return float(numbers[0])
    if len(numbers) == 2:  # noqa: PLR2004 - minutes:seconds
        return numbers[0] + numbers[1] / 60
    return numbers[0] * 60 + numbers[1] + numbers[2] / 60


def amount(name: str, text: str) -> float:
    """How much of a TRES: memory in MiB, others in pieces."""
    unit = text[-1:].upper()
    if unit in UNITS:
        return float(text[:-1]) * UNITS[unit] * (1 if name.startswith(("mem", "bb/")) else 2**20)
    return float(text)


def tres(text: str) -> dict[str, float]:
    """``cpu=2,mem=1G`` by name; what is unlimited (-1) is not there."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    found = {name.strip().lower(): amount(name.strip().lower(), value.strip()) for name, _, value in pairs}
    return {name: value for name, value in found.items() if value >= 0}


def comparable(key: str, text: str) -> Any:
    """A value such that two that mean the same are equal, however they are written."""
    key = key.lower()
    if key in LISTS:
        return {part.strip().lower() for part in text.split(",") if part.strip() not in {"", "-1"}}
    if "tres" in key:
        return tres(text)
    if text in {"", "-1"}:
        return ""
    if "wall" in key or key == "gracetime":
        value = minutes(text)
        seconds = key == "gracetime" and text.isdigit()  # given so, but shown as a time
        return value / 60 if seconds and isinstance(value, float) else value
    try:
        return float(text)
    except ValueError:
        return text.strip().lower()


def written(value: Any) -> str:
    """A value of the task's as sacctmgr reads it."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={amount}" for name, amount in value.items())
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value)


def setting(key: str, value: Any, now: str) -> str:
    """``Key=value`` that makes an option from what it is now what it shall be."""
    text = written(value)
    if "tres" in key.lower():  # those that are not named would stay
        gone = [name for name in tres(now) if name not in tres(text)]
        text = ",".join(filter(None, [text, *(f"{name}=-1" for name in gone)]))
    elif not text:
        text = "" if key.lower() in LISTS - {"flags"} else "-1"
    return f"{key}={quoted(text)}"


def quoted(text: str) -> str:
    """A word of a command; sacctmgr knows no escapes."""
    plain = text.replace('"', "'")
    return f'"{plain}"' if any(letter.isspace() or letter == "'" for letter in plain) else plain


def differing(options: Mapping[str, Any], now: Row) -> list[str]:
    """The options that are not as they shall be, as settings."""
    return [
        setting(key, value, now.get(key, ""))
        for key, value in options.items()
        if comparable(key, written(value)) != comparable(key, now.get(key, ""))
    ]


def initial(options: Mapping[str, Any]) -> list[str]:
    """The options that something new is made with."""
    return [setting(key, value, "") for key, value in options.items() if value is not None]


# What there is


@dataclass
class Accounting:
    """What accounting knows of a cluster."""

    clusters: set[str] = field(default_factory=set)
    qos: dict[str, Row] = field(default_factory=dict)
    accounts: dict[str, Row] = field(default_factory=dict)
    users: dict[str, Row] = field(default_factory=dict)
    associations: dict[tuple[str, str], Row] = field(default_factory=dict)
    """By account and user; of an account itself by account and nothing."""


def union(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every option that some entry names."""
    return list(dict.fromkeys(key for entry in entries for key in entry["options"]))


def questions(params: Mapping[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """For each kind what to ask, and the columns of the answer."""
    links = [link for user in params["users"] for link in user["associations"]]
    limits = union([*params["accounts"], *links])
    cluster = quoted(params["cluster"])
    return {
        "clusters": ("cluster", ["Cluster", "ControlHost"]),
        "qos": ("qos", ["Name", "Description", *union(params["qos"])]),
        "accounts": ("account", ["Account", "Description", "Organization"]),
        "users": ("user", ["User", "DefaultAccount", "AdminLevel"]),
        "associations": (
            f"association where cluster={cluster} WOPLimits WithRawQOSLevel",
            ["Account", "User", "Partition", "ParentName", *limits],
        ),
    }


def sacctmgr(run: Run, commands: Sequence[str], *flags: str) -> str:
    """What sacctmgr says to commands that it reads one by one."""
    script = "".join(f"{command}\n" for command in (*commands, "quit"))
    code, printed, error = run(["sacctmgr", *flags], data=script, environ_update=PLAIN)
    said = "\n".join(filter(None, (error.strip(), printed.strip())))
    if any(words in said for words in SILENCE):
        raise SilentError(error.strip())
    if code:
        raise RefusedError(said)
    return printed


def answers(printed: str, count: int) -> list[list[str]]:
    """The rows that follow each prompt. Every question has two columns at least, so that rows have a bar in them.

    The commands themselves have none. readline repeats them, of a long one its end alone.
    """
    parts = printed.split(PROMPT)[1 : count + 1]
    return [[line for line in part.splitlines() if "|" in line] for part in parts]


def look(run: Run, params: Mapping[str, Any]) -> Accounting:
    """Everything that is asked about, in one go."""
    asked = questions(params)
    commands = [f"show {what} format={','.join(columns)}" for what, columns in asked.values()]
    found = answers(sacctmgr(run, commands, "--noheader", "--parsable2", "--readonly"), len(commands))
    if len(found) != len(commands):
        raise RefusedError(f"sacctmgr gave {len(found)} answers to {len(commands)} questions")
    rows = {
        kind: [dict(zip(columns, line.split("|"), strict=False)) for line in lines]
        for (kind, (_, columns)), lines in zip(asked.items(), found, strict=True)
    }
    return Accounting(
        clusters={row["Cluster"] for row in rows["clusters"]},
        qos={row["Name"]: row for row in rows["qos"]},
        accounts={row["Account"]: row for row in rows["accounts"]},
        users={row["User"]: row for row in rows["users"]},
        associations={
            (row["Account"], row["User"]): row for row in rows["associations"] if not row.get("Partition")
        },
    )


def await_answer(
    run: Run, params: Mapping[str, Any], pause: Callable[[float], None] = time.sleep
) -> Accounting:
    """The same, as soon as slurmdbd answers."""
    deadline = time.monotonic() + params["timeout"]
    while True:
        try:
            return look(run, params)
        except SilentError:
            if time.monotonic() >= deadline:
                raise
            pause(1.0)


# What differs, as commands of sacctmgr


def plan_qos(now: Accounting, params: Mapping[str, Any]) -> Iterator[str]:
    """The cluster, and QOS that are new or differ: before all that names them."""
    if params["cluster"] not in now.clusters:
        yield f"add cluster {quoted(params['cluster'])}"
    for entry in present(params["qos"]):
        if entry["name"] not in now.qos:
            yield " ".join([f"add qos {quoted(entry['name'])}", *initial(entry["options"])])
        elif changed := differing(entry["options"], now.qos[entry["name"]]):
            yield " ".join([f"modify qos where name={quoted(entry['name'])} set", *changed])


def plan_accounts(now: Accounting, params: Mapping[str, Any]) -> Iterator[str]:
    """Accounts that are new or differ, parents first."""
    cluster = f"cluster={quoted(params['cluster'])}"
    for entry in parents_first(present(params["accounts"])):
        name, link = quoted(entry["name"]), now.associations.get((entry["name"], ""))
        words = {key.capitalize(): entry[key] for key in ("description", "organization") if entry[key]}
        if entry["name"] not in now.accounts or link is None:
            made = [f"parent={quoted(entry['parent'])}", *initial({**words, **entry["options"]})]
            yield " ".join([f"add account {name} {cluster}", *made])
            continue
        changed = differing(words, now.accounts[entry["name"]]) + differing(entry["options"], link)
        if link["ParentName"] != entry["parent"]:
            changed.append(f"parent={quoted(entry['parent'])}")
        if changed:
            yield " ".join([f"modify account where name={name} {cluster} set", *changed])


def plan_users(now: Accounting, params: Mapping[str, Any]) -> Iterator[str]:
    """Users that are new or differ, and the accounts that a user is not in any more."""
    cluster = f"cluster={quoted(params['cluster'])}"
    for entry in present(params["users"]):
        name, row = quoted(entry["name"]), now.users.get(entry["name"], {})
        for link in entry["associations"]:
            where = f"account={quoted(link['account'])} {cluster}"
            known = now.associations.get((link["account"], entry["name"]))
            if known is None:
                yield " ".join([f"add user {name} {where}", *initial(link["options"])])
            elif changed := differing(link["options"], known):
                yield " ".join([f"modify user where name={name} {where} set", *changed])
        accounts = [link["account"] for link in entry["associations"]]
        # The first account that a user is given becomes the default by itself.
        default = row.get("DefaultAccount") or next(iter(accounts), "")
        if accounts and default != accounts[0]:
            yield f"modify user where name={name} {cluster} set DefaultAccount={quoted(accounts[0])}"
        if entry["admin_level"] and entry["admin_level"] != row.get("AdminLevel", "None"):
            yield f"modify user where name={name} set AdminLevel={entry['admin_level']}"
        for account, user in now.associations:
            if accounts and user == entry["name"] and account not in accounts:
                yield f"delete user where name={name} account={quoted(account)} {cluster}"


def plan_removals(now: Accounting, params: Mapping[str, Any]) -> Iterator[str]:
    """What shall not be there (any more): users before their accounts, accounts below others first.

    Of a database that other clusters share they leave this cluster alone, and are still known.
    """
    shared = now.clusters > {params["cluster"]}
    cluster = f" cluster={quoted(params['cluster'])}" if shared else ""
    for name in leaving(params, "users", {user for _, user in now.associations if user} - OWN):
        yield f"delete user where name={quoted(name)}{cluster}"
    going = set(
        leaving(params, "accounts", {account for account, user in now.associations if not user} - OWN)
    )
    for name in reversed([account for account, user in now.associations if not user and account in going]):
        yield f"delete account where name={quoted(name)}{cluster}"
    for name in leaving(params, "qos", set(now.qos) - NORMAL):
        yield f"delete qos where name={quoted(name)}"


def present(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that shall be there."""
    return [entry for entry in entries if entry["state"] == "present"]


def leaving(params: Mapping[str, Any], kind: str, there: set[str]) -> list[str]:
    """The names that are there and shall not be."""
    keep = {entry["name"] for entry in present(params[kind])}
    unwanted = {entry["name"] for entry in params[kind] if entry["state"] == "absent"}
    return sorted(there - keep if kind in params["purge"] else there & unwanted)


def parents_first(accounts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Accounts such that none comes before its parent."""
    waiting, done = list(accounts), list[Mapping[str, Any]]()
    while waiting:
        names = {entry["name"] for entry in waiting}
        ready = [entry for entry in waiting if entry["parent"] not in names]
        if not ready:
            raise RefusedError(f"accounts that are each other's parents: {', '.join(sorted(names))}")
        done += ready
        waiting = [entry for entry in waiting if entry not in ready]
    return done


PLANS = (plan_qos, plan_accounts, plan_users, plan_removals)


def converge(run: Run, now: Accounting, params: Mapping[str, Any], *, check: bool) -> list[str]:
    """Makes accounting as wanted and tells what that took."""
    first, *others = ([*plan(now, params)] for plan in PLANS)
    rest = [command for commands in others for command in commands]
    # Two runs: a sacctmgr goes on with the QOS that it knew when it first needed them.
    for commands in (first, rest):
        if commands and not check:
            sacctmgr(run, commands, "--immediate")
    return [*first, *rest]


OPTIONS = {"type": "dict", "default": {}}
STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
NAME = {"type": "str", "required": True}
ARGUMENTS: dict[str, Any] = {
    "cluster": NAME,
    "qos": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": NAME, "options": OPTIONS, "state": STATE},
    },
    "accounts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": NAME,
            "parent": {"type": "str", "default": "root"},
            "description": {"type": "str"},
            "organization": {"type": "str"},
            "options": OPTIONS,
            "state": STATE,
        },
    },
    "users": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": NAME,
            "admin_level": {"type": "str", "choices": ["None", "Operator", "Administrator"]},
            "associations": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"account": NAME, "options": OPTIONS},
            },
            "state": STATE,
        },
    },
    "purge": {"type": "list", "elements": "str", "choices": ["qos", "accounts", "users"], "default": []},
    "timeout": {"type": "int", "default": 60},
}


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params, check = module.params, module.check_mode
    changes: list[str] = []
    try:
        now = await_answer(module.run_command, {**params, "timeout": 0 if check else params["timeout"]})
    except SilentError as error:
        if not check:
            module.fail_json(msg=f"slurmdbd did not answer within {params['timeout']} seconds: {error}")
        now = Accounting()  # in check mode it may not run yet
    except RefusedError as error:
        module.fail_json(msg=f"sacctmgr does not tell what there is: {error}")
    try:
        changes = converge(module.run_command, now, params, check=check)
    except (RefusedError, SilentError) as error:
        module.fail_json(msg=f"sacctmgr refused a change: {error}")
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
