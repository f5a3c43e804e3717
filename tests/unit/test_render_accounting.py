"""A lab with accounting: groups, a database with a secret of its own, accounts that are the users' groups."""

from __future__ import annotations

from typing import Any

import yaml
from render_layouts import a_layout, secrets

from labctl.definition.loading import load
from labctl.definition.models import Definition
from labctl.render import rest
from labctl.render.inventory import HOSTS, MAIN, SECRETS, inventory

PASSWORD = "password-of-the-database"


def files(preset: str = "cpu", **changes: Any) -> dict[str, Any]:
    data = load(preset).model_dump() | {"services": {"accounting": True}} | changes
    layout = a_layout(Definition.model_validate(data))
    texts = inventory(layout, secrets(layout.definition, storage_password=PASSWORD))
    assert [path for path, text in texts.items() if PASSWORD in text] == [SECRETS]
    return {path: yaml.safe_load(text) for path, text in texts.items()}


def test_a_lab_without_services_has_nothing_of_them() -> None:
    layout = a_layout("multi-node")
    texts = inventory(layout, secrets(layout.definition))
    for word in ("mariadb", "slurmdbd", "Accounting", "Priority"):
        assert not [path for path, text in texts.items() if word in text], word


def test_the_services_are_groups_and_their_node_talks_munge_and_has_slurm_conf() -> None:
    nodes = [*load("multi-node").model_dump()["nodes"], {"name": "dbd-0", "roles": ["slurmdbd"]}]
    found = {
        group: list(content["hosts"])
        for group, content in files("multi-node", nodes=nodes)[HOSTS]["all"]["children"].items()
    }
    assert found["mariadb"] == found["slurmdbd"] == ["dbd-0"]
    assert "dbd-0" in found["munge"]
    assert "dbd-0" in found["slurm_common"]
    assert [*found].index("munge") < [*found].index("slurm_common") < [*found].index("slurmdbd")
    assert [*found].index("slurmdbd") < [*found].index("slurmctld")


def test_a_database_beside_slurmdbd_is_reached_by_its_socket() -> None:
    main = files()[MAIN]
    assert main["mariadb_databases"] == [
        {
            "name": "slurm_acct_db",
            "user": "slurm",
            "host": "localhost",
            "password": "{{ slurmdbd_storage_password }}",
        }
    ]
    assert not {"mariadb_bind_address", "slurmdbd_storage_host"} & set(main)
    assert main["mariadb_install"] is main["slurmdbd_install"] is False


def test_a_database_apart_listens_to_slurmdbds_address_alone() -> None:
    nodes = [*load("multi-node").model_dump()["nodes"], {"name": "db-0", "roles": ["mariadb"]}]
    main = files("multi-node", nodes=nodes)[MAIN]
    assert main["mariadb_bind_address"] == main["slurmdbd_storage_host"] == "10.20.30.13"
    assert main["mariadb_databases"][0]["host"] == "10.20.30.10"


def test_slurm_conf_holds_users_to_their_limits_and_counts_gpus() -> None:
    config = files("gpu")[MAIN]["slurm_common_config"]
    assert config["AccountingStorageEnforce"] == "associations,limits,qos"
    assert config["AccountingStorageTRES"] == "gres/gpu"
    assert config["PriorityType"] == "priority/multifactor"
    assert "AccountingStorageTRES" not in files()[MAIN]["slurm_common_config"]


def test_a_users_accounts_are_the_groups_or_one_of_the_users_own() -> None:
    users = [
        {"name": "ann", "uid": 10000, "groups": ["research", "biology"]},
        {"name": "bob", "uid": 10001},
    ]
    main = files(users=users)[MAIN]
    assert [account["name"] for account in main["slurmdbd_accounts"]] == ["research", "biology", "bob"]
    assert main["slurmdbd_users"] == [
        {"name": "ann", "associations": [{"account": "research"}, {"account": "biology"}]},
        {"name": "bob", "associations": [{"account": "bob"}]},
    ]


def test_what_a_user_says_is_merged_by_name() -> None:
    given = {
        "slurmdbd_qos": [{"name": "debug", "options": {"Priority": 5}}, {"name": "long"}],
        "slurmdbd_accounts": [{"name": "research", "options": {"Fairshare": 10}}],
    }
    main = files(vars=given)[MAIN]
    assert [qos["name"] for qos in main["slurmdbd_qos"]] == ["debug", "long"]
    assert main["slurmdbd_accounts"][0]["options"] == {"Fairshare": 10}


def test_the_password_is_where_secrets_are() -> None:
    assert files()[SECRETS]["slurmdbd_storage_password"] == PASSWORD


def test_rest_has_a_certificate_and_a_key_of_tokens_and_its_authority_is_a_file() -> None:
    layout = a_layout()
    known = secrets(layout.definition, jwt_key="S0VZ")
    texts = inventory(layout, known)
    main, hidden = yaml.safe_load(texts[MAIN]), yaml.safe_load(texts[SECRETS])
    assert main["slurmrestd_tls_address"] == "10.20.30.12"
    assert main["slurmrestd_tls_certificate"] == known.certificates["slurmctld-0"]
    assert hidden["slurm_common_jwt_key"] == "S0VZ"
    assert hidden["slurmrestd_tls_key"] == known.private_keys["slurmctld-0"]
    assert [path for path, text in texts.items() if "S0VZ" in text] == [SECRETS]
    assert rest.files(layout, known) == {"ca.pem": known.ca_certificate}
    assert rest.files(a_layout("multi-node"), known) == {}
