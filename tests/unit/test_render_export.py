"""What a client outside of a lab is set up from: right for who knows no node by name, and readable for Kubernetes."""

from __future__ import annotations

import base64

import pytest
import yaml
from render_layouts import a_layout, secrets

from labctl.definition.loading import load
from labctl.errors import UsageError
from labctl.render.export import kubernetes, munge_key, slurm_conf

KEY = b"MUNGE-KEY"
CONF = """\
# Ansible managed
ClusterName=full
SlurmctldHost=slurmctld-0
AccountingStorageHost=slurmctld-0
AccountingStorageType=accounting_storage/slurmdbd
PrologFlags=Contain

NodeName=cpu-0 CPUs=2 RealMemory=960
NodeName=cpu-1 CPUs=2 NodeAddr=elsewhere
NodeName=cloud-[0-9] State=CLOUD

PartitionName=cpu Nodes=cpu-0,cpu-1 Default=YES
"""


def test_a_client_finds_nodes_that_it_cannot_resolve() -> None:
    told = slurm_conf(CONF, a_layout())
    assert told.splitlines()[1:] == [
        "ClusterName=full",
        "SlurmctldHost=slurmctld-0(10.20.30.12)",
        "AccountingStorageHost=10.20.30.12",
        "AccountingStorageType=accounting_storage/slurmdbd",
        "PrologFlags=Contain",
        "NodeName=cpu-0 CPUs=2 RealMemory=960 NodeAddr=10.20.30.14",
        "NodeName=cpu-1 CPUs=2 NodeAddr=elsewhere",
        "NodeName=cloud-[0-9] State=CLOUD",
        "PartitionName=cpu Nodes=cpu-0,cpu-1 Default=YES",
    ]
    assert told.startswith("# slurm.conf of the lab full")


def test_the_key_is_what_munge_reads() -> None:
    layout = a_layout()
    assert munge_key(layout, secrets(layout.definition)) == KEY


def test_a_key_that_the_definition_brings_along_is_the_clusters() -> None:
    own = base64.b64encode(bytes(range(64))).decode()
    layout = a_layout(load("full", overrides=[f"vars.munge_key={own}"]))
    assert munge_key(layout, secrets(layout.definition)) == bytes(range(64))


def test_a_key_that_only_ansible_can_read_is_told_as_such() -> None:
    template = "{{ lookup('ansible.builtin.pipe', 'base64 -w0 /etc/munge/munge.key') }}"
    layout = a_layout(load("full", overrides=[f'vars.munge_key="{template}"']))
    with pytest.raises(UsageError, match="munge_key is not known here") as refused:
        munge_key(layout, secrets(layout.definition))
    assert "template" in refused.value.why


def test_kubernetes_gets_the_keys_as_a_secret_and_the_rest_as_a_config_map() -> None:
    layout = a_layout("multi-node")
    secret, facts = yaml.safe_load_all(kubernetes(layout, secrets(layout.definition), CONF))
    for manifest, kind in ((secret, "Secret"), (facts, "ConfigMap")):
        assert (manifest["apiVersion"], manifest["kind"]) == ("v1", kind)
        assert manifest["metadata"] == {"name": "slurm-multi-node"}
    assert secret["data"] == {"munge.key": base64.b64encode(KEY).decode()}
    assert facts["data"] == {"slurm.conf": CONF}


def test_a_lab_with_a_rest_daemon_gives_what_tokens_take_as_well() -> None:
    layout = a_layout()
    text = kubernetes(layout, secrets(layout.definition, jwt_key="SldUS0VZ"), "ClusterName=full\n")
    secret, facts = yaml.safe_load_all(text)
    assert secret["data"]["jwt_hs256.key"] == "SldUS0VZ"
    assert facts["data"]["rest_url"] == "https://10.20.30.12:6820"
    assert facts["data"]["ca.pem"].startswith("-----BEGIN CERTIFICATE-----")


def test_people_can_read_a_slurm_conf_in_a_manifest() -> None:
    layout = a_layout()
    text = kubernetes(layout, secrets(layout.definition), slurm_conf(CONF, layout))
    assert "    ClusterName=full\n    SlurmctldHost=slurmctld-0(10.20.30.12)\n" in text
