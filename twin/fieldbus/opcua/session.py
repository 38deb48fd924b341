"""One session: who it is of, and what it reads, writes and calls, each item decided for itself."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession, SessionState

from twin.fieldbus.modbus.station import Write
from twin.fieldbus.opcua.access import Identity
from twin.fieldbus.opcua.browsing import Browser
from twin.fieldbus.opcua.codes import bad_value, fault, native, status
from twin.fieldbus.opcua.continuation import Continuations
from twin.fieldbus.opcua.datatypes import ValueType
from twin.fieldbus.opcua.files import OpenFiles
from twin.fieldbus.opcua.history import Span
from twin.fieldbus.opcua.monitored import with_timestamps
from twin.fieldbus.opcua.nodes import CAN_READ, CAN_WRITE
from twin.fieldbus.opcua.served import Method, Served
from twin.fieldbus.opcua.subscriptions import Subscriptions
from twin.fieldbus.peer import Peer
from twin.fieldbus.refusal import Refusal

if TYPE_CHECKING:
    from twin.fieldbus.opcua.internal import GuardedServer
    from twin.fieldbus.opcua.processor import Processor

_VALUE: Final = int(ua.AttributeIds.Value)
_INDEX_RANGE: Final = re.compile(r"(\d{1,9})(?::(\d{1,9}))?")


class Session(InternalSession):
    """A session of a client.

    Its authentication token cannot be guessed, and counts on the secure channel alone that it was last activated on.

    Attributes:
        peer: Who it is of; until it is activated without a user.
        may_change: Whether it may ask for writes, calls and files at all.
        channel: What it was last activated on; None after that went away.
        certificate: Of the client's application (DER); None over an unsecured channel.
    """

    def __init__(
        self,
        server: GuardedServer,
        name: str,
        *,
        served: Served,
        channel: Processor,
        peer: Peer,
        on_closed: Callable[[Session], None],
    ) -> None:
        super().__init__(server, server.aspace, server.subscription_service, name, external=False)
        self.external = True
        self.session_id = ua.NodeId(secrets.token_bytes(16), 1, ua.NodeIdType.ByteString)
        self.auth_token = ua.NodeId(secrets.token_bytes(32), 0, ua.NodeIdType.ByteString)
        server.register_external_session(self)
        self.served, self.peer, self.channel = served, peer, channel
        self.certificate: bytes | None = None
        self.identity: Identity | None = None
        self.may_change = False
        self.browser = Browser(server, served.limits.continuation_points)
        self.subscriptions = Subscriptions(self, server)
        self.opened = OpenFiles(served.limits.files_open)
        self._histories: Continuations[Span] = Continuations(served.limits.continuation_points)
        self._on_closed = on_closed

    def activate(self, identity: Identity, nonce: bytes, *, may_change: bool) -> None:
        """Begin, or go on as someone else."""
        self.identity, self.nonce, self.may_change = identity, nonce, may_change
        self.peer = dataclasses.replace(self.peer, user=identity.user, role=identity.role)
        self.state = SessionState.Activated
        self.touch()
        self._start_timeout_watchdog()

    async def close_session(self, delete_subs: bool = True) -> None:
        """End it, and what it had open; a second time does nothing."""
        if self.state == SessionState.Closed:
            return
        was_activated = self.state == SessionState.Activated
        if not delete_subs:
            self.subscriptions.leave()
        self.state = SessionState.Created  # the library counts activated sessions of all servers together; we do not
        await super().close_session(delete_subs)
        if self.served.files is not None:
            self.served.files.forget(self.opened)
        if was_activated:
            self.channel.session_ended(self)
        self._on_closed(self)

    # --- attributes

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        """The attributes asked for, each or why not (part 4, clause 5.11.2).

        Raises:
            ServiceError: The request as a whole makes no sense.
        """
        wanted, timestamps = params.NodesToRead, params.TimestampsToReturn
        if timestamps == ua.TimestampsToReturn.Invalid:
            raise fault("BadTimestampsToReturnInvalid")
        if not params.MaxAge >= 0:
            raise fault("BadMaxAgeInvalid")
        types = self.served.points.types
        values = [types.get(item.NodeId) if item.AttributeId == _VALUE else None for item in wanted]
        of_points = [value for value in values if value is not None]
        readings = iter(self.served.read(of_points, self.peer) if of_points else ())
        results = [
            self._attribute(item) if value is None else next(readings)
            for value, item in zip(values, wanted, strict=True)
        ]
        for at, item in enumerate(wanted):
            if item.IndexRange or item.DataEncoding.Name:
                results[at] = _ranged(results[at], item)
        if timestamps == ua.TimestampsToReturn.Both:
            return results
        return [with_timestamps(result, timestamps) for result in results]

    def _attribute(self, item: ua.ReadValueId) -> ua.DataValue:
        held = self.aspace.read_attribute_value(item.NodeId, item.AttributeId)
        if not held.StatusCode.is_good():
            return held
        if item.AttributeId == ua.AttributeIds.UserAccessLevel and not self.may_change:
            level = held.Value.Value & ~CAN_WRITE
            return dataclasses.replace(held, Value=ua.Variant(level, ua.VariantType.Byte))
        if item.AttributeId != _VALUE:
            return held
        if not self._level(item.NodeId) & CAN_READ:
            return bad_value(status("BadNotReadable"))
        return dataclasses.replace(held, ServerTimestamp=self.served.time.now())

    def _level(self, node: ua.NodeId) -> int:
        held = self.aspace.read_attribute_value(node, ua.AttributeIds.AccessLevel).Value
        return held.Value if held is not None and isinstance(held.Value, int) else 0

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        """Ask for each write in turn (part 4, clause 5.11.4)."""
        return [self._write(item) for item in params.NodesToWrite]

    def _write(self, item: ua.WriteValue) -> ua.StatusCode:
        held = self.aspace.read_attribute_value(item.NodeId, item.AttributeId)
        if held.StatusCode.value in (ua.StatusCodes.BadNodeIdUnknown, ua.StatusCodes.BadAttributeIdInvalid):
            return held.StatusCode
        value = self.served.points.types.get(item.NodeId)
        if value is None or item.AttributeId != _VALUE or not value.point.writable:
            return status("BadNotWritable")
        # Whoever could write a status could blank a point, and past the check of its type.
        if item.IndexRange or (item.Value.StatusCode is not None and item.Value.StatusCode.value):
            return status("BadWriteNotSupported")
        return self.attempt(lambda: self.ask(Write(value.point, value.admit(item.Value.Value))))

    def ask(self, write: Write) -> None:
        """Hand one write over to the station.

        Raises:
            Refusal: It was not done.
        """
        self.check_may_change()
        self.served.station.write((write,), self.peer)

    def check_may_change(self) -> None:
        """Whether this session may ask for changes at all.

        Raises:
            Refusal: It came over a channel that anyone could alter.
        """
        if not self.may_change:
            raise Refusal("not_allowed", "changes are asked for over a secured channel")

    def attempt(self, act: Callable[[], object]) -> ua.StatusCode:
        """Do something; Good, or why it was not done."""
        try:
            act()
        except Refusal as refusal:
            return native(refusal)
        except Exception as failure:
            self.served.failed(failure)
            return status("BadDeviceFailure")
        return status("Good")

    # --- methods

    async def call(self, params: Sequence[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        """Call each method in turn (part 4, clause 5.12.2)."""
        return [await self._call(item) for item in params]

    async def _call(self, item: ua.CallMethodRequest) -> ua.CallMethodResult:
        method = self.served.methods.get((item.ObjectId, item.MethodId))
        if method is None:
            return ua.CallMethodResult(StatusCode=self._no_method(item))
        arguments = item.InputArguments or []
        misfit = _misfit(arguments, method)
        if misfit is not None:
            return misfit
        outputs: Sequence[ua.Variant] = ()
        try:
            if method.changes:
                self.check_may_change()
            outputs = await method.run(self, [argument.Value for argument in arguments])
            code = status("Good")
        except Refusal as refusal:
            code = native(refusal)
        except ServiceError as error:
            code = ua.StatusCode(error.code)
        except Exception as failure:
            self.served.failed(failure)
            code = status("BadDeviceFailure")
        each = [status("Good") for _ in arguments]
        return ua.CallMethodResult(StatusCode=code, InputArgumentResults=each, OutputArguments=list(outputs))

    def _no_method(self, item: ua.CallMethodRequest) -> ua.StatusCode:
        if item.ObjectId not in self.aspace:
            return status("BadNodeIdUnknown")
        return status("BadMethodInvalid")

    # --- history

    async def history_read(self, params: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:
        """What points showed before, each or why not (part 4, clause 5.11.3; raw readings alone).

        Raises:
            ServiceError: The request as a whole makes no sense.
        """
        details = params.HistoryReadDetails
        if params.TimestampsToReturn in (ua.TimestampsToReturn.Invalid, ua.TimestampsToReturn.Neither):
            raise fault("BadTimestampsToReturnInvalid")
        if not isinstance(details, ua.ReadRawModifiedDetails) or details.IsReadModified:
            raise fault("BadHistoryOperationUnsupported")
        return [self._history(item, details, params) for item in params.NodesToRead]

    def _history(
        self, item: ua.HistoryReadValueId, details: ua.ReadRawModifiedDetails, params: ua.HistoryReadParameters
    ) -> ua.HistoryReadResult:
        value = self.served.points.types.get(item.NodeId)
        if value is None:
            known = item.NodeId in self.aspace
            return _told(status("BadHistoryOperationUnsupported" if known else "BadNodeIdUnknown"))
        kept = self._histories.take(item.ContinuationPoint) if item.ContinuationPoint else None
        if item.ContinuationPoint and (kept is None or kept.tag != value.point.tag):
            return _told(status("BadContinuationPointInvalid"))
        code = self.served.may_read(item.NodeId, self.peer)
        if params.ReleaseContinuationPoints or not code.is_good():
            return _told(code)
        try:
            span = kept or Span.of(value.point.tag, details, self.served.time)
        except ServiceError as error:
            return _told(ua.StatusCode(error.code))
        return self._tell(value, span, params.TimestampsToReturn)

    def _tell(self, value: ValueType, span: Span, timestamps: ua.TimestampsToReturn) -> ua.HistoryReadResult:
        part, rest = span.read(self.served.history.of(span.tag))
        point = self._histories.keep(rest) if rest is not None else None
        if rest is not None and point is None:
            return _told(status("BadNoContinuationPoints"))
        now = self.served.time.now()
        values = [with_timestamps(self.served.shown(value, reading, now), timestamps) for reading in part]
        return _told(status("Good" if values else "GoodNoData"), values, point)


def _misfit(arguments: Sequence[ua.Variant], method: Method) -> ua.CallMethodResult | None:
    """What is wrong with the arguments of a call, if anything is."""
    if len(arguments) != len(method.takes):
        few = len(arguments) < len(method.takes)
        return ua.CallMethodResult(StatusCode=status("BadArgumentsMissing" if few else "BadTooManyArguments"))
    fits = [a.VariantType is kind and not a.is_array for a, kind in zip(arguments, method.takes, strict=True)]
    if all(fits):
        return None
    each = [status("Good" if fit else "BadTypeMismatch") for fit in fits]
    return ua.CallMethodResult(StatusCode=status("BadInvalidArgument"), InputArgumentResults=each)


def _told(code: ua.StatusCode, values: Sequence[ua.DataValue] = (), point: bytes | None = None) -> ua.HistoryReadResult:
    return ua.HistoryReadResult(
        StatusCode=code, ContinuationPoint=point, HistoryData=ua.HistoryData(DataValues=list(values))
    )


def _ranged(value: ua.DataValue, item: ua.ReadValueId) -> ua.DataValue:
    """A value as the client wants it encoded and cut (part 4, clause 7.27)."""
    if not value.StatusCode.is_good():
        return value
    if item.DataEncoding.Name:
        return bad_value(status("BadDataEncodingInvalid"))
    bounds = _INDEX_RANGE.fullmatch(item.IndexRange)
    if bounds is None or (bounds[2] is not None and int(bounds[2]) <= int(bounds[1])):
        return bad_value(status("BadIndexRangeInvalid"))
    first, last = int(bounds[1]), int(bounds[2] or bounds[1])
    held = value.Value.Value if value.Value is not None else None
    if not isinstance(held, list | tuple | str | bytes) or first >= len(held):
        return bad_value(status("BadIndexRangeNoData"))
    kind, array = value.Value.VariantType, value.Value.is_array
    return dataclasses.replace(value, Value=ua.Variant(held[first : last + 1], kind, is_array=array))
