"""Application certificates: our own, and whose we accept (part 4, clause 6.1.3; part 6, clause 6.2.2).

Everything stands in one folder, for its owner alone: `own/` with `private.pem` and `certificate.der`, `trusted/` and
`issuers/` (certificates, DER or PEM), `crl/` (revocation lists) and `rejected/`, where a stranger's certificate is
put so that a person can look at it and move it to `trusted/`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from secureos.kernel.refusals import StateUnavailable
from secureos.kernel.state import private_folder, renew

_KEY_BITS: Final = 2048
_VALID_FOR: Final = timedelta(days=2 * 365)
_RENEWED_BEFORE: Final = timedelta(days=30)
_MAX_FILE_BYTES: Final = 100_000
_MAX_REJECTED: Final = 50
_MAX_CHAIN: Final = 5

Extension = TypeVar("Extension", bound=x509.ExtensionType)


class CertificateRefused(Exception):
    """A client's certificate does not count here.

    Attributes:
        code: Name of the status code that says why, e.g. `BadCertificateUntrusted`.
    """

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


@dataclass(frozen=True)
class OwnCertificate:
    """Who a server is.

    Attributes:
        private_key: RSA.
        certificate: Self-signed, over that key.
        application_uri: As it stands in the certificate.
    """

    private_key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    application_uri: str

    def due(self, now: datetime) -> bool:
        """Whether it is time for a new certificate."""
        return now >= self.certificate.not_valid_after_utc - _RENEWED_BEFORE


def own_certificate(folder: Path, application_uri: str, now: datetime) -> OwnCertificate:
    """Our own certificate: what stands in `folder`, made at the first start and renewed 30 days before it ends.

    The private key stays the same; what cannot be read or names another application is made anew.

    Raises:
        StateUnavailable: The folder cannot be written to.
    """
    key_path, certificate_path = folder / "private.pem", folder / "certificate.der"
    key = _kept_key(key_path)
    if key is None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        renew(key_path, pem)
    kept = _kept_certificate(certificate_path)
    if kept is not None and kept.public_key() == key.public_key() and application_uri in _uris(kept):
        own = OwnCertificate(key, kept, application_uri)
        if not own.due(now):
            return own
    made = _self_signed(key, application_uri, now)
    renew(certificate_path, made.public_bytes(serialization.Encoding.DER))
    return OwnCertificate(key, made, application_uri)


def _kept_key(path: Path) -> rsa.RSAPrivateKey | None:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPrivateKey) else None


def _kept_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _self_signed(key: rsa.RSAPrivateKey, application_uri: str, now: datetime) -> x509.Certificate:
    host = socket.gethostname()
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "Holdfast"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Holdfast")]
    )
    names = [x509.DNSName(n) for n in dict.fromkeys((host, "localhost"))]
    subject = [x509.UniformResourceIdentifier(application_uri), *names]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of clients may be behind ours
        .not_valid_after(now + _VALID_FOR)
        .add_extension(
            x509.SubjectAlternativeName([*subject, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    )
    return builder.sign(key, hashes.SHA256())


# What part 6, clause 6.2.2 asks of an application's certificate.
_KEY_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=True,
    data_encipherment=True,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def thumbprint(der: bytes) -> str:
    """The SHA-256 of a certificate, in hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def split_chain(der: bytes) -> list[bytes]:
    """The certificates that stand behind one another in a sender's certificate, the sender's own first.

    Raises:
        CertificateRefused: It is not a row of DER structures.
    """
    parts: list[bytes] = []
    while der:
        length = _der_length(der)
        if length is None or length > len(der) or len(parts) == _MAX_CHAIN:
            raise CertificateRefused("BadCertificateInvalid", "the sender's certificate is no row of certificates")
        parts.append(der[:length])
        der = der[length:]
    return parts


def _der_length(der: bytes) -> int | None:
    if len(der) < 2 or der[0] != 0x30:
        return None
    first = der[1]
    if first < 0x80:
        return 2 + first
    size = first & 0x7F
    if not 1 <= size <= 3 or len(der) < 2 + size:
        return None
    return 2 + size + int.from_bytes(der[2 : 2 + size])


def _uris(certificate: x509.Certificate) -> list[str]:
    names = _alternative_names(certificate)
    return names.get_values_for_type(x509.UniformResourceIdentifier) if names else []


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None


@dataclass
class TrustList:
    """Whose certificates count; read from its folder at each use, so a change there takes effect at once.

    Attributes:
        folder: With `trusted/`, `issuers/`, `crl/` and `rejected/`.
        check_host: Whether a client's certificate must name the address that the client comes from. Off by default:
            clients behind a translator of addresses would be shut out.
        now: Wall-clock time, with its zone.
    """

    folder: Path
    check_host: bool = False
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def judge(self, der: bytes, chain: Sequence[bytes], address: str) -> x509.Certificate:
        """The certificate, if it counts.

        The steps and their codes are those of part 4, table 101. A certificate in `trusted/` counts as it is, one
        that was issued counts if an issuer up the chain is in `trusted/` and all of them are known up to the root.

        Raises:
            CertificateRefused: It does not.
        """
        certificate = self._parse(der)
        issuers = self._issuers(certificate, [self._parse(part) for part in chain])
        trusted = {c.fingerprint(hashes.SHA256()) for c in self._kept("trusted")}
        if not any(c.fingerprint(hashes.SHA256()) in trusted for c in (certificate, *issuers)):
            self._reject(der)
            raise CertificateRefused("BadCertificateUntrusted", "neither the certificate nor an issuer is trusted")
        if certificate.fingerprint(hashes.SHA256()) not in trusted and not _is_root(issuers[-1]):
            raise CertificateRefused("BadCertificateChainIncomplete", "the chain does not end at a root")
        self._check_times(certificate, issuers)
        self._check_use(certificate)
        if self.check_host:
            _check_host(certificate, address)
        self._check_revocation((certificate, *issuers))
        return certificate

    @staticmethod
    def check_application(certificate: x509.Certificate, application_uri: str | None) -> None:
        """Whether the certificate is that of the application which uses it.

        Raises:
            CertificateRefused: It names another, or none.
        """
        if application_uri not in _uris(certificate):
            raise CertificateRefused("BadCertificateUriInvalid", f"the certificate does not name `{application_uri}`")

    def _parse(self, der: bytes) -> x509.Certificate:
        try:
            certificate = x509.load_der_x509_certificate(der)
            key, digest = certificate.public_key(), certificate.signature_hash_algorithm
            certificate.extensions  # noqa: B018 -- parsed only when asked for
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as failure:
            raise CertificateRefused("BadCertificateInvalid", "it is no certificate") from failure
        if not isinstance(key, rsa.RSAPublicKey) or not 2048 <= key.key_size <= 4096:
            raise CertificateRefused("BadCertificatePolicyCheckFailed", "its key is not RSA of 2048 to 4096 bits")
        if digest is None or digest.digest_size < 32:
            raise CertificateRefused("BadCertificatePolicyCheckFailed", "its signature is weaker than SHA-256")
        return certificate

    def _issuers(self, certificate: x509.Certificate, sent: list[x509.Certificate]) -> list[x509.Certificate]:
        """The chain above a certificate as far as it is known, nearest first."""
        known = [*self._kept("trusted"), *self._kept("issuers"), *sent]
        chain: list[x509.Certificate] = []
        below = certificate
        while not _is_root(below) and len(chain) < _MAX_CHAIN:
            above = next((c for c in known if _issued(c, below)), None)
            if above is None:
                break
            chain.append(above)
            below = above
        return chain

    def _check_times(self, certificate: x509.Certificate, issuers: Sequence[x509.Certificate]) -> None:
        now = self.now()
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise CertificateRefused("BadCertificateTimeInvalid", "it is not valid at this time")
        if not all(c.not_valid_before_utc <= now <= c.not_valid_after_utc for c in issuers):
            raise CertificateRefused("BadCertificateIssuerTimeInvalid", "an issuer is not valid at this time")

    @staticmethod
    def _check_use(certificate: x509.Certificate) -> None:
        usage = _extension(certificate, x509.KeyUsage)
        further = _extension(certificate, x509.ExtendedKeyUsage)
        fits = usage is None or (usage.digital_signature and usage.key_encipherment)
        if not fits or (further is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in further):
            raise CertificateRefused("BadCertificateUseNotAllowed", "it is not meant for a client")

    def _check_revocation(self, chain: Sequence[x509.Certificate]) -> None:
        for below, above in pairwise(chain):
            for revoked in self._revocations(above):
                if revoked.get_revoked_certificate_by_serial_number(below.serial_number) is not None:
                    code = "BadCertificateRevoked" if below is chain[0] else "BadCertificateIssuerRevoked"
                    raise CertificateRefused(code, "it was revoked by its issuer")

    def _revocations(self, issuer: x509.Certificate) -> list[x509.CertificateRevocationList]:
        lists: list[x509.CertificateRevocationList] = []
        key = issuer.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            return lists
        for content in self._files("crl"):
            try:
                pem = content.startswith(b"-----BEGIN")
                revoked = x509.load_pem_x509_crl(content) if pem else x509.load_der_x509_crl(content)
                genuine = revoked.is_signature_valid(key)
            except (ValueError, TypeError, UnsupportedAlgorithm):
                continue
            if genuine and revoked.issuer == issuer.subject:
                lists.append(revoked)
        return lists

    def _kept(self, name: str) -> list[x509.Certificate]:
        certificates = []
        for content in self._files(name):
            try:
                pem = content.startswith(b"-----BEGIN")
                certificates.append(
                    x509.load_pem_x509_certificate(content) if pem else x509.load_der_x509_certificate(content)
                )
            except ValueError:
                continue  # a file that is no certificate trusts nobody
        return certificates

    def _files(self, name: str) -> list[bytes]:
        paths = sorted((self.folder / name).glob("*"))
        return [p.read_bytes() for p in paths if p.is_file() and p.stat().st_size <= _MAX_FILE_BYTES]

    def _reject(self, der: bytes) -> None:
        with suppress(OSError, StateUnavailable):  # a full disk is no reason to answer otherwise
            self._put_aside(der)

    def _put_aside(self, der: bytes) -> None:
        folder = private_folder_under(self.folder, "rejected")
        kept = sorted(folder.glob("*.der"), key=lambda path: path.stat().st_mtime_ns)
        path = folder / f"{thumbprint(der)[:40]}.der"
        if path.exists():
            return
        for old in kept[: max(0, len(kept) + 1 - _MAX_REJECTED)]:
            old.unlink(missing_ok=True)
        renew(path, der)


def private_folder_under(folder: Path, name: str) -> Path:
    """A folder in a folder of ours, made if need be, for its owner alone."""
    made = folder / name
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made


def certificates_folder() -> Path:
    """Where certificates stand in the state folder, with all that belongs there.

    Raises:
        StateUnavailable: It cannot be made.
    """
    folder = private_folder("opcua")
    for name in ("own", "trusted", "issuers", "crl", "rejected"):
        private_folder_under(folder, name)
    return folder


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def _issued(above: x509.Certificate, below: x509.Certificate) -> bool:
    constraints = _extension(above, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return False
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_host(certificate: x509.Certificate, address: str) -> None:
    names = _alternative_names(certificate)
    addresses = [str(a) for a in names.get_values_for_type(x509.IPAddress)] if names else []
    if address not in addresses:
        raise CertificateRefused("BadCertificateHostNameInvalid", f"the certificate does not name `{address}`")
