"""What a client writes: one request for each change, none lost and none doubled when the connection breaks.

Modbus has no sequence numbers. A request that left and was not answered may have been carried out, so a pulse is never
sent again: whether it came is seen from the point that its command moves. A setpoint says the same however often it is
written, but somebody else may have written meanwhile: it is read back, and written again only if it stands otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from twin.core import Point, ns
from twin.fieldbus.errors import ExceptionCode, FieldbusError, ModbusRefusal, NoAnswer
from twin.fieldbus.modbus.client import ModbusClient
from twin.fieldbus.modbus.codec import Value
from twin.fieldbus.modbus.registers import RegisterMap

Result = Literal["done", "refused", "unknown", "expired"]

DOUBT_S: Final = 5.0
"""How long the effect of a pulse is awaited that may or may not have come."""

WAIT_S: Final = 2.0
"""How long a pulse waits for a connection; an order that comes late may be worse than none."""

_PATIENCE: Final[dict[bool, tuple[float, Result]]] = {False: (WAIT_S, "expired"), True: (DOUBT_S, "unknown")}


@dataclass(frozen=True)
class Outcome:
    """What became of one change.

    Attributes:
        tag, value: What was asked for, in engineering units.
        result: done (answered, or seen by its effect), refused, unknown (it left, no answer came and no effect was
            seen), or expired (it never left).
        code: Why it was refused.
    """

    tag: str
    value: Value
    result: Result
    code: ExceptionCode | None = None


@dataclass(frozen=True)
class _Change:
    value: Value
    since_ns: int
    in_doubt: bool = False


class Outputs:
    """The changes that still have to be written to one server.

    Args:
        client: The connection.
        registers: Where the points are. A command whose point names its `feedback` is confirmed by it.
    """

    def __init__(self, client: ModbusClient, registers: RegisterMap) -> None:
        self._client = client
        self._map = registers
        self._changes: dict[str, _Change] = {}

    @property
    def waiting(self) -> Mapping[str, Value]:
        """What is not settled yet, by tag."""
        return {tag: change.value for tag, change in self._changes.items()}

    def stage(self, tag: str, value: Value, *, at_ns: int) -> None:
        """Ask for a change; it takes the place of one of the same point that has not left.

        A pulse that may have come already is not asked for again before that is settled.

        Raises:
            KeyError: There is no such point.
            ValueError: It cannot be written.
        """
        point = self._map.points[tag]
        if not point.writable:
            raise ValueError(f"`{tag}` stands in the table {point.modbus_table} and cannot be written")
        now = self._changes.get(tag)
        if now is not None and now.in_doubt and point.kind == "command":
            return
        # It goes behind what was asked for before it: writes keep the order in which they came.
        self._changes.pop(tag, None)
        self._changes[tag] = _Change(value, at_ns)

    async def flush(self, at_ns: int) -> list[Outcome]:
        """Write what is staged, in order; what is in doubt is looked up first. What is settled is told, and forgotten.

        A wire that fails ends the round: what had not left stays staged.
        """
        outcomes = self._overdue(at_ns, in_doubt=False)
        for tag, change in list(self._changes.items()):
            code: ExceptionCode | None = None
            try:
                result = await self._settle(self._map.points[tag], change)
            except ModbusRefusal as refusal:
                result, code = "refused", refusal.code
            except FieldbusError as failure:
                if isinstance(failure, NoAnswer) and not change.in_doubt:
                    self._changes[tag] = _Change(change.value, at_ns, in_doubt=True)
                break
            if result is not None:
                del self._changes[tag]
                outcomes.append(Outcome(tag, change.value, result, code))
        return outcomes + self._overdue(at_ns, in_doubt=True)

    def snapshot(self) -> list[list[Any]]:
        """What is not settled, as plain values."""
        return [[tag, change.value, change.since_ns, change.in_doubt] for tag, change in self._changes.items()]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Take over what `snapshot` gave."""
        self._changes = {tag: _Change(*change) for tag, *change in state}

    async def _settle(self, point: Point, change: _Change) -> Result | None:
        """Write a change, or find out about it; None while it stays open."""
        if change.in_doubt:
            if await self._has_come(point, change.value):
                return "done"
            if point.kind == "command":
                return None
        await self._write(point, change.value)
        return "done"

    async def _has_come(self, point: Point, value: Value) -> bool:
        """Whether the effect of a write shows; False where nothing could show it."""
        shown = self._map.points.by_tag.get(point.feedback) if point.kind == "command" else point
        if shown is None:
            return False
        if shown.modbus_table in ("coil", "discrete"):
            bits = await self._client.read_bits(shown.modbus_table, shown.modbus_address, 1, unit=shown.modbus_unit)
            return bits[0] == (True if shown is not point else bool(value))
        cells = await self._client.read_registers(
            shown.modbus_table, shown.modbus_address, shown.width, unit=shown.modbus_unit
        )
        return cells == self._map.encode(point, value)

    async def _write(self, point: Point, value: Value) -> None:
        if point.modbus_table == "coil":
            await self._client.write_coil(point.modbus_address, bool(value), unit=point.modbus_unit)
            return
        cells = self._map.encode(point, value)
        if len(cells) == 1:
            await self._client.write_register(point.modbus_address, cells[0], unit=point.modbus_unit)
        else:
            await self._client.write_registers(point.modbus_address, cells, unit=point.modbus_unit)

    def _overdue(self, at_ns: int, *, in_doubt: bool) -> list[Outcome]:
        """Pulses that have waited too long, to leave or to show their effect."""
        patience_s, result = _PATIENCE[in_doubt]
        late = [
            tag
            for tag, change in self._changes.items()
            if self._map.points[tag].kind == "command"
            and change.in_doubt == in_doubt
            and at_ns - change.since_ns > ns(patience_s)
        ]
        return [Outcome(tag, self._changes.pop(tag).value, result) for tag in late]
