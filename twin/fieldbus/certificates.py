"""Certificates of this machine, and of whom it trusts: for Modbus/TCP Security and OPC UA alike.

A folder holds `own/` (keys and certificates of ours), `trusted/`, `issuers/`, `rejected/` and `crl/`, all of them PEM
(RFC 7468). A key is made at its first use, for its owner alone; a certificate is made anew before it ends, over the
same key, so that whoever trusts the key goes on trusting.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from secureos.kernel.state import keep, private_folder, renew

ROLE_OID: Final = x509.ObjectIdentifier("1.3.6.1.4.1.50316.802.1")
"""Where a certificate tells its holder's role (Modbus/TCP Security v21, clause 8.4), as an ASN.1 UTF8String."""

DAYS: Final = 365
AUTHORITY_DAYS: Final = 3650
RENEW_DAYS: Final = 30

_KEY_BITS: Final = 2048  # the least that every security policy of OPC UA takes (part 7, 2048 to 4096)
_UTF8_STRING: Final = 0x0C
_SKEW: Final = timedelta(hours=1)  # a clock somewhat behind ours must not find a new certificate not valid yet


class CertificateUnusable(Exception):
    """A certificate or key cannot be read or does not fit; the message says what to do."""


@dataclass(frozen=True)
class Subject:
    """What a certificate says of its holder.

    Attributes:
        name: Common name.
        hosts: Names and IP addresses by which it is reached.
        uri: Application URI (OPC UA part 6, clause 6.2.2); empty for none.
        role: Role (Modbus/TCP Security, clause 8.4); empty for none.
    """

    name: str
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    uri: str = ""
    role: str = ""


@dataclass(frozen=True)
class OwnCertificate:
    """Where a certificate of ours and its key stand."""

    certificate: Path
    key: Path


class CertificateFolder:
    """The certificates of one purpose, e.g. `pki` of the state folder.

    Args:
        folder: Where they stand; left out, `pki` in the state folder. Made if need be.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = private_folder("pki") if folder is None else folder
        self.own_folder, self.trusted, self.issuers, self.rejected, self.crl = (
            self.folder / name for name in ("own", "trusted", "issuers", "rejected", "crl")
        )
        for each in (self.own_folder, self.trusted, self.issuers, self.rejected, self.crl):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def own(
        self, file: str, subject: Subject, *, now: datetime, issued: bool = False, days: int = DAYS
    ) -> OwnCertificate:
        """A certificate of ours for server and client, made at its first use and again before it ends.

        Args:
            file: What its files are called, without suffix.
            subject: What it says; one that says something else is made anew.
            now: The time, with its zone.
            issued: Whether our own authority signs it; else it signs itself.
            days: How long it counts.

        Raises:
            CertificateUnusable: A key is there that cannot be read.
            StateUnavailable: It cannot be written.
        """
        path = OwnCertificate(self.own_folder / f"{file}.pem", self.own_folder / f"{file}-key.pem")
        key = self._key(path.key)
        issuer = self._authority(now) if issued else None
        issuer_certificate = issuer[0] if issuer else None
        old = read_certificate(path.certificate) if path.certificate.exists() else None
        if old is None or not _still_good(old, subject, key, issuer_certificate, now):
            _store(path.certificate, _sign(subject, key, issuer, now, days))
        return path

    def authority(self, *, now: datetime) -> Path:
        """The certificate of our own authority; whoever trusts it trusts all that it signed."""
        self._authority(now)
        return self.own_folder / "authority.pem"

    def trust(self, certificate: Path | x509.Certificate) -> Path:
        """Take a certificate among the trusted; it is called by its thumbprint."""
        taken = read_certificate(certificate) if isinstance(certificate, Path) else certificate
        path = self.trusted / f"{thumbprint(taken)}.pem"
        _store(path, taken)
        return path

    def _key(self, path: Path) -> rsa.RSAPrivateKey:
        if not path.exists():
            made = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
            no_cipher = serialization.NoEncryption()
            pem = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_cipher)
            keep(path, pem)
        try:
            path.chmod(0o600)
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as failure:
            raise CertificateUnusable(f"`{path}` holds no private key: {failure}; remove it to have one made") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise CertificateUnusable(f"`{path}` holds a key that is not RSA; remove it to have one made")
        return key

    def _authority(self, now: datetime) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
        key, path = self._key(self.own_folder / "authority-key.pem"), self.own_folder / "authority.pem"
        old = read_certificate(path) if path.exists() else None
        if old is None or _ends_soon(old, now):
            old = _sign_authority(key, now)
            _store(path, old)
        return old, key


def read_certificate(path: Path) -> x509.Certificate:
    """The certificate in a PEM or DER file.

    Raises:
        CertificateUnusable: There is none.
    """
    try:
        content = path.read_bytes()
        is_pem = content.lstrip().startswith(b"-----")
        return x509.load_pem_x509_certificate(content) if is_pem else x509.load_der_x509_certificate(content)
    except (OSError, ValueError) as failure:
        raise CertificateUnusable(f"`{path}` holds no certificate: {failure}; give a PEM or DER file") from None


def thumbprint(certificate: x509.Certificate | bytes) -> str:
    """SHA-256 of a certificate (DER where it is bytes), in hexadecimal."""
    der = certificate if isinstance(certificate, bytes) else certificate.public_bytes(serialization.Encoding.DER)
    return hashlib.sha256(der).hexdigest()


def role_of(certificate: x509.Certificate) -> str:
    """The role that a certificate tells; empty where it tells none, or none that can be read."""
    try:
        extension = certificate.extensions.get_extension_for_oid(ROLE_OID).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ""
    told = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""
    if len(told) < 2 or told[0] != _UTF8_STRING or told[1] != len(told) - 2 or told[1] > 0x7F:
        return ""
    return told[2:].decode("utf-8", "ignore")


def _sign(
    subject: Subject,
    key: rsa.RSAPrivateKey,
    issuer: tuple[x509.Certificate, rsa.RSAPrivateKey] | None,
    now: datetime,
    days: int,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject.name)])
    issuer_name, signing = (issuer[0].subject, issuer[1]) if issuer else (name, key)
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _draft(name, issuer_name, key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=issuer is None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(subject)), critical=False)
    )
    if subject.role:
        role = subject.role.encode()
        if len(role) > 0x7F:
            raise CertificateUnusable(f"the role `{subject.role[:20]}…` is longer than 127 bytes; choose a shorter one")
        told = bytes([_UTF8_STRING, len(role)]) + role
        builder = builder.add_extension(x509.UnrecognizedExtension(ROLE_OID, told), critical=False)
    return builder.sign(signing, hashes.SHA256())


def _sign_authority(key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Holdfast authority")])
    return (
        _draft(name, name, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _draft(
    name: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What every security policy of OPC UA asks for (part 6, table 43), and what TLS needs."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _names(subject: Subject) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(subject.uri)] if subject.uri else []
    for host in subject.hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _still_good(
    old: x509.Certificate,
    subject: Subject,
    key: rsa.RSAPrivateKey,
    issuer: x509.Certificate | None,
    now: datetime,
) -> bool:
    try:
        told = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        old.verify_directly_issued_by(issuer or old)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    named = [each.value for each in old.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return (
        not _ends_soon(old, now)
        and old.public_key() == key.public_key()
        and list(told) == _names(subject)
        and named == [subject.name]
        and role_of(old) == subject.role
    )


def _ends_soon(certificate: x509.Certificate, now: datetime) -> bool:
    whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - now < min(timedelta(days=RENEW_DAYS), whole / 2)


def _store(path: Path, certificate: x509.Certificate) -> None:
    renew(path, certificate.public_bytes(serialization.Encoding.PEM))
