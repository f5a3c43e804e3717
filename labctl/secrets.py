"""The secrets of a lab: generated for it alone, kept in one file that only its owner can read."""

from __future__ import annotations

import base64
import datetime as dt
import io
import ipaddress
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from passlib.hash import sha512_crypt
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from labctl.errors import LabError
from labctl.render.layout import Machine, Secrets

_VALID = dt.timedelta(days=3650)
_MUNGE_KEY_BYTES = 128  # mungekey(8) makes 1024 bits by default


def load_or_generate(path: Path, lab: str, machines: Sequence[Machine], users: Sequence[str]) -> Secrets:
    """The lab's secrets: what the file has, and new ones for nodes and users that came since.

    Args:
        path: the lab's ``secrets.yml``; written with mode 0600 if anything was added.
        lab: the lab's name; it is in the name of its certificate authority.
        machines: each one gets a TLS certificate and key if it serves LDAP.
        users: each one gets a password.

    Raises:
        LabError: the file cannot be read.
    """
    stored = _load(path)
    known = dict(stored)
    if "ca_key" not in stored:
        stored["ca_key"], stored["ca_certificate"] = _authority(lab)
        stored["certificates"], stored["private_keys"] = {}, {}
    stored.setdefault("munge_key", base64.b64encode(os.urandom(_MUNGE_KEY_BYTES)).decode())
    for machine in machines:
        if "ldap_server" in machine.node.roles and machine.node.name not in stored["certificates"]:
            key, certificate = _certificate(stored["ca_key"], stored["ca_certificate"], machine)
            stored["private_keys"] = {**stored["private_keys"], machine.node.name: key}
            stored["certificates"] = {**stored["certificates"], machine.node.name: certificate}
    passwords, password_hashes = dict(stored.get("passwords", {})), dict(stored.get("password_hashes", {}))
    for user in users:
        if user not in passwords:
            passwords[user] = secrets.token_urlsafe(18)
            password_hashes[user] = "{CRYPT}" + sha512_crypt.using(rounds=5000).hash(passwords[user])
    stored["passwords"], stored["password_hashes"] = passwords, password_hashes
    if stored != known:
        _save(path, stored)
    return Secrets(**{key: value for key, value in stored.items() if key != "ca_key"})


def ssh_key(path: Path, comment: str) -> str:
    """The public half of the lab's SSH key, as one OpenSSH line; the pair is made if it is not there.

    Args:
        path: of the private half, mode 0600; the public half is beside it with ``.pub``.
        comment: ends the public line.
    """
    public = path.with_name(path.name + ".pub")
    if not (path.is_file() and public.is_file()):
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        write_private(path, private.decode())
        line = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        public.write_text(f"{line.decode()} {comment}\n")
    return public.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Writes a file that nobody but its owner can read at any moment; it is whole or it is not there."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(draft, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(text)
    draft.replace(path)


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return dict(YAML(typ="safe", pure=True).load(path))
    except (OSError, ValueError, TypeError, YAMLError) as error:
        raise LabError(
            f"the lab's secrets cannot be read from {path}",
            why=str(error),
            hint="destroy the lab, or put the file back as it was: the machines know these secrets",
        ) from error


def _save(path: Path, stored: dict[str, Any]) -> None:
    text = io.StringIO()
    yaml = YAML()
    yaml.dump(stored, text)
    write_private(path, "# Secrets of this lab. Nothing else may read them.\n" + text.getvalue())


def _authority(lab: str) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA of the lab {lab}")])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    built = (
        _builder(name, name, key, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(key), built.public_bytes(serialization.Encoding.PEM).decode()


def _certificate(ca_key: str, ca_certificate: str, machine: Machine) -> tuple[str, str]:
    authority = cast(
        ec.EllipticCurvePrivateKey, serialization.load_pem_private_key(ca_key.encode(), password=None)
    )
    issuer = x509.load_pem_x509_certificate(ca_certificate.encode()).subject
    key = ec.generate_private_key(ec.SECP256R1())
    name = machine.node.name
    names = x509.SubjectAlternativeName(
        [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(str(machine.address)))]
    )
    built = (
        _builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), issuer, key, authority.public_key()
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    return _pem(key), built.public_bytes(serialization.Encoding.PEM).decode()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    authority: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    # A day of slack: the clocks of machines just restored from a snapshot may be behind.
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALID)
        # RFC 5280 asks for both, and Python from 3.13 on trusts no certificate without them.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
