"""The library's server behind the wire, with sessions of ours."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from asyncua import ua
from asyncua.crypto import uacrypto
from asyncua.server.internal_server import InternalServer

from twin.fieldbus.opcua.codes import fault
from twin.fieldbus.opcua.host_time import HostTime
from twin.fieldbus.opcua.limits import OpcUaLimits

if TYPE_CHECKING:
    from twin.fieldbus.opcua.session import Session

_CLOCK_PERIOD_S: Final = 1.0
# RSA 1.5 padding and SHA-1 signatures belong to policies that part 7 has withdrawn.
_DECRYPT: Final[dict[str, Any]] = {
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep": uacrypto.decrypt_rsa_oaep,
    "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256": uacrypto.decrypt_rsa_oaep_sha256,
}
_VERIFY: Final[dict[str, Any]] = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": uacrypto.verify_sha256,
    "http://opcfoundation.org/UA/security/rsa-pss-sha2-256": uacrypto.verify_pss_sha256,
}


class GuardedServer(InternalServer):
    """The library's server, with bounds, and a clock that tells the host's time."""

    def __init__(self, time: HostTime, limits: OpcUaLimits) -> None:
        super().__init__(user_manager=_Nobody())
        self._host_time = time
        self.allow_remote_admin = False
        self.max_session_timeout_ms = limits.session_timeout_s * 1000
        self.max_unacked_messages_per_subscription = limits.unacknowledged
        self.max_monitored_item_queue_size = limits.queue
        self.max_subscriptions = limits.subscriptions * limits.sessions
        self._parents: dict[ua.NodeId, ua.NodeId | None] = {}

    @property
    def sessions(self) -> Mapping[ua.NodeId, Session]:
        """The sessions of clients, by their authentication tokens."""
        sessions: Mapping[ua.NodeId, Session] = self._external_sessions
        return sessions

    @property
    def session_ids(self) -> set[ua.NodeId]:
        """The public names of the sessions of clients."""
        return {session.session_id for session in self.sessions.values()}

    def get_new_channel_id(self) -> int:
        """A number for a secure channel that nobody can guess."""
        return secrets.randbelow(2**32 - 1) + 1

    def is_subtype(self, kind: ua.NodeId, wanted: ua.NodeId) -> bool:
        """Whether a type is another one, or derives from it."""
        above: ua.NodeId | None = kind
        while above is not None and above != wanted:
            above = self._parent(above)
        return above is not None

    def _parent(self, kind: ua.NodeId) -> ua.NodeId | None:
        if kind not in self._parents:
            held = self.aspace.get(kind)
            subtype = ua.NodeId(ua.ObjectIds.HasSubtype)
            references = held.references if held is not None else ()
            found = (r.NodeId for r in references if r.ReferenceTypeId == subtype and not r.IsForward)
            self._parents[kind] = next(found, None)
        return self._parents[kind]

    async def stop(self) -> None:
        """Stop at once; the library would wait for its clock to strike."""
        clock: asyncio.Task[None] | None = self.time_task
        if clock is not None:
            clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await clock
        self.time_task: asyncio.Task[None] | None = None
        await super().stop()

    async def _set_current_time_loop(self) -> None:
        """Tell the host's time once per wall second, which clients take for a sign of life."""
        server_status = ua.NodeId(ua.ObjectIds.Server_ServerStatus)
        current = ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)
        while True:
            now = self._host_time.now()
            shown = self.aspace.read_attribute_value(server_status, ua.AttributeIds.Value).Value.Value
            shown.CurrentTime = now
            for node, value in ((server_status, ua.Variant(shown)), (current, ua.Variant(now))):
                await self.write_attribute_value(node, ua.DataValue(value, SourceTimestamp=now, ServerTimestamp=now))
            await asyncio.sleep(_CLOCK_PERIOD_S)

    def password(self, token: ua.UserNameIdentityToken, nonce: bytes, *, encrypted: bool) -> str:
        """The password in a user's token (part 4, clause 7.41.2.2).

        Args:
            token: As it came.
            nonce: What the server last gave the session; an encrypted password ends in it, so that none can be
                sent a second time (the library does not look).
            encrypted: Whether the channel keeps secrets; only then may a password come as it is.

        Raises:
            ServiceError: Bad_IdentityTokenInvalid, or Bad_IdentityTokenRejected where it came in the clear.
        """
        secret = token.Password or b""
        if not token.EncryptionAlgorithm:
            if not encrypted:
                raise fault("BadIdentityTokenRejected")
            return secret.decode("utf-8", "surrogateescape") if isinstance(secret, bytes) else str(secret)
        decrypt = _DECRYPT.get(token.EncryptionAlgorithm)
        if decrypt is None:
            raise fault("BadIdentityTokenInvalid")
        try:
            plain = decrypt(self.private_key, secret)
            (length,) = struct.unpack_from("<I", plain)
        except (ValueError, struct.error, TypeError) as failure:
            raise fault("BadIdentityTokenInvalid") from failure
        body = plain[4 : 4 + length]
        if len(body) != length or length < len(nonce) or body[length - len(nonce) :] != nonce:
            raise fault("BadIdentityTokenInvalid")
        decoded: str = body[: length - len(nonce)].decode("utf-8", "surrogateescape")
        return decoded

    def proven_certificate(
        self, token: ua.X509IdentityToken, signature: ua.SignatureData | None, challenge: bytes
    ) -> bytes:
        """The certificate in a user's token, whose key signed the challenge (part 4, clause 7.41.2.4).

        Raises:
            ServiceError: Bad_UserSignatureInvalid, or Bad_IdentityTokenInvalid.
        """
        verify = _VERIFY.get(signature.Algorithm) if signature is not None else None
        if verify is None or signature is None:
            raise fault("BadUserSignatureInvalid")
        try:
            verify(uacrypto.x509_from_der(token.CertificateData), challenge, signature.Signature)
        except uacrypto.InvalidSignature as failure:
            raise fault("BadUserSignatureInvalid") from failure
        except (ValueError, TypeError, AttributeError) as failure:
            raise fault("BadIdentityTokenInvalid") from failure
        der: bytes = token.CertificateData
        return der


class _Nobody:
    """In place of the library's manager of users, which lets everyone in; nothing here ever asks it."""

    def get_user(self, *_: object, **__: object) -> None:
        """Nobody."""
