"""What clients can call: commands, alarms, files, and the few methods that every server has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from asyncua import ua

from twin.core import Point
from twin.fieldbus.modbus.station import Write
from twin.fieldbus.opcua.codes import fault
from twin.fieldbus.opcua.conditions import Condition, refresh_event
from twin.fieldbus.opcua.files import Files
from twin.fieldbus.opcua.served import Method, Served
from twin.fieldbus.opcua.session import Session
from twin.fieldbus.opcua.station import Act, AlarmAct, AlarmDesk, FileEntry

_T = ua.VariantType
_COMMENTED: Final = (_T.ByteString, _T.LocalizedText)
_ACT_TAKES: Final[dict[str, tuple[ua.VariantType, ...]]] = {
    "acknowledge": _COMMENTED,
    "confirm": _COMMENTED,
    "comment": _COMMENTED,
    "shelve_timed": (_T.Double,),
}
_FILE_TAKES: Final[dict[str, tuple[ua.VariantType, ...]]] = {
    "open": (_T.Byte,),
    "close": (_T.UInt32,),
    "read": (_T.UInt32, _T.Int32),
    "write": (_T.UInt32, _T.ByteString),
    "get_position": (_T.UInt32,),
    "set_position": (_T.UInt32, _T.UInt64),
}
_FILE_GIVES: Final = {"open": _T.UInt32, "read": _T.ByteString, "get_position": _T.UInt64}
_LONGEST_SHELVING_MS: Final = 7 * 24 * 3600 * 1000.0
_LONGEST_COMMENT: Final = 500


def add_methods(served: Served) -> None:
    """Let clients call all that there is to be called."""
    for key, point in served.points.methods.items():
        served.methods[key] = Method((), partial(_operate, point))
    if served.desk is not None:
        for condition in served.conditions.values():
            for key, act in condition.methods.items():
                run = partial(_attend, condition, act, served.desk)
                served.methods[key] = Method(_ACT_TAKES.get(act, ()), run)
    if served.files is not None:
        for key, call in served.files.methods.items():
            run_file = partial(_file, served.files, call)
            served.methods[key] = Method(_FILE_TAKES[call[1]], run_file, changes=False)
    _add_standard(served)


def _add_standard(served: Served) -> None:
    ids = ua.ObjectIds
    refresh = Method((_T.UInt32,), _refresh, changes=False)
    refresh_item = Method((_T.UInt32, _T.UInt32), _refresh, changes=False)
    for owner in (ua.NodeId(ids.ConditionType), ua.NodeId(ids.Server)):
        served.methods[owner, ua.NodeId(ids.ConditionType_ConditionRefresh)] = refresh
        served.methods[owner, ua.NodeId(ids.ConditionType_ConditionRefresh2)] = refresh_item
    items = Method((_T.UInt32,), _monitored_items, changes=False)
    served.methods[ua.NodeId(ids.Server), ua.NodeId(ids.Server_GetMonitoredItems)] = items


async def _operate(point: Point, session: Session, _arguments: Sequence[Any]) -> Sequence[ua.Variant]:
    session.ask(Write(point, True))
    return ()


async def _attend(
    condition: Condition, act: Act, desk: AlarmDesk, session: Session, arguments: Sequence[Any]
) -> Sequence[ua.Variant]:
    comment, duration_s = "", 0.0
    if _ACT_TAKES.get(act) is _COMMENTED:
        event_id, text = arguments
        if not condition.answers(event_id):
            raise fault("BadEventIdUnknown")
        comment = ((text.Text if text is not None else "") or "")[:_LONGEST_COMMENT]
    elif act == "shelve_timed":
        if not 0 < arguments[0] <= _LONGEST_SHELVING_MS:
            raise fault("BadShelvingTimeOutOfRange")
        duration_s = arguments[0] / 1000
    desk.attend(AlarmAct(condition.point.tag, act, comment, duration_s), session.peer)
    return ()


async def _file(
    files: Files, call: tuple[FileEntry, str], session: Session, arguments: Sequence[Any]
) -> Sequence[ua.Variant]:
    entry, asked = call
    if entry.writable and asked == "open" and arguments[0] != 1:
        session.check_may_change()
    given = files.ask(call, arguments, session.opened, session.peer)
    return [ua.Variant(value, _FILE_GIVES[asked]) for value in given]


async def _refresh(session: Session, arguments: Sequence[Any]) -> Sequence[ua.Variant]:
    """Tell the alarms that a late-comer must know of (part 9, clauses 5.5.7 and 5.5.8)."""
    number, *only = arguments
    items = session.subscriptions.items(number)
    wanted = [item for item in items.event_items if not only or item == only[0]]
    if only and not wanted:
        raise fault("BadMonitoredItemIdInvalid")
    served = session.served
    kinds = ua.ObjectIds.RefreshStartEventType, ua.ObjectIds.RefreshEndEventType
    told = [
        condition.fields
        for tag, condition in served.retained.items()
        if served.may_read(ua.NodeId(tag, 2), session.peer).is_good()
    ]
    first, last = (refresh_event(kind, served.time) for kind in kinds)
    for item in wanted:
        for fields in (first, *told, last):
            await items.tell_item(item, fields)
    return ()


async def _monitored_items(session: Session, arguments: Sequence[Any]) -> Sequence[ua.Variant]:
    """The numbers of a subscription's items (part 5, clause 9.1)."""
    handles = session.subscriptions.items(arguments[0]).handles
    return [ua.Variant([numbers[at] for numbers in handles], _T.UInt32, is_array=True) for at in (0, 1)]
