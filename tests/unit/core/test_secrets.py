"""Secrets: generated for one lab, readable for nobody else at any moment, and kept when the lab grows."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
import stat
import subprocess
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store
from passlib.hash import sha512_crypt
from ruamel.yaml import YAML

from labctl.definition.models import Node
from labctl.errors import LabError
from labctl.render.layout import Machine, Secrets
from labctl.rotation import Kind
from labctl.secrets import Renewal, keep, load_or_generate, renewed, ssh_key, write_private


def machine(name: str, *roles: str, address: str = "10.20.30.10") -> Machine:
    return Machine(Node(name, roles), f"labctl_full_{name}", "52:54:00:00:00:01", IPv4Address(address))


MACHINES = (machine("ldap-0", "ldap_server"), machine("cpu-0", "slurmd", address="10.20.30.11"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.yml"


def generate(path: Path, *, lab: str = "full", users: tuple[str, ...] = ("ann",), **changes: Any) -> Secrets:
    return load_or_generate(path, lab, changes.get("machines", MACHINES), users)


def certificate(made: Secrets, node: str = "ldap-0") -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.certificates[node].encode())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_clients_can_verify_the_server_by_the_labs_own_authority(path: Path) -> None:
    made = generate(path)
    authority = x509.load_pem_x509_certificate(made.ca_certificate.encode())
    policy = PolicyBuilder().store(Store([authority]))
    for name in (x509.DNSName("ldap-0"), x509.IPAddress(ipaddress.ip_address("10.20.30.10"))):
        policy.build_server_verifier(name).verify(certificate(made), [])
    certificate(made).verify_directly_issued_by(authority)


def test_openssl_agrees(path: Path, tmp_path: Path) -> None:
    made = generate(path)
    (tmp_path / "ca").write_text(made.ca_certificate)
    (tmp_path / "certificate").write_text(made.certificates["ldap-0"])
    words = ["openssl", "verify", "-x509_strict", "-CAfile", "ca", "-verify_hostname", "ldap-0"]
    words += ["-purpose", "sslserver", "certificate"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "certificate: OK", done.stderr


def test_a_certificate_is_for_a_server_and_the_key_beside_it_is_its_own(path: Path) -> None:
    made = generate(path)
    usage = certificate(made).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificate(made).extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    key = serialization.load_pem_private_key(made.private_keys["ldap-0"].encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate(made).public_key()


def test_a_certificate_holds_for_a_clock_that_is_behind_and_for_years(path: Path) -> None:
    made, now = generate(path), dt.datetime.now(dt.UTC)
    assert certificate(made).not_valid_before_utc < now - dt.timedelta(hours=12)
    assert certificate(made).not_valid_after_utc > now + dt.timedelta(days=3000)


def test_only_who_serves_ldap_has_a_certificate(path: Path) -> None:
    made = generate(path)
    assert set(made.certificates) == set(made.private_keys) == {"ldap-0"}


def test_the_key_of_the_authority_goes_to_no_machine(path: Path) -> None:
    made = generate(path)
    hidden = YAML(typ="safe").load(path)["ca_key"]
    assert "PRIVATE KEY" in hidden
    assert hidden not in [*vars(made).values(), *made.private_keys.values()]


def test_two_labs_share_nothing(tmp_path: Path) -> None:
    one, two = generate(tmp_path / "one.yml"), generate(tmp_path / "two.yml")
    for secret in ("munge_key", "ca_certificate", "certificates", "private_keys", "passwords"):
        assert getattr(one, secret) != getattr(two, secret)


def test_a_munge_key_has_the_length_that_mungekey_gives_it(path: Path) -> None:
    assert len(base64.b64decode(generate(path).munge_key)) == 128


def test_the_hash_verifies_the_password_and_no_other(path: Path) -> None:
    made = generate(path)
    scheme, _, digest = made.password_hashes["ann"].partition("}")
    assert scheme == "{CRYPT"
    assert digest.startswith("$6$")
    assert sha512_crypt.verify(made.passwords["ann"], digest)
    assert not sha512_crypt.verify("secret", digest)
    assert len(made.passwords["ann"]) >= 20


def test_passwords_differ_from_user_to_user(path: Path) -> None:
    made = generate(path, users=("ann", "bob"))
    assert made.passwords["ann"] != made.passwords["bob"]


def test_a_second_time_nothing_is_new_and_nothing_is_written(path: Path) -> None:
    first = generate(path)
    before = path.stat()
    assert generate(path) == first
    assert path.stat().st_ino == before.st_ino


def test_a_user_or_a_server_that_comes_later_leaves_the_others_theirs(path: Path) -> None:
    first = generate(path)
    later = (*MACHINES, machine("ldap-1", "ldap_server", address="10.20.30.12"))
    second = generate(path, users=("ann", "bob"), machines=later)
    assert second.passwords["ann"] == first.passwords["ann"]
    assert second.password_hashes["ann"] == first.password_hashes["ann"]
    assert set(second.passwords) == {"ann", "bob"}
    assert second.munge_key == first.munge_key
    assert second.certificates["ldap-0"] == first.certificates["ldap-0"]
    certificate(second, "ldap-1").verify_directly_issued_by(
        x509.load_pem_x509_certificate(first.ca_certificate.encode())
    )
    assert generate(path, users=("ann", "bob"), machines=later) == second


@pytest.mark.parametrize(
    "text", ["", "passwords: [", "- a list\n", "\x00"], ids=["empty", "broken", "a list", "binary"]
)
def test_a_damaged_file_is_not_overwritten(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(LabError, match="the lab's secrets cannot be read") as failed:
        generate(path)
    assert str(path) in failed.value.what
    assert failed.value.hint
    assert path.read_text() == text


def test_the_file_is_for_its_owner_alone_whatever_the_umask_is(path: Path) -> None:
    before = os.umask(0)
    try:
        generate(path)
    finally:
        os.umask(before)
    assert mode(path) == 0o600


def test_a_private_file_is_private_at_any_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = os.open

    def watch(name: str, flags: int, *rest: int) -> int:
        number = real(name, flags, *rest)
        seen.append(stat.S_IMODE(os.fstat(number).st_mode))  # before a single byte is in it
        return number

    path.write_text("old")
    path.chmod(0o644)
    monkeypatch.setattr(os, "open", watch)
    before = os.umask(0)
    try:
        write_private(path, "new")
    finally:
        os.umask(before)
    assert seen == [0o600]
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_what_was_left_half_written_is_not_taken_over(path: Path) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text("half")
    draft.chmod(0o666)
    write_private(path, "whole")
    assert (path.read_text(), mode(path)) == ("whole", 0o600)


def test_a_private_file_is_whole_or_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_private(path, "new")
    assert path.read_text() == "old"


def test_the_ssh_key_is_made_once_and_is_a_pair(tmp_path: Path) -> None:
    line = ssh_key(tmp_path / "id", "labctl-full")
    assert line == ssh_key(tmp_path / "id", "labctl-full")
    kind, _, comment = line.split()
    assert (kind, comment) == ("ssh-ed25519", "labctl-full")
    assert mode(tmp_path / "id") == 0o600
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", "id"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert derived.stdout.split()[:2] == line.split()[:2]


def test_a_lost_half_makes_a_new_pair(tmp_path: Path) -> None:
    line = ssh_key(tmp_path / "id", "a")
    (tmp_path / "id.pub").unlink()
    assert ssh_key(tmp_path / "id", "a") != line


def test_no_secret_is_shown_by_accident(path: Path) -> None:
    made = generate(path)
    for secret in (made.munge_key, made.passwords["ann"], made.private_keys["ldap-0"]):
        assert secret not in repr(made)


def test_a_database_has_a_password_only_where_there_is_accounting(path: Path) -> None:
    assert generate(path).storage_password == ""
    before = path.read_text()
    made = generate(path, machines=(*MACHINES, machine("dbd-0", "slurmdbd")))
    assert len(made.storage_password) >= 32
    assert made.munge_key in before
    assert generate(path).storage_password == made.storage_password
    assert mode(path) == 0o600


def test_tokens_have_a_key_and_the_rest_daemon_a_certificate_only_where_there_is_one(path: Path) -> None:
    assert generate(path).jwt_key == ""
    made = generate(path, machines=(*MACHINES, machine("ctl-0", "slurmctld", "slurmrestd")))
    assert len(base64.b64decode(made.jwt_key)) == 32
    assert set(made.certificates) == {"ldap-0", "ctl-0"}


REST = (*MACHINES, machine("ctl-0", "slurmctld", "slurmrestd"))
#: What of a lab's secrets is of each kind.
FIELDS: dict[Kind, set[str]] = {
    "munge": {"munge_key"},
    "jwt": {"jwt_key"},
    "tls": {"certificates", "private_keys"},
    "ldap": {"passwords", "password_hashes"},
}


def renew(path: Path, kind: Kind, *, authority: bool = False) -> Renewal:
    return renewed(path, "full", REST, ("ann", "bob"), kind, authority=authority)


@pytest.mark.parametrize("kind", FIELDS)
def test_new_ones_of_a_kind_leave_all_others_as_they_are(path: Path, kind: Kind) -> None:
    first = generate(path, machines=REST, users=("ann", "bob"))
    made = renew(path, kind)
    assert made.before == first
    changed = {name for name, value in vars(made.after).items() if value != vars(first)[name]}
    assert changed == FIELDS[kind]


@pytest.mark.parametrize("kind", FIELDS)
def test_new_ones_are_written_only_when_they_are_kept_and_the_old_ones_are_gone_then(
    path: Path, kind: Kind
) -> None:
    first = generate(path, machines=REST, users=("ann", "bob"))
    before = path.read_text()
    made = renew(path, kind)
    assert path.read_text() == before
    keep(path, made)
    assert generate(path, machines=REST, users=("ann", "bob")) == made.after
    assert mode(path) == 0o600
    for name in FIELDS[kind]:
        old = vars(first)[name]
        for text in old.values() if isinstance(old, dict) else [old]:
            assert text.splitlines()[-2 if "-----" in text else 0] not in path.read_text()


def test_new_certificates_are_of_the_same_authority_unless_that_is_new_as_well(path: Path) -> None:
    first = generate(path, machines=REST, users=("ann", "bob"))
    known = x509.load_pem_x509_certificate(first.ca_certificate.encode())
    certificate(renew(path, "tls").after).verify_directly_issued_by(known)
    made = renew(path, "tls", authority=True)
    other = x509.load_pem_x509_certificate(made.after.ca_certificate.encode())
    for node in ("ldap-0", "ctl-0"):
        certificate(made.after, node).verify_directly_issued_by(other)
    with pytest.raises(InvalidSignature):
        certificate(made.after).verify_directly_issued_by(known)
    assert made.after.munge_key == first.munge_key


def test_new_secrets_are_shown_by_no_accident(path: Path) -> None:
    generate(path, machines=REST, users=("ann", "bob"))
    made = renew(path, "munge")
    assert made.after.munge_key not in repr(made)
    assert made.before.munge_key not in repr(made)
