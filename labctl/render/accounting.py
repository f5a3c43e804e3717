"""What a lab's accounting is told: its database, and an account for each group that users are in."""

from __future__ import annotations

from typing import Any

from labctl.definition.accounts import resolve
from labctl.definition.models import User
from labctl.render.layout import Layout, Machine, Secrets

DATABASE = "slurm_acct_db"
USER = "slurm"
#: Where a limit is seen to hold: a job that asks for too much is refused, and so is one too many.
DEBUG = {
    "name": "debug",
    "options": {"Priority": 100, "MaxWall": "0:10:00", "MaxSubmitJobsPerUser": 2, "Flags": ["DenyOnLimit"]},
}
#: Small, for it shares a machine of a lab with others.
_SERVER = {"innodb_buffer_pool_size": "32M"}


def slurm_conf(layout: Layout) -> dict[str, Any]:
    """What slurm.conf says besides where slurmdbd is: limits hold, and fair share decides who is next."""
    if not layout.definition.services.accounting:
        return {}
    config: dict[str, Any] = {
        "AccountingStorageEnforce": "associations,limits,qos",
        "PriorityType": "priority/multifactor",
        "PriorityWeightFairshare": 10000,
        "PriorityWeightQOS": 1000,
        "PriorityWeightAge": 100,
    }
    if any(node.gpus for node in layout.definition.machines()):
        config["AccountingStorageTRES"] = "gres/gpu"
    return config


def of_all(layout: Layout) -> dict[str, Any]:
    """The roles mariadb's and slurmdbd's."""
    definition = layout.definition
    if not definition.services.accounting:
        return {}
    database, daemon = _machine(layout, "mariadb"), _machine(layout, "slurmdbd")
    apart = database != daemon
    names = {user.name: _accounts(user) for user in definition.users}
    described = {group.name: f"group {group.gid}" for group in resolve(definition.users, definition.groups)}
    return {
        **({"mariadb_bind_address": str(database.address)} if apart else {}),
        "mariadb_config": dict(_SERVER),
        "mariadb_databases": [
            {
                "name": DATABASE,
                "user": USER,
                "host": str(daemon.address) if apart else "localhost",
                "password": "{{ slurmdbd_storage_password }}",
            }
        ],
        **({"slurmdbd_storage_host": str(database.address)} if apart else {}),
        "slurmdbd_cluster": "{{ slurm_common_config.ClusterName }}",
        "slurmdbd_qos": [dict(DEBUG)],
        "slurmdbd_accounts": [
            {
                "name": account,
                "description": described.get(account, account),
                "options": {"QOS": ["normal", DEBUG["name"]], "DefaultQOS": "normal"},
            }
            for account in dict.fromkeys(account for accounts in names.values() for account in accounts)
        ],
        "slurmdbd_users": [
            {"name": name, "associations": [{"account": account} for account in accounts]}
            for name, accounts in names.items()
        ],
    }


def hidden(layout: Layout, secrets: Secrets) -> dict[str, Any]:
    """What nobody but the lab's owner may read."""
    return (
        {"slurmdbd_storage_password": secrets.storage_password}
        if layout.definition.services.accounting
        else {}
    )


def _accounts(user: User) -> list[str]:
    """A user's accounts, the default one first: the groups, or one of the user's own."""
    return list(user.groups) or [user.name]


def _machine(layout: Layout, role: str) -> Machine:
    return next(machine for machine in layout.machines if role in machine.node.roles)
