"""Refusals as status codes (part 4, clause 7.39)."""

from __future__ import annotations

from typing import Final

from asyncua import ua
from asyncua.common.utils import ServiceError

from twin.fieldbus.refusal import ReasonKind, Refusal

_CODES: Final[dict[ReasonKind, int]] = {
    "not_allowed": ua.StatusCodes.BadUserAccessDenied,
    "unknown": ua.StatusCodes.BadNodeIdUnknown,
    "not_readable": ua.StatusCodes.BadNotReadable,
    "not_writable": ua.StatusCodes.BadNotWritable,
    "wrong_type": ua.StatusCodes.BadTypeMismatch,
    "out_of_range": ua.StatusCodes.BadOutOfRange,
    "wrong_state": ua.StatusCodes.BadInvalidState,
    "busy": ua.StatusCodes.BadResourceUnavailable,
    "unreachable": ua.StatusCodes.BadNoCommunication,
    "failed": ua.StatusCodes.BadDeviceFailure,
}


def native(refusal: Refusal) -> ua.StatusCode:
    """The code by which a refusal travels."""
    return ua.StatusCode(_CODES[refusal.reason_kind])


def status(name: str) -> ua.StatusCode:
    """A status code by the name it has in the specification, without underscores."""
    return ua.StatusCode(getattr(ua.StatusCodes, name))


def fault(name: str) -> ServiceError:
    """The service fault that answers a whole request."""
    return ServiceError(getattr(ua.StatusCodes, name))


def bad_value(code: ua.StatusCode) -> ua.DataValue:
    """What is read where nothing can be."""
    return ua.DataValue(StatusCode=code)
