"""What clients are told is read by the programs that it is for as it is meant, and tells no secret."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from render_layouts import PUBLIC, a_layout

from labctl.definition.loading import load
from labctl.errors import UsageError
from labctl.render.connection import connection, env, slurmfile, ssh

HOME = Path("/srv/labs/.labctl/full")


def test_clients_meet_the_controller_as_the_first_user() -> None:
    to = connection(a_layout())
    assert (to.cluster, to.controller, to.hostname, to.port) == ("full", "slurmctld-0", "10.20.30.13", 22)
    assert to.login == "login-0"
    assert (to.username, to.home) == ("nucci", "/home/nucci")
    assert (to.key_filename, to.known_hosts) == (HOME / "id_ed25519", HOME / "known_hosts")
    assert to.partition == "cpu"
    assert [(one.name, one.default, one.nodes) for one in to.partitions] == [
        ("cpu", True, ("cpu-0", "cpu-1")),
        ("gpu", False, ("gpu-0",)),
    ]
    assert [(node.name, node.address) for node in to.nodes][-1] == ("gpu-0", "10.20.30.16")


@pytest.mark.parametrize(("box", "home"), [({}, "/root"), ({"box": PUBLIC}, "/home/vagrant")])
def test_whoever_owns_the_machines_can_be_asked_for(box: dict[str, object], home: str) -> None:
    layout = a_layout(**box)
    assert connection(layout, layout.box.user).home == home


def test_a_user_who_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        connection(a_layout(), "nuci")
    assert "no user 'nuci'" in caught.value.what
    assert caught.value.hint == "did you mean nucci?"


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
def test_ssh_reads_its_block_as_it_is_meant(tmp_path: Path) -> None:
    odd = Path('/srv/my "labs" 100%/.labctl/full')
    config = tmp_path / "config"
    config.write_text(ssh(connection(a_layout(directory=odd))))
    command = ["ssh", "-G", "-F", str(config), "cpu-1.full"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert (said["hostname"], said["user"], said["port"]) == ("10.20.30.15", "nucci", "22")
    assert said["identityfile"].replace("%%", "%") == str(odd / "id_ed25519")
    assert said["identitiesonly"] == "yes"
    elsewhere = subprocess.run(
        [*command[:-1], "cpu-1"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "hostname cpu-1\n" in elsewhere


def test_a_shell_takes_the_variables_whatever_the_folder_is_called() -> None:
    odd = Path("/srv/it's $HOME; `labs`/.labctl/full")
    script = env(connection(a_layout(directory=odd))) + 'printf "%s\\n" "$SLURM_TEST_KEY_FILENAME"; env'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines[0] == str(odd / "id_ed25519")
    expected = {"CLUSTER=full", "HOSTNAME=10.20.30.13", "PORT=22", "USERNAME=nucci", "PARTITION=cpu"}
    assert {f"SLURM_TEST_{one}" for one in expected} <= set(lines)


def test_a_slurmfile_is_toml_with_a_default_cluster() -> None:
    odd = Path('/srv/a "lab" \\ ü/.labctl/full')
    cluster = tomllib.loads(slurmfile(connection(a_layout(directory=odd))))["default"]["cluster"]
    assert cluster["backend"] == "ssh"
    assert cluster["job_base_dir"] == "/home/nucci/slurm_jobs"
    assert cluster["partitions"] == ["cpu", "gpu"]
    to = cluster["backend_config"]
    assert (to["hostname"], to["port"], to["username"]) == ("10.20.30.13", 22, "nucci")
    assert to["key_filename"] == str(odd / "id_ed25519")
    assert to["default_partition"] == "cpu"
    assert to["host_key_policy"] == "warn"


def test_no_form_tells_what_is_in_the_files_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519").write_text("the private key")
    (tmp_path / "secrets.yml").write_text("a password")
    to = replace(connection(a_layout(directory=tmp_path)))
    for said in (repr(to), ssh(to), env(to), slurmfile(to)):
        assert "the private key" not in said
        assert "a password" not in said


def test_the_registry_is_told_of_where_there_is_one() -> None:
    without = connection(a_layout("multi-node"))
    assert without.registry_ca is None
    assert "REGISTRY" not in env(without)
    to = connection(a_layout())
    assert (to.registry, to.registry_url) == ("slurmctld-0:5000", "https://10.20.30.12:5000")
    assert to.registry_ca == HOME / "ca.pem"
    assert "export SLURM_TEST_REGISTRY=slurmctld-0:5000\n" in env(to)


def test_the_rest_daemon_is_told_of_where_there_is_one() -> None:
    without = connection(a_layout("multi-node"))
    assert without.rest_url == ""
    assert "REST" not in env(without)
    to = connection(a_layout(load("full", overrides=["vars.slurmrestd_port=7820"])))
    assert to.rest_url == "https://10.20.30.12:7820"
    assert to.rest_ca == HOME / "ca.pem"
    assert "export SLURM_TEST_REST_URL=https://10.20.30.12:7820\n" in env(to)
