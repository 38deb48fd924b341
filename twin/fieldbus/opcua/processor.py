"""One client's secure channel and what is asked over it (part 6, clauses 6.7 and 7.1; part 4, clauses 5.5 to 5.7).

The library's processor accepts sessions over channels that were never enabled, knows sessions by numbers in order, does
not look at the token of a request, and judges certificates after the fact. This one keeps its channel's arithmetic
and its queue of publish requests, and decides everything else itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import ServiceError
from asyncua.crypto.uacrypto import InvalidSignature
from asyncua.server.uaprocessor import PublishRequestData, UaProcessor
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, struct_to_binary, uatcp_to_binary

from twin.fieldbus.opcua.certificates import CertificateRefused
from twin.fieldbus.opcua.codes import fault, status
from twin.fieldbus.opcua.door import Door
from twin.fieldbus.opcua.internal import GuardedServer
from twin.fieldbus.opcua.seam import READS_BEFORE_ACTIVATION, READS_PER_MESSAGE, StrictBuffer, service
from twin.fieldbus.opcua.services import SERVICES, Service
from twin.fieldbus.opcua.session import Session

_LEAST_BUFFER: Final = 8192
_MOST_BUFFER: Final = 65_535
_LONGEST_URL: Final = 4096
_SHORTEST_LIFETIME_MS: Final = 10_000
_NONCE_BYTES: Final = 32
# Messages are still taken for a quarter of the token's lifetime after its end (part 4, clause 5.6.2).
_GRACE: Final = 1.25

_CREATE, _ACTIVATE, _CLOSE = (service(f"{name}Session") for name in ("Create", "Activate", "Close"))
_ENDPOINTS, _FIND = service("GetEndpoints"), service("FindServers")
_PUBLISH, _CANCEL = service("Publish"), service("Cancel")


class ChannelError(Exception):
    """The connection cannot go on.

    Attributes:
        code: Name of the status code that the client is told.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Processor(UaProcessor):
    """What one connection's messages do.

    Args:
        server: The library's server.
        transport: Where answers go.
        door: Decides who comes in.
        address, port: Of the client.
        now_s: Wall-clock time in seconds that never runs backwards.
    """

    session: Session | None

    def __init__(
        self,
        server: GuardedServer,
        transport: asyncio.Transport,
        door: Door,
        *,
        address: str,
        port: int,
        now_s: Callable[[], float],
    ) -> None:
        limits = door.served.limits
        self._most_chunks = limits.message_bytes // _LEAST_BUFFER + 1
        bounds = TransportLimits(_MOST_BUFFER, _MOST_BUFFER, self._most_chunks, limits.message_bytes_before)
        super().__init__(server, transport, bounds)
        self.set_policies(door.policies)
        self._door, self._limits_of = door, limits
        self._address, self._port, self._now_s = address, port, now_s
        self._greeted = False
        self._most_response = 0
        self._expires_s = 0.0

    @property
    def secured(self) -> bool:
        """Whether the channel is signed."""
        return bool(self._connection.security_policy.Mode != ua.MessageSecurityMode.None_)

    @property
    def certificate(self) -> bytes | None:
        """Of the client's application; None over an unsecured channel."""
        return self._connection.security_policy.peer_certificate if self.secured else None

    @property
    def most_buffer(self) -> int:
        """The longest chunk that the client may send."""
        most: int = self._limits.max_recv_buffer
        return most

    @property
    def activated(self) -> bool:
        """Whether a session is active on this channel."""
        return self.session is not None and self.session.is_activated()

    def session_ended(self, session: Session) -> None:
        """Let go of a session that ended or moved to another channel."""
        if self.session is session:
            self.session = None
            self._limits.max_message_size = self._limits_of.message_bytes_before

    async def process(self, header: ua.Header, body: StrictBuffer) -> bool:
        """Take one chunk; False when the connection is to be closed, after what is still to be sent."""
        try:
            return await self._process(header, body)
        except ChannelError as error:
            code = error.code
        except CertificateRefused as refused:
            code = refused.code
        except (ServiceError, ua.uaerrors.UaStatusCodeError) as error:
            return self._hang_up(ua.StatusCode(error.code))
        except Exception:  # whatever the library's parsing and cryptography make of bytes that make no sense
            code = "BadSecurityChecksFailed"
        return self._hang_up(status(code))

    def _hang_up(self, code: ua.StatusCode) -> bool:
        self._door.served.stats.bad_frames += 1
        self._transport.write(uatcp_to_binary(ua.MessageType.Error, ua.ErrorMessage(code, code.name)))
        return False

    async def _process(self, header: ua.Header, body: StrictBuffer) -> bool:
        kind = header.MessageType
        if kind == ua.MessageType.Hello:
            self._greet(struct_from_binary(ua.Hello, body))
            return True
        if not self._greeted or kind not in (b"OPN", b"MSG", b"CLO"):
            raise ChannelError("BadTcpMessageTypeInvalid")
        if kind == ua.MessageType.SecureOpen:
            return self._open(header, body)
        self._check_token(body)
        message = self._connection.receive_from_header_and_body(header, body)
        if kind == ua.MessageType.SecureClose:
            self._connection.close()
            return False
        if message is None:
            return True  # an intermediate chunk
        return await self.process_message(message.SequenceHeader(), message.body())

    def _greet(self, hello: ua.Hello) -> None:
        """Agree on sizes (part 6, clause 7.1.2.4); our own receive size follows the client's send size."""
        if self._greeted:
            raise ChannelError("BadTcpMessageTypeInvalid")
        if min(hello.ReceiveBufferSize, hello.SendBufferSize) < _LEAST_BUFFER:
            raise ChannelError("BadConnectionRejected")
        if len(hello.EndpointUrl or "") > _LONGEST_URL:
            raise ChannelError("BadTcpEndpointUrlInvalid")
        self._greeted = True
        self._limits.max_recv_buffer = min(hello.SendBufferSize, _MOST_BUFFER)
        self._limits.max_send_buffer = min(hello.ReceiveBufferSize, _MOST_BUFFER)
        self._most_response = hello.MaxMessageSize
        acknowledge = ua.Acknowledge(
            ProtocolVersion=0,
            ReceiveBufferSize=self._limits.max_recv_buffer,
            SendBufferSize=self._limits.max_send_buffer,
            MaxMessageSize=self._limits_of.message_bytes,
            MaxChunkCount=self._most_chunks,
        )
        self._transport.write(uatcp_to_binary(ua.MessageType.Acknowledge, acknowledge))

    def _check_token(self, body: StrictBuffer) -> None:
        if not self._connection.is_open():
            raise ChannelError("BadTcpSecureChannelUnknown")
        # The library's token that is to come is 0 while there is none, and would be taken for it.
        if int.from_bytes(body.copy(4).read(4), "little") == 0 or self._now_s() > self._expires_s:
            raise ChannelError("BadSecureChannelTokenUnknown")

    # --- secure channel

    def _open(self, header: ua.Header, body: StrictBuffer) -> bool:
        renewal = self._connection.is_open()
        if renewal and header.ChannelId != self._connection.security_token.ChannelId:
            raise ChannelError("BadTcpSecureChannelUnknown")
        try:
            message = self._connection.receive_from_header_and_body(header, body)
        except InvalidSignature as failure:
            raise ChannelError("BadSecurityChecksFailed") from failure
        except ua.UaError as failure:
            raise ChannelError("BadSecurityPolicyRejected") from failure
        if message is None:
            raise ChannelError("BadTcpMessageTypeInvalid")  # an OPN is one chunk
        sequence = message.SequenceHeader()
        request = struct_from_binary(ua.OpenSecureChannelRequest, StrictBuffer(bytes(message.body())))
        self._judge(message.SecurityHeader(), request.Parameters, renewal=renewal)
        self._grant(request, sequence)
        return True

    def _judge(self, security: Any, asked: ua.OpenSecureChannelParameters, *, renewal: bool) -> None:  # noqa: ANN401
        if renewal != (asked.RequestType == ua.SecurityTokenRequestType.Renew):
            raise ChannelError("BadRequestTypeInvalid")
        if not renewal:
            try:
                self._connection.select_policy(
                    security.SecurityPolicyURI, security.SenderCertificate, asked.SecurityMode
                )
            except ua.UaError as failure:
                raise ChannelError("BadSecurityModeRejected") from failure
        policy = self._connection.security_policy
        if asked.SecurityMode != policy.Mode:
            raise ChannelError("BadSecurityModeRejected")
        if self.secured:
            if len(asked.ClientNonce or b"") != policy.secure_channel_nonce_length:
                raise ChannelError("BadNonceInvalid")
            self._door.judge_channel(policy, self._address)

    def _grant(self, request: ua.OpenSecureChannelRequest, sequence: Any) -> None:  # noqa: ANN401
        asked = request.Parameters
        longest_ms = int(self._limits_of.channel_lifetime_s * 1000)
        asked.RequestedLifetime = min(max(asked.RequestedLifetime, _SHORTEST_LIFETIME_MS), longest_ms)
        self._expires_s = self._now_s() + asked.RequestedLifetime / 1000 * _GRACE
        response = ua.OpenSecureChannelResponse()
        response.Parameters = self._connection.open(asked, self.iserver)
        self.send_response(request.RequestHeader.RequestHandle, sequence, response, ua.MessageType.SecureOpen)

    # --- messages

    async def process_message(self, seqhdr: Any, body: Any) -> bool:  # noqa: ANN401
        """Answer one whole message."""
        reads = READS_PER_MESSAGE if self.activated else READS_BEFORE_ACTIVATION
        content = StrictBuffer(bytes(body), reads=[reads])
        stats = self._door.served.stats
        stats.requests += 1
        try:
            kind = nodeid_from_binary(content)
            header = struct_from_binary(ua.RequestHeader, content)
        except Exception as failure:  # the decoder raises whatever its parts raise
            raise ChannelError("BadDecodingError") from failure
        try:
            await self._answer(kind, header, seqhdr, content)
        except (ServiceError, ua.uaerrors.UaStatusCodeError) as error:
            self._fault(ua.StatusCode(error.code), header, seqhdr)
        except Exception as failure:
            self._door.served.failed(failure)
            self._fault(status("BadInternalError"), header, seqhdr)
        return True

    def _fault(self, code: ua.StatusCode, header: ua.RequestHeader, sequence: Any) -> None:  # noqa: ANN401
        self._door.served.stats.faults += 1
        response = ua.ServiceFault()
        response.ResponseHeader.ServiceResult = code
        self.send_response(header.RequestHandle, sequence, response)

    def send_response(
        self,
        requesthandle: int,
        seqhdr: Any,  # noqa: ANN401
        response: Any,  # noqa: ANN401
        msgtype: bytes = ua.MessageType.SecureMessage,
    ) -> None:
        """Send an answer, or a fault where the client said that it takes none that long."""
        if self._transport.is_closing():
            return
        response.ResponseHeader.RequestHandle = requesthandle
        content = struct_to_binary(response)
        if self._most_response and len(content) > self._most_response:
            response = ua.ServiceFault()
            response.ResponseHeader.ServiceResult = status("BadResponseTooLarge")
            response.ResponseHeader.RequestHandle = requesthandle
            content = struct_to_binary(response)
        self._transport.write(
            self._connection.message_to_binary(content, message_type=msgtype, request_id=seqhdr.RequestId)
        )

    async def _answer(self, kind: ua.NodeId, header: Any, sequence: Any, content: StrictBuffer) -> None:  # noqa: ANN401
        wanted = SERVICES.get(kind)
        if wanted is not None:
            session = self._active(header)
            await self._serve(wanted, session, header, sequence, content)
            return
        other = _OTHERS.get(kind)
        if other is None:
            raise fault("BadServiceUnsupported")
        parameters_class, answer = other
        response = await answer(self, header, sequence, _decode(parameters_class, content))
        if response is not None:
            self.send_response(header.RequestHandle, sequence, response)

    async def _serve(
        self,
        wanted: Service,
        session: Session,
        header: ua.RequestHeader,
        sequence: ua.SequenceHeader,
        content: StrictBuffer,
    ) -> None:
        params = _decode(wanted.parameters, content)
        if wanted.items:
            items = getattr(params, wanted.items)
            if not items:
                raise fault("BadNothingToDo")
            if len(items) > self._limits_of.operations:
                raise fault("BadTooManyOperations")
        response = wanted.response()
        await wanted.answer(session, params, response)
        self.send_response(header.RequestHandle, sequence, response)

    def _own(self, header: ua.RequestHeader) -> Session:
        """The session that the request's token names, which must be the one on this channel."""
        session = self.session
        if session is None or header.AuthenticationToken != session.auth_token:
            raise fault("BadSessionIdInvalid")
        return session

    def _active(self, header: ua.RequestHeader) -> Session:
        session = self._own(header)
        if not session.is_activated():
            raise fault("BadSessionNotActivated")
        session.touch()
        return session

    async def _get_endpoints(self, _header: Any, _sequence: Any, params: Any) -> Any:  # noqa: ANN401
        endpoints = await self.iserver.get_endpoints(params, sockname=self.sockname)
        return ua.GetEndpointsResponse(Endpoints=endpoints)

    async def _find_servers(self, _header: Any, _sequence: Any, params: Any) -> Any:  # noqa: ANN401
        return ua.FindServersResponse(Servers=self.iserver.find_servers(params, sockname=self.sockname))

    # --- sessions

    async def _create_session(self, _header: Any, _sequence: Any, params: Any) -> Any:  # noqa: ANN401
        if self.session is not None:
            raise fault("BadTooManySessions")
        self._door.check_channel(self._connection.security_policy)
        if self.secured:
            self._door.check_application(self._connection.security_policy, params)
            if len(params.ClientNonce or b"") < _NONCE_BYTES:
                raise fault("BadNonceInvalid")
        session = self._door.new_session(self, self._address, self._port)
        self.session = session
        session.certificate = self.certificate
        session.nonce = secrets.token_bytes(_NONCE_BYTES)
        # The answer names all endpoints, so that the client sees whether somebody bent what it was told before.
        asked = ua.GetEndpointsParameters(EndpointUrl=params.EndpointUrl)
        timeout_ms = self._door.session_timeout_ms(params.RequestedSessionTimeout)
        session.session_timeout = timeout_ms / 1000
        return ua.CreateSessionResponse(
            Parameters=ua.CreateSessionResult(
                SessionId=session.session_id,
                AuthenticationToken=session.auth_token,
                RevisedSessionTimeout=timeout_ms,
                ServerNonce=session.nonce,
                ServerCertificate=self._connection.security_policy.host_certificate,
                ServerEndpoints=await self.iserver.get_endpoints(asked, sockname=self.sockname),
                ServerSignature=self._signature(params.ClientNonce),
                MaxRequestMessageSize=self._limits_of.message_bytes,
            )
        )

    def _signature(self, nonce: bytes | None) -> ua.SignatureData:
        policy = self._connection.security_policy
        signed = (policy.peer_certificate or b"") + (nonce or b"")
        signature = policy.asymmetric_cryptography.signature(signed)
        return ua.SignatureData(Algorithm=policy.AsymmetricSignatureURI, Signature=signature)

    async def _activate_session(self, header: Any, _sequence: Any, params: Any) -> Any:  # noqa: ANN401
        self._door.check_channel(self._connection.security_policy)
        session = self._own(header) if self.session is not None else self._elsewhere(header)
        policy = self._connection.security_policy
        challenge = (policy.host_certificate or b"") + (session.nonce or b"")
        if self.secured:
            try:
                policy.asymmetric_cryptography.verify(challenge, params.ClientSignature.Signature)
            except Exception as failure:  # a signature of the wrong length fails in other ways
                raise fault("BadApplicationSignatureInvalid") from failure
        moved = session.channel is not self
        before = session.identity
        encrypted = policy.Mode == ua.MessageSecurityMode.SignAndEncrypt
        identity = await self._door.identify(session, params, challenge, encrypted=encrypted)
        if moved and before is not None and identity != before:
            raise fault("BadIdentityChangeNotSupported")
        if session.state.name == "Closed" or self._transport.is_closing():
            raise fault("BadSessionClosed")
        session.activate(
            identity,
            secrets.token_bytes(_NONCE_BYTES),
            may_change=self.secured or self._door.rules.unsecured_writes,
        )
        if moved:
            self._take_over(session)
        self._limits.max_message_size = self._limits_of.message_bytes
        self._door.served.stats.signed_in += 1
        return ua.ActivateSessionResponse(Parameters=ua.ActivateSessionResult(ServerNonce=session.nonce))

    def _elsewhere(self, header: ua.RequestHeader) -> Session:
        """A session that began on another channel of the same application (part 4, clause 5.7.3).

        Only a certificate can show that it is the same; over unsecured channels a session cannot move.
        """
        session: Session | None = self.iserver.lookup_external_session(header.AuthenticationToken)
        if session is None or session.certificate is None or session.certificate != self.certificate:
            raise fault("BadSessionIdInvalid")
        return session

    def _take_over(self, session: Session) -> None:
        session.channel.session_ended(session)
        self.session, session.channel = session, self
        for held in session.subscriptions.own.values():
            session.subscriptions.bind(held)

    async def _close_session(self, header: Any, _sequence: Any, delete_subscriptions: bool) -> Any:  # noqa: ANN401
        session = self._own(header)
        await session.close_session(delete_subscriptions)
        self.session_ended(session)
        return ua.CloseSessionResponse()

    async def _cancel(self, header: Any, _sequence: Any, _params: Any) -> Any:  # noqa: ANN401
        self._active(header)  # requests are answered in order, so there is never one left to be cancelled
        return ua.CancelResponse()

    async def _publish(self, header: Any, sequence: Any, params: Any) -> None:  # noqa: ANN401
        subscriptions = self._active(header).subscriptions
        results = subscriptions.acknowledge(params.SubscriptionAcknowledgements or [])
        waiting = PublishRequestData(requesthdr=header, seqhdr=sequence, results=results)
        own = subscriptions.own
        while self._publish_results_subs:
            number = next(iter(self._publish_results_subs))
            self._publish_results_subs.pop(number)
            if number in own and await own[number].publish_results(waiting):
                return
        if len(self._publish_requests) >= self.publish_request_limit(len(own)):
            self._evict_publish_request()
        self._publish_requests.append(waiting)

    async def close(self) -> None:
        """The connection is gone; a session with subscriptions waits for its client until it times out."""
        session = self.session
        if session is not None and (not session.is_activated() or not session.subscriptions.own):
            await session.close_session(True)


def _decode(parameters: Any, content: StrictBuffer) -> Any:  # noqa: ANN401
    if parameters is None:
        return None
    try:
        if parameters is bool:
            return content.read(1) != b"\0"
        return struct_from_binary(parameters, content)
    except Exception as failure:  # the decoder raises whatever its parts raise
        raise fault("BadDecodingError") from failure


_OTHERS: Final[dict[ua.NodeId, tuple[Any, Callable[..., Any]]]] = {
    _ENDPOINTS: (ua.GetEndpointsParameters, Processor._get_endpoints),
    _FIND: (ua.FindServersParameters, Processor._find_servers),
    _CREATE: (ua.CreateSessionParameters, Processor._create_session),
    _ACTIVATE: (ua.ActivateSessionParameters, Processor._activate_session),
    _CLOSE: (bool, Processor._close_session),
    _PUBLISH: (ua.PublishParameters, Processor._publish),
    _CANCEL: (None, Processor._cancel),
}
