#!/usr/bin/python
"""Ansible module: services that run with their files as they are now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: current_services
short_description: Runs services, with their files as they are now
description:
  - Enables and starts services. One that was started or last read its files before one of them was written is
    restarted or told to read them again.
  - So a run that ends between the writing of a file and the restart, for whatever reason, does no harm, the next
    one does what is left. What systemd has to read again it reads.
options:
  services:
    type: list
    elements: dict
    required: true
    description: The services.
    suboptions:
      name: {type: str, required: true, description: The unit.}
      files: {type: list, elements: path, default: [], description: Files that it reads.}
      action: {type: str, choices: [restarted, reloaded], default: restarted, description: What newer files need.}
author: labctl contributors
"""

RETURN = r"""
changes:
  description: What was done (or would be), in order.
  type: list
  elements: str
  returned: success
"""

# systemd hangs up on whoever asks while it reads its units again, which on a busy host takes seconds.
TRIES = 5
PAUSE = 2.0  # seconds between two tries
# Where units have files of their own, as opposed to those that systemd makes from a script in init.d; the first wins.
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
GENERATED = "/run/systemd/generator"
PROPERTIES = "FragmentPath,Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload,StateChangeTimestamp"
# What is-enabled says of units that start at boot, or need no such thing; it exits with 0 for them (systemctl(1)).
ENABLED = {"enabled", "enabled-runtime", "static", "alias", "indirect", "generated", "transient"}
Run = Callable[..., tuple[int, str, str]]


class RefusedError(Exception):
    """systemd did not do what it was asked for; the text says what it says."""


class Unit(NamedTuple):
    """A unit as systemd sees it."""

    name: str
    loaded: bool
    active: bool
    enabled: bool
    generated: bool  # made by systemd from a script in init.d
    outdated: bool  # its own files changed since systemd read them
    since: float  # when it started or last read its files, in seconds since the epoch


def moment(text: str) -> float:
    """A time of systemctl --timestamp=us+utc; 0 for one that never was."""
    try:
        parsed = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return parsed.timestamp()


def look(run: Run, names: Sequence[str]) -> list[Unit]:
    """Asks systemd for units."""
    command = ["systemctl", "show", "--timestamp=us+utc", f"--property={PROPERTIES}", *names]
    for _ in range(TRIES):
        code, printed, error = run(command)
        if code == 0:
            break
        time.sleep(PAUSE)
    else:
        raise RefusedError(f"systemd does not say how {' and '.join(names)} is: {error.strip()}")
    shown = [dict(line.partition("=")[::2] for line in part.splitlines()) for part in printed.split("\n\n")]
    return list(map(unit, names, shown, enabled(run, names, shown)))


def enabled(run: Run, names: Sequence[str], shown: Iterable[Mapping[str, str]]) -> list[bool]:
    """Which units start at boot. UnitFileState is only what systemd remembers from when it last read all units."""
    if all(found.get("UnitFileState", "generated") != "generated" for found in shown):
        states = run(["systemctl", "is-enabled", *names])[1].split()
        if len(states) == len(names):
            return [state in ENABLED for state in states]
    # Of one that is not there it prints nothing, and those that have a script it takes first.
    return [run(["systemctl", "is-enabled", "--quiet", name])[0] == 0 for name in names]


def unit(name: str, found: Mapping[str, str], starts: bool) -> Unit:
    """A unit, from what systemctl shows of it and whether it starts at boot."""
    return Unit(
        name=name,
        loaded=found.get("LoadState") == "loaded",
        active=found.get("ActiveState") in {"active", "reloading"},
        enabled=starts,
        generated=found.get("UnitFileState") == "generated",
        outdated=found.get("NeedDaemonReload") == "yes" or replaced(name, found.get("FragmentPath", "")),
        since=moment(found.get("StateChangeTimestamp", "")),
    )


def replaced(name: str, fragment: str) -> bool:
    """Whether a unit has got a file since that goes before what systemd read, which systemd itself does not say."""
    for folder in UNIT_FOLDERS if fragment else ():
        if fragment.startswith(f"{folder}/"):
            break
        own = Path(folder, name)
        # /lib may be /usr/lib, and one name a link to another.
        if own.is_file() and own.resolve() != Path(fragment).resolve():
            return True
    return False


def written(files: Iterable[str]) -> float:
    """When the newest of the files came to be what it is, in seconds since the epoch.

    Not its mtime: Mitogen's copy hands on that of the file on the control host.
    """
    return max((path.stat().st_ctime for path in map(Path, files) if path.exists()), default=0.0)


def needs(unit: Unit, service: Mapping[str, Any]) -> list[str]:
    """The verbs of systemctl that a service needs."""
    verbs = [] if unit.enabled else ["enable"]
    if not unit.active:
        verbs.append("start")
    elif written(service["files"]) > unit.since:
        verbs.append(service["action"].removesuffix("ed"))
    return verbs


def act(run: Run, verb: str, unit: Unit) -> None:
    """Does one thing; if it fails, the error has the last lines of the unit's journal."""
    command, options = ["systemctl", verb, unit.name], {}
    if verb == "enable" and not unit.generated:
        # Many daemons of Debian have a script in init.d beside their unit. To enable that as well, systemd would run a
        # Perl script and read all units again, twice: seconds of work for links that nothing looks at.
        command.insert(1, "--no-reload")
        options = {"environ_update": {"SYSTEMCTL_SKIP_SYSV": "1"}}
    code, _, error = run(command, **options)
    if code:
        _, journal, _ = run(["journalctl", "--no-pager", "--lines=15", "--output=cat", f"--unit={unit.name}"])
        raise RefusedError(
            f"systemctl {verb} {unit.name}: {error.strip()}\nIts journal ends with:\n{journal}"
        )


def converge(run: Run, services: Sequence[Mapping[str, Any]], *, check: bool) -> list[str]:
    """Brings services up to date, in their order, and tells what that took."""
    units = look(run, [service["name"] for service in services])
    if all(map(current, units, services)):
        return []
    return [change for service in services for change in converge_one(run, service, check=check)]


def current(unit: Unit, service: Mapping[str, Any]) -> bool:
    """Whether nothing is to be done about a service."""
    return unit.loaded and not unit.outdated and not needs(unit, service)


def converge_one(run: Run, service: Mapping[str, Any], *, check: bool) -> list[str]:
    """Brings one service up to date and tells what that took. It may be named twice: what was done before counts."""
    (unit,) = look(run, [service["name"]])
    if unit.outdated and not check:
        run(["systemctl", "daemon-reload"])
        # What was enabled by a script in init.d may not be any more, now that the unit has a file of its own.
        (unit,) = look(run, [service["name"]])
    if not unit.loaded and not check:
        raise RefusedError(f"There is no unit {unit.name} on this host, or it is masked")
    verbs = needs(unit, service)
    if not check:
        for verb in verbs:
            act(run, verb, unit)
    return [f"{verb} {unit.name}" for verb in verbs]


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "services": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "files": {"type": "list", "elements": "path", "default": []},
                    "action": {"type": "str", "choices": ["restarted", "reloaded"], "default": "restarted"},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        changes = converge(module.run_command, module.params["services"], check=module.check_mode)
    except RefusedError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
