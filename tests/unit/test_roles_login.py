"""The key that the first login on a login node makes: once, whole, for users with a home of their own, and quietly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from roles_files import ROOT, ansible

ROLE = ROOT / "roles/login"
SCRIPT = ROLE / "files/user-keys.sh"
#: What one line of authorized_keys has at least.
KEY = "ssh-ed25519 "

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="takes ssh-keygen")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home, and beside it an `id` that says that its owner is a user."""
    made = tmp_path / "home"
    made.mkdir()
    called(tmp_path, 1000)
    return made


def called(beside: Path, uid: int) -> None:
    (beside / "bin").mkdir(exist_ok=True)
    fake = beside / "bin/id"
    fake.write_text(f"#!/bin/sh\n[ $1 = -un ] && echo ann || echo {uid}\n")
    fake.chmod(0o755)


def variables(home: Path) -> Mapping[str, str]:
    return {**os.environ, "HOME": str(home), "PATH": f"{home.parent / 'bin'}:{os.environ['PATH']}"}


def log_in(home: Path, shell: str = "sh") -> str:
    """What a login says; its shell goes on after the script, whatever became of that."""
    done = subprocess.run(
        [shell, "-euc", f'. {SCRIPT}; echo "$(umask) $(cat)"'],
        env=variables(home), umask=0o022, input="typed", capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout + done.stderr


def authorized(home: Path) -> list[str]:
    return (home / ".ssh/authorized_keys").read_text().splitlines()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_first_login_makes_a_key_that_opens_the_home_and_the_next_ones_do_nothing(
    home: Path, shell: str
) -> None:
    assert log_in(home, shell) == "0022 typed\n"
    ssh = home / ".ssh"
    assert authorized(home) == [(ssh / "id_ed25519.pub").read_text().strip()]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (ssh, *ssh.iterdir())} == {
        ".ssh": "0o700",
        "authorized_keys": "0o600",
        "id_ed25519": "0o600",
        "id_ed25519.pub": "0o600",
    }
    open_it = ["ssh-keygen", "-y", "-P", "", "-f", ssh / "id_ed25519"]
    public = subprocess.run(open_it, capture_output=True, text=True, check=True).stdout
    assert authorized(home)[0].startswith(public.split(" ann")[0].strip())
    key = (ssh / "id_ed25519").read_bytes()
    (ssh / "authorized_keys").write_text("")
    assert log_in(home, shell) == "0022 typed\n"
    assert (ssh / "id_ed25519").read_bytes() == key
    assert authorized(home) == []


def test_lines_that_are_there_stay_also_one_without_an_end(home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh/authorized_keys").write_text("ssh-rsa AAAA mine")
    log_in(home)
    first, second = authorized(home)
    assert first == "ssh-rsa AAAA mine"
    assert second.startswith(KEY)


def test_whoever_has_a_key_of_any_kind_keeps_that_alone(home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh/id_ecdsa").write_text("mine")
    log_in(home)
    assert [path.name for path in (home / ".ssh").iterdir()] == ["id_ecdsa"]


def test_accounts_of_the_system_and_those_without_a_home_get_none(home: Path) -> None:
    called(home.parent, 999)
    assert log_in(home) == "0022 typed\n"
    assert not (home / ".ssh").exists()
    called(home.parent, 1000)
    assert log_in(home / "gone") == "0022 typed\n"
    assert not (home / "gone").exists()


def test_many_logins_at_once_make_one_key(home: Path) -> None:
    start = [
        subprocess.Popen(["sh", "-c", f". {SCRIPT}; test -e $HOME/.ssh/id_ed25519"], env=variables(home))
        for _ in range(8)
    ]
    assert [one.wait(60) for one in start] == [0] * 8
    assert len(authorized(home)) == 1
    assert {path.name for path in (home / ".ssh").iterdir()} == {
        "authorized_keys",
        "id_ed25519",
        "id_ed25519.pub",
    }


def test_a_login_that_is_cut_off_leaves_the_key_to_the_next_one(home: Path) -> None:
    fake = home.parent / "bin/ssh-keygen"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    assert log_in(home) == "0022 typed\n"
    assert [path.name for path in (home / ".ssh").iterdir()] == ["authorized_keys"]
    fake.unlink()
    log_in(home)
    assert len(authorized(home)) == 1


def test_the_files_are_there_while_it_is_on(tmp_path: Path) -> None:
    """The role's own tasks, with its files below a folder."""
    files = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__login_key_files"]
    (tmp_path / "hosts.yml").write_text(
        yaml.safe_dump({"all": {"children": {"slurmd": {"hosts": {"cpu-0": {}, "gpu-0.example.org": {}}}}}})
    )
    for file in files:
        file["dest"] = f"{tmp_path}{file['dest']}"
    override = {
        "__login_limits_file": [],
        "__login_key_files": files,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    play = {
        "hosts": "cpu-0",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": {"name": "login", "tasks_from": "configure"}}],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))

    def turned(on: bool) -> list[str]:
        given = yaml.safe_dump({**override, "login_user_keys": on})
        (tmp_path / "vars.yml").write_text(given)
        done = ansible(
            "ansible-playbook", "-i", tmp_path / "hosts.yml", "-e", f"@{tmp_path / 'vars.yml'}", tmp_path / "play.yml"
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return [
            str(path.relative_to(tmp_path)) for path in sorted(tmp_path.glob("etc/**/*")) if path.is_file()
        ]

    assert turned(on=False) == []
    assert turned(on=True) == ["etc/profile.d/login-user-keys.sh", "etc/ssh/ssh_config.d/login.conf"]
    assert (tmp_path / "etc/profile.d/login-user-keys.sh").read_text() == SCRIPT.read_text()
    config = tmp_path / "etc/ssh/ssh_config.d/login.conf"

    def learned(host: str) -> str:
        told = subprocess.run(["ssh", "-G", "-F", config, host], capture_output=True, text=True, check=True)
        (line,) = [line for line in told.stdout.splitlines() if line.startswith("stricthostkeychecking")]
        return line.split()[1]

    assert {host: learned(host) for host in ("cpu-0", "gpu-0", "gpu-0.example.org", "elsewhere")} == {
        "cpu-0": "accept-new",
        "gpu-0": "accept-new",
        "gpu-0.example.org": "accept-new",
        "elsewhere": "ask",
    }
    assert turned(on=False) == []
