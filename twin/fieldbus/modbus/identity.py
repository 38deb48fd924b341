"""Function 43/14, read device identification (application protocol 1.1b3, clause 6.21)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from twin.fieldbus.errors import ExceptionCode, ModbusRefusal

_MEI_TYPE: Final = 0x0E
_INDIVIDUAL: Final = 4
_MOST_PDU: Final = 253
_HEAD: Final = 7
_LAST_OBJECT: Final = {1: 0x02, 2: 0x7F, 3: 0xFF}  # of basic, regular and extended stream access
_EXTENDED: Final = 0x80  # the first of a device's own objects
_INDIVIDUAL_ACCESS: Final = 0x80


@dataclass(frozen=True)
class DeviceIdentity:
    """What function 43/14 tells: texts in ASCII, at most 80 characters each.

    Attributes:
        product_code, revision, vendor_name: The basic objects, which every device has.
        vendor_url, product_name, model_name, application_name: The regular ones; an empty one is not told.
        extended: The device's own, from object 0x80 on; asked for at each request, because they may change.

    Raises:
        ValueError: A basic or regular text is too long or not ASCII, or a basic one is empty.
    """

    product_code: str
    revision: str
    vendor_name: str = "Holdfast"
    vendor_url: str = ""
    product_name: str = ""
    model_name: str = ""
    application_name: str = ""
    extended: Callable[[], Sequence[str]] = tuple

    def __post_init__(self) -> None:
        for text in self._fixed.values():
            if not (text.isascii() and 0 < len(text) <= 80):
                raise ValueError(f"`{text}` cannot identify a device; it must be 1 to 80 ASCII characters")

    @property
    def objects(self) -> dict[int, str]:
        """Object identifiers and texts as they are now, in order."""
        return self._fixed | dict(enumerate(self.extended(), start=_EXTENDED))

    @property
    def _fixed(self) -> dict[int, str]:
        regular = (self.vendor_url, self.product_name, self.model_name, self.application_name)
        basic = (self.vendor_name, self.product_code, self.revision)
        return dict(enumerate(basic)) | {at: text for at, text in enumerate(regular, 3) if text}


def identify(pdu: bytes, identity: DeviceIdentity) -> bytes:
    """The PDU of the answer to a request of function 43.

    A stream that does not fit one answer says at which object to go on. One that starts at an object which does not
    exist starts at the first; one of a higher level than the device has gets what there is.

    Raises:
        ModbusRefusal: 01 for another MEI type, 02 for an individual object that does not exist, 03 for a wrong length
            or access code.
    """
    if len(pdu) >= 2 and pdu[1] != _MEI_TYPE:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_FUNCTION, f"MEI type {pdu[1]} is not served")
    if len(pdu) != 4 or not 1 <= pdu[2] <= _INDIVIDUAL:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, "these bytes ask for no device identification")
    access, first, objects = pdu[2], pdu[3], identity.objects
    if access == _INDIVIDUAL:
        if first not in objects:
            raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_ADDRESS, f"there is no object {first}")
        told, next_object = {first: objects[first]}, 0
    else:
        told, next_object = _fitting(objects, first, _LAST_OBJECT[access])
    more = 0xFF if next_object else 0
    head = bytes([43, _MEI_TYPE, access, _conformity(objects), more, next_object, len(told)])
    return head + b"".join(bytes([at, len(text)]) + text.encode("ascii") for at, text in told.items())


def _fitting(objects: Mapping[int, str], first: int, last: int) -> tuple[dict[int, str], int]:
    """The objects from `first` to `last` that one answer can carry, and which one follows; 0 if none does."""
    streamed = {at: text for at, text in objects.items() if at <= last}
    begin = first if first in streamed else 0
    fitting: dict[int, str] = {}
    room = _MOST_PDU - _HEAD
    for at, text in streamed.items():
        if at < begin:
            continue
        room -= 2 + len(text)
        if room < 0:
            return fitting, at
        fitting[at] = text
    return fitting, 0


def _conformity(objects: Mapping[int, str]) -> int:
    """The level of what there is: basic, regular or extended; by stream and by individual access."""
    last = max(objects)
    return _INDIVIDUAL_ACCESS | next(level for level, reach in _LAST_OBJECT.items() if last <= reach)
