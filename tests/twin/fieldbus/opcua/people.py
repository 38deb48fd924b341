"""Keys and certificates for tests: good ones, and ones with something wrong."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Person:
    name: str
    uri: str
    key: Path
    certificate: Path
    der: bytes

    @property
    def thumbprint(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @property
    def x509(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)

    @property
    def private_key(self) -> rsa.RSAPrivateKey:
        return serialization.load_pem_private_key(self.key.read_bytes(), None)


def person(
    folder: Path,
    name: str,
    *,
    issuer: Person | None = None,
    authority: bool = False,
    days: tuple[int, int] = (-1, 365),
    client: bool = True,
    bits: int = 2048,
    address: str = "127.0.0.1",
    uri: str | None = None,
) -> Person:
    """A key and a certificate over it, self-signed unless somebody issues it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    uri = uri or f"urn:test:{name}"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.CODE_SIGNING
    names = [x509.UniformResourceIdentifier(uri), x509.IPAddress(ipaddress.ip_address(address))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.x509.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=True,
                key_encipherment=True,
                data_encipherment=True,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .sign(issuer.private_key if issuer else key, hashes.SHA256())
    )
    der = made.public_bytes(serialization.Encoding.DER)
    key_path, certificate_path = folder / f"{name}.pem", folder / f"{name}.der"
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate_path.write_bytes(der)
    return Person(name, uri, key_path, certificate_path, der)


def revocation_list(issuer: Person, *revoked: Person) -> bytes:
    """What an issuer takes back."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.x509.subject)
        .last_update(now - timedelta(days=1))
        .next_update(now + timedelta(days=30))
    )
    for who in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(who.x509.serial_number).revocation_date(now).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.private_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
