"""Modbus/TCP Security (v21): mutual TLS, and the role that the client's certificate tells.

Both sides prove who they are, or there is no connection (clause 8.2). What a role may do is the policy's matter.
"""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Final

from cryptography import x509

from twin.fieldbus.certificates import CertificateFolder, CertificateUnusable, OwnCertificate, role_of, thumbprint
from twin.fieldbus.peer import Peer

PORT: Final = 802
"""The port of Modbus/TCP Security (mbap/s), registered with IANA."""


def server_context(own: OwnCertificate, folder: CertificateFolder) -> ssl.SSLContext:
    """How a server proves who it is, and whom it trusts.

    Args:
        own: The server's certificate and key.
        folder: Who is trusted (certificates of clients, and of authorities), and what was revoked.

    Raises:
        CertificateUnusable: A file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # a session taken up again would prove nothing anew
    return _mutual(context, own, folder)


def client_context(own: OwnCertificate, folder: CertificateFolder) -> ssl.SSLContext:
    """How a client proves who it is, and which servers it trusts; a server's certificate must name its host.

    Raises:
        CertificateUnusable: A file cannot be used.
    """
    return _mutual(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), own, folder)


def proven(peer: Peer, connection: ssl.SSLObject | None) -> Peer:
    """The peer, with what its certificate proved; as it was on a connection without TLS."""
    der = None if connection is None else connection.getpeercert(binary_form=True)
    if der is None:
        return peer
    return replace(peer, role=role_of(x509.load_der_x509_certificate(der)), certificate=thumbprint(der))


def _mutual(context: ssl.SSLContext, own: OwnCertificate, folder: CertificateFolder) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # clause 8.1
    context.verify_mode = ssl.CERT_REQUIRED
    # One who is trusted needs no authority: whoever signs itself, or was signed by somebody else, may be named alone.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_cert_chain(own.certificate, own.key)
    except (OSError, ssl.SSLError) as failure:
        raise CertificateUnusable(f"`{own.certificate}` and its key cannot be used: {failure}") from failure
    for path in _pem_files(folder.trusted) + _pem_files(folder.issuers):
        _load(context, path)
    revoked = _pem_files(folder.crl)
    for path in revoked:
        _load(context, path)
    if revoked:
        # From now on, one whose issuer has no list here is not trusted either.
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _load(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as failure:
        raise CertificateUnusable(f"`{path}` is no certificate and no revocation list: {failure}") from failure


def _pem_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pem"))
