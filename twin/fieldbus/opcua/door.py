"""Who comes in: over which channels, with which certificate, as which user, and how many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from asyncua import ua
from asyncua.crypto.security_policies import SECURITY_POLICY_TYPE_MAP, SecurityPolicyFactory
from cryptography import x509

from twin.fieldbus.opcua.access import AccessRules, Gatekeeper, Identity
from twin.fieldbus.opcua.certificates import (
    CertificateRefused,
    OwnCertificate,
    TrustList,
    split_chain,
    thumbprint,
)
from twin.fieldbus.opcua.codes import fault
from twin.fieldbus.opcua.internal import GuardedServer
from twin.fieldbus.opcua.limits import Headcount
from twin.fieldbus.opcua.served import Served
from twin.fieldbus.opcua.session import Session
from twin.fieldbus.peer import Peer

if TYPE_CHECKING:
    from twin.fieldbus.opcua.processor import Processor

_LONGEST_NAME: Final = 256
_SECURED: Final = (
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Basic256Sha256_Sign,
)
_SHORTEST_TIMEOUT_MS: Final = 5_000.0


def offered(rules: AccessRules) -> list[ua.SecurityPolicyType]:
    """The security policies and modes of a server: always the secured ones, and none if the rules allow it."""
    return [*_SECURED, *([ua.SecurityPolicyType.NoSecurity] if rules.unsecured else [])]


class _ChainFactory(SecurityPolicyFactory):
    """Makes a channel's policy from the sender's own certificate, whatever chain stands behind it."""

    def create(self, peer_certificate: bytes | None) -> Any:  # noqa: ANN401
        secured = self.mode != ua.MessageSecurityMode.None_
        if secured and not peer_certificate:
            raise CertificateRefused("BadCertificateInvalid", "a secured channel takes a certificate")
        sent = split_chain(peer_certificate or b"") if secured else []
        policy = super().create(sent[0] if sent else None)
        policy.sender_chain = sent[1:]
        return policy


class Door:
    """Decides who comes in.

    Attributes:
        policies: The security policies that channels may have.
        rules: Which identity has which role.
        served: What there is to be seen inside.
    """

    def __init__(self, server: GuardedServer, served: Served, gatekeeper: Gatekeeper, trust: TrustList) -> None:
        self._server, self._gatekeeper, self._trust = server, gatekeeper, trust
        self.served, self.rules = served, gatekeeper.rules
        self.policies: list[SecurityPolicyFactory] = []
        limits = served.limits
        self._sessions = Headcount(limits.sessions, limits.sessions_per_address)
        self._numbers = 0

    def use(self, own: OwnCertificate) -> None:
        """Let channels be opened under this certificate from now on; those that are open stay as they are."""
        self._server.certificate, self._server.private_key = own.certificate, own.private_key
        self.policies[:] = []
        for kind in offered(self.rules):
            policy, mode, _level = SECURITY_POLICY_TYPE_MAP[kind]
            self.policies.append(_ChainFactory(policy, mode, own.certificate, own.private_key))

    @property
    def tokens(self) -> list[Any]:
        """The kinds of identity tokens that are offered."""
        rules = self.rules
        anonymous = rules.anonymous_role is not None or bool(rules.certificate_roles)
        further = [ua.X509IdentityToken] if rules.certificate_roles else []
        return [ua.UserNameIdentityToken, *further, *([ua.AnonymousIdentityToken] if anonymous else [])]

    def judge_channel(self, policy: Any, address: str) -> None:  # noqa: ANN401
        """Whether the certificate that a channel is opened with counts.

        Raises:
            CertificateRefused: It does not.
        """
        self._trust.judge(policy.peer_certificate, policy.sender_chain, address)

    def check_channel(self, policy: Any) -> None:  # noqa: ANN401
        """Whether sessions may be held over a channel of this policy.

        Raises:
            ServiceError: Bad_SecurityPolicyRejected; such channels are good for discovery alone.
        """
        if not any(allowed.matches(policy.URI, policy.Mode) for allowed in self.policies):
            raise fault("BadSecurityPolicyRejected")

    def check_application(self, policy: Any, params: ua.CreateSessionParameters) -> None:  # noqa: ANN401
        """Whether a session is asked for by the application that opened the channel.

        Raises:
            ServiceError: The certificate or the name of the application is another.
        """
        try:
            sent = split_chain(params.ClientCertificate or b"")
            if not sent or sent[0] != policy.peer_certificate:
                raise CertificateRefused("BadCertificateInvalid", "it is not the certificate of the channel")
            certificate = x509.load_der_x509_certificate(sent[0])
            described = params.ClientDescription
            self._trust.check_application(certificate, described.ApplicationUri if described else None)
        except CertificateRefused as refused:
            raise fault(refused.code) from refused

    def new_session(self, channel: Processor, address: str, port: int) -> Session:
        """A session that is not activated yet.

        Raises:
            ServiceError: Bad_TooManySessions.
        """
        if not self._sessions.join(address):
            raise fault("BadTooManySessions")
        self._numbers += 1
        certificate = channel.certificate
        print_of = thumbprint(certificate) if certificate else ""
        peer = Peer(address, port, self._numbers, certificate=print_of, protocol="opcua")
        return Session(
            self._server,
            f"session {self._numbers}",
            served=self.served,
            channel=channel,
            peer=peer,
            on_closed=lambda session: self._sessions.leave(session.peer.address),
        )

    def session_timeout_ms(self, asked: float) -> float:
        """How long a session lives without a request (wall ms)."""
        longest = self.served.limits.session_timeout_s * 1000
        return min(max(asked, _SHORTEST_TIMEOUT_MS), longest) if asked > 0 else longest

    async def identify(
        self,
        session: Session,
        params: ua.ActivateSessionParameters,
        challenge: bytes,
        *,
        encrypted: bool,
    ) -> Identity:
        """Who asks to activate a session.

        Raises:
            ServiceError: They are nobody here, or their token makes no sense.
        """
        token = params.UserIdentityToken
        if isinstance(token, ua.UserNameIdentityToken):
            identity = await self._user(session, token, encrypted=encrypted)
        elif isinstance(token, ua.X509IdentityToken):
            identity = self._certified(token, params.UserTokenSignature, challenge)
        elif token is None or isinstance(token, ua.AnonymousIdentityToken) or _is_null(token):
            identity = self._gatekeeper.anonymous(session.peer.certificate)
            if identity is None:
                self.served.stats.denied += 1
                raise fault("BadIdentityTokenRejected")
        else:
            raise fault("BadIdentityTokenInvalid")
        if identity is None:
            self.served.stats.denied += 1
            raise fault("BadUserAccessDenied")
        return identity

    async def _user(self, session: Session, token: ua.UserNameIdentityToken, *, encrypted: bool) -> Identity | None:
        name = token.UserName or ""
        if not name or len(name) > _LONGEST_NAME:
            raise fault("BadIdentityTokenInvalid")
        password = self._server.password(token, session.nonce or b"", encrypted=encrypted)
        return await self._gatekeeper.signed_in(name, password, session.peer.address)

    def _certified(self, token: ua.X509IdentityToken, signature: Any, challenge: bytes) -> Identity | None:  # noqa: ANN401
        der = self._server.proven_certificate(token, signature, challenge)
        now = self._trust.now()
        certificate = x509.load_der_x509_certificate(der)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise fault("BadIdentityTokenRejected")
        return self._gatekeeper.certified(thumbprint(der))


def _is_null(token: object) -> bool:
    """Whether no token was sent, which means a session without a user (part 4, clause 5.7.3)."""
    return isinstance(token, ua.ExtensionObject) and token.TypeId.is_null()
