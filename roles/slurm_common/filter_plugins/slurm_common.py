"""Filters that write Slurm's files and read what changed in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DAEMONS = ("slurmctld", "slurmd")

#: What a daemon may have to do about changed files, the mildest first.
ACTIONS = ("reloaded", "restarted")


def slurm_value(value: Any) -> str:
    """A value as Slurm spells it: yes and no, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(slurm_value(item) for item in value)
    return str(value)


def slurm_line(keys: Mapping[str, Any]) -> str:
    """One line such as a NodeName's: Key=value pairs, without those that are null."""
    return " ".join(f"{key}={slurm_value(value)}" for key, value in keys.items() if value is not None)


def slurm_lines(keys: Mapping[str, Any]) -> str:
    """A file's keys, one a line: null drops a key, a list repeats it; Include has a space for the =."""
    pairs = [
        (key, item)
        for key, value in keys.items()
        for item in (value if isinstance(value, list | tuple) else [value])
        if item is not None
    ]
    return "\n".join(
        f"{key}{' ' if key.lower() == 'include' else '='}{slurm_value(item)}" for key, item in pairs
    )


def slurm_headroom(keys: Mapping[str, Any], headroom: int) -> dict[str, Any]:
    """A node's measured keys with RealMemory (MiB) lowered by the headroom and then to a multiple of 8."""
    memory = keys.get("RealMemory")
    return {**keys, "RealMemory": max(int(memory) - headroom, 8) // 8 * 8} if memory else dict(keys)


def _lines(text: str) -> set[str]:
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    return {line for line in stripped if line}


def slurm_changed_keys(before: str, after: str) -> list[str]:
    """The keys whose lines differ between two texts of slurm.conf; comments and order do not count."""
    keys = {line.replace("=", " ", 1).split()[0] for line in _lines(before) ^ _lines(after)}
    return sorted(keys)


def _texts(result: Mapping[str, Any]) -> tuple[str, str] | None:
    """A file before and after, from the diff of Ansible's template; None if that has none (a long file)."""
    for part in result.get("diff") or []:
        if isinstance(part.get("before"), str) and isinstance(part.get("after"), str):
            return part["before"], part["after"]
    return None


def slurm_actions(
    results: Iterable[Mapping[str, Any]], restarts: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """What each daemon has to do about the files that were written.

    Args:
        results: results of the template task, one a file; item names the file.
        restarts: key of slurm.conf to the daemons that a change of it restarts.

    Returns:
        Daemon to action, for the daemons that read a changed file: reloaded or restarted.
    """
    needs: dict[str, int] = {}
    table = {key.lower(): set(daemons) for key, daemons in restarts.items()}

    def need(daemons: Iterable[str], level: int) -> None:
        for daemon in daemons:
            needs[daemon] = max(needs.get(daemon, 0), level)

    for result in results:
        if not result.get("changed"):
            continue
        if result["item"] == "cgroup.conf":  # cgroup.conf(5): read again on SIGHUP; slurmctld does not use it
            need(["slurmd"], 0)
        elif (
            result["item"] == "gres.conf" or (texts := _texts(result)) is None
        ):  # gres.conf(5): Type restarts both; devices are opened at the start
            need(DAEMONS, 1)
        else:
            need(DAEMONS, 0)
            for key in slurm_changed_keys(*texts):
                need(table.get(key.lower(), ()), 1)
    return {daemon: ACTIONS[level] for daemon, level in needs.items()}


class FilterModule:
    """Tells Ansible the filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        functions = (slurm_line, slurm_lines, slurm_headroom, slurm_changed_keys, slurm_actions)
        return {function.__name__: function for function in functions}
