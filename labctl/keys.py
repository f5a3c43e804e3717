"""Keys, certificates and password hashes, made anew. Slow to import: `labctl.secrets` does it when one is missing."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from passlib.hash import sha512_crypt

from labctl.render.layout import Machine

_VALID = dt.timedelta(days=3650)


def ssh_pair(comment: str) -> tuple[str, str]:
    """An SSH key as OpenSSH writes it, and its public half as one line that ends with the comment."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{line.decode()} {comment}\n"


def password_hash(password: str) -> str:
    """A password as LDAP stores it."""
    return "{CRYPT}" + str(sha512_crypt.using(rounds=5000).hash(password))


def authority(lab: str) -> tuple[str, str]:
    """Key and certificate, both PEM, of a lab's own certificate authority."""
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


def certificate(ca_key: str, ca_certificate: str, machine: Machine) -> tuple[str, str]:
    """Key and certificate, both PEM, of a machine, signed by the authority."""
    signer = cast(
        ec.EllipticCurvePrivateKey, serialization.load_pem_private_key(ca_key.encode(), password=None)
    )
    issuer = x509.load_pem_x509_certificate(ca_certificate.encode()).subject
    key = ec.generate_private_key(ec.SECP256R1())
    name = machine.node.name
    names = x509.SubjectAlternativeName(
        [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(str(machine.address)))]
    )
    built = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), issuer, key, signer.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
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
