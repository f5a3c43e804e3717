"""Pictures and facts of the lab `full`: what is drawn is what is there, and what clients are told lets them in."""

from __future__ import annotations

import os
import subprocess
import tomllib
from xml.etree import ElementTree as ET

from conftest import User
from ruamel.yaml import YAML

NODES = ["ldap-0", "nfs-0", "slurmctld-0", "login-0", "cpu-0", "cpu-1", "gpu-0"]
SVG = "{http://www.w3.org/2000/svg}"


def test_the_lab_is_drawn_as_it_is(full: User) -> None:
    network = full.ok("status", "--name", "full", "--json").json()["network"]
    lines = [" ".join(line.split()) for line in full.ok("graph", "full").out.splitlines()]
    assert f"network {network}" in lines
    assert "├─ cpu-[0-1] 2 nodes 2 CPUs 1024 MiB ● idle" in lines
    assert "└─ gpu-0 compute node 2 CPUs 1024 MiB 4 GPUs ● idle" in lines
    full.ok("graph", "full", "--output", "full.svg")
    root = ET.parse(full.home / "full.svg").getroot()  # noqa: S314 - our own
    said = [element.text for element in root.iter(f"{SVG}text")]
    assert set(NODES) <= set(said)
    assert (said.count("idle"), said.count("running")) == (3, 4)
    assert full.ok("graph", "full", "--format", "mermaid").out.count("]:::good\n") == 6


def test_clients_get_in_with_what_config_tells_them(full: User) -> None:
    to = full.ok("config", "full").json()
    command = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    command += ["-o", f"UserKnownHostsFile={to['known_hosts']}", "-o", "IdentitiesOnly=yes"]
    command += ["-i", to["key_filename"], "-p", str(to["port"]), f"{to['username']}@{to['hostname']}"]
    done = subprocess.run([*command, "id -un; sinfo -h -o %R"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["nucci", *[partition["name"] for partition in to["partitions"]]]

    config = full.home / "client_config"
    config.write_text(full.ok("config", "full", "--format", "ssh").out)
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "login-0.full", "hostname; pwd"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["login-0", "/home/nucci"]

    script = full.ok("config", "full", "--format", "env").out + "env"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert f"SLURM_TEST_HOSTNAME={to['hostname']}" in done.stdout.splitlines()

    slurmfile = tomllib.loads(full.ok("config", "full", "--format", "slurmfile").out)
    assert slurmfile["default"]["cluster"]["backend_config"]["hostname"] == to["hostname"]


def test_no_secret_is_in_what_clients_are_told(full: User) -> None:
    lab = full.home / ".labctl/full"
    secrets = YAML(typ="safe").load(lab / "secrets.yml")
    hidden = [secrets["munge_key"], *secrets["passwords"].values(), *secrets["password_hashes"].values()]
    hidden += [line for line in (lab / "id_ed25519").read_text().splitlines() if "-----" not in line]
    for form in ("json", "ssh", "env", "slurmfile"):
        said = full.ok("config", "full", "--format", form).out
        assert not [secret for secret in hidden if secret in said]


def test_verify_leaves_a_report_that_says_what_it_found(full: User) -> None:
    passed = full.ok("verify", "full", "-k", "munge or controller", "--json").json()["passed"]
    text = (full.home / ".labctl/full/logs/verify.html").read_text(encoding="utf-8")
    assert f"{passed} tests passed" in text
    assert "<title>full: passed</title>" in text
    for words in (*NODES, "Slurm", "QEMU", "</html>"):
        assert words in text
