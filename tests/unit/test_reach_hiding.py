"""Keys, passwords and tokens are blanked wherever they stand; what is none stays to be read."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from render_layouts import a_layout

from labctl import secrets
from labctl.files import LabFiles
from labctl.reach.hiding import hide, secrets_of


@pytest.mark.parametrize(
    "text",
    [
        "ldap_default_authtok = {}",
        "StorageUser=slurm StoragePass={} StorageHost=db",
        "verify_password: {}",
        'munge_key: "{}"',
        '{{"user": "ann", "api_key": "{}"}}',
        "  - {{name: ann, password: {}, uid: 3}}",
        "JobCompPass={}",
        "mysql://slurm:{}@db/acct",
        "server:/x /mnt cifs user=ann,passwd={},ro 0 0",
        "sudo: root : COMMAND=/usr/bin/thing --password {} -v",
        "Jan 31 node app[1]: token={} accepted",
        "Authorization: eyJ{0}.eyJ{0}.{0}",
        "MUNGE:{0}{0}==:",
        "userPassword:: {{SSHA}}{}",
        "ann:$6$salt{0}$hash{0}:19000:0:::",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----",
        "    -----BEGIN PRIVATE KEY-----\n    {}\n(the log ends here)",
    ],
)
def test_what_has_the_name_or_the_form_of_a_secret_is_blanked(text: str) -> None:
    word = "Hunter2hunter2"
    hidden = hide(text.format(word).encode(), ())
    assert word.encode() not in hidden
    assert b"[left out]" in hidden


@pytest.mark.parametrize(
    "text",
    [
        "passwd:         files sss",
        "cache_credentials = true",
        "memcache_size_passwd = 1",
        "ldap_client_ssh_keys: true\nverify_ssh_key: /srv/labs/.labctl/full/id_ed25519",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPZQ5txP88CAhrpTDsuCABQTNkyTH3Kiuo4GhWBkcWos labctl-full",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "slurmctld: _job_complete: JobId=4_2(4) WEXITSTATUS 0",
        "sshd: Accepted publickey for root from 10.0.0.1: ED25519 SHA256:aYo2rLgz8vyW9766B3blM5rj8nxEkV7M",
        "SlurmctldParameters=enable_configless\nAuthType=auth/munge",
        "ldap://ldap-0:389/ nucci@example.org",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide(text.encode(), ()) == text.encode()


def test_the_rest_of_what_held_a_secret_stays() -> None:
    assert hide(b"a: 1\npassword: x y z\nb: 2\n", ()) == b"a: 1\npassword: [left out]\nb: 2\n"
    assert hide(b"User=a StoragePass=x Host=b", ()) == b"User=a StoragePass=[left out] Host=b"


def test_hiding_twice_is_hiding_once() -> None:
    text = b'password: x\nStoragePass=y z\n{"secret": "z"}\n--token abc\n'
    once = hide(text, ())
    assert hide(once, ()) == once


@pytest.fixture
def files(tmp_path: Path) -> LabFiles:
    """Those of a lab that was rendered, secrets and all."""
    made = LabFiles(tmp_path / "lab")
    made.make()
    secrets.ssh_key(made.key, "lab")
    made.render(a_layout(directory=made.directory))
    return made


def body(pem: str) -> list[str]:
    return [line for line in pem.splitlines() if "-----" not in line and len(line) > 8]


def test_the_labs_own_secrets_are_hidden_whatever_they_stand_in(files: LabFiles) -> None:
    known = secrets_of(files)
    generated = secrets.load_or_generate(files.secrets, "full", (), ())
    words = [
        generated.munge_key.encode(),
        base64.b64decode(generated.munge_key),
        *(word.encode() for word in generated.passwords.values()),
        *(word.encode() for word in generated.password_hashes.values()),
        *(line.encode() for pem in generated.private_keys.values() for line in body(pem)),
        *(line.encode() for line in body(files.key.read_text())),
    ]
    assert len(words) >= 10
    for word in words:
        assert hide(b"in a log <" + word + b"> of a node", known) == b"in a log <[left out]> of a node"


def test_certificates_and_public_keys_are_none(files: LabFiles) -> None:
    generated = secrets.load_or_generate(files.secrets, "full", (), ())
    public = generated.ca_certificate + (files.directory / "id_ed25519.pub").read_text()
    assert hide(public.encode(), secrets_of(files)) == public.encode()


def test_secrets_that_the_definition_sets_are_known_as_well(files: LabFiles) -> None:
    files.definition.write_text(
        "name: full\nvars:\n  ldap_client_sssd:\n    domain/default: {ldap_default_authtok: open-sesame}\n"
        "  lab_password_hashes: {ann: abcdefgh}\n  app_secret: |\n    two-lines\n    of-it-all\n  motd: welcome\n"
    )
    said = hide(b"open-sesame abcdefgh two-lines of-it-all welcome", secrets_of(files))
    assert said == b"[left out] [left out] [left out] [left out] welcome"


def test_files_that_cannot_be_read_keep_nobody_from_a_report(tmp_path: Path) -> None:
    files = LabFiles(tmp_path)
    files.secrets.write_text("{ not: yaml")
    assert secrets_of(files) == ()
