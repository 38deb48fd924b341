"""Which events a client wants: the content filter of an event subscription (part 4, clauses 7.7 and 7.22)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from asyncua import ua

from twin.fieldbus.opcua.codes import fault

_MAX_ELEMENTS: Final = 50
_MAX_OPERANDS: Final = 50

IsSubtype = Callable[[ua.NodeId, ua.NodeId], bool]
Fields = Mapping[str, ua.Variant]


def path_of(operand: ua.SimpleAttributeOperand) -> str:
    """The field that an operand names, e.g. `ActiveState/Id`; `#` and the attribute's number for one of the event."""
    if operand.AttributeId != ua.AttributeIds.Value or not operand.BrowsePath:
        return f"#{int(operand.AttributeId)}"
    return "/".join(str(name.Name) for name in operand.BrowsePath)


class WhereClause:
    """A content filter, checked and ready.

    Raises:
        ServiceError: Bad_EventFilterInvalid, when it is too large, refers to itself, or uses an operator that there
            is not (bitwise and related-to operators, views).
    """

    def __init__(self, clause: ua.ContentFilter | None, is_subtype: IsSubtype) -> None:
        self._elements: Sequence[ua.ContentFilterElement] = (clause.Elements if clause else None) or ()
        self._is_subtype = is_subtype
        if len(self._elements) > _MAX_ELEMENTS:
            raise fault("BadEventFilterInvalid")
        for index, element in enumerate(self._elements):
            self._check(index, element)

    def _check(self, index: int, element: ua.ContentFilterElement) -> None:
        operands = element.FilterOperands or []
        bounds = _OPERANDS.get(element.FilterOperator)
        if bounds is None or not bounds[0] <= len(operands) <= bounds[1]:
            raise fault("BadEventFilterInvalid")
        for operand in operands:
            if isinstance(operand, ua.ElementOperand):
                # Only later elements may be meant, so that no filter runs in a circle.
                if not index < operand.Index < len(self._elements):
                    raise fault("BadEventFilterInvalid")
            elif not isinstance(operand, ua.SimpleAttributeOperand | ua.LiteralOperand):
                raise fault("BadEventFilterInvalid")

    def admits(self, fields: Fields) -> bool:
        """Whether the client wants an event of these fields; what cannot be compared is not wanted."""
        if not self._elements:
            return True
        try:
            return bool(self._element(0, fields))
        except (TypeError, ValueError):
            return False

    def _element(self, index: int, fields: Fields) -> Any:  # noqa: ANN401
        element = self._elements[index]
        operator, operands = element.FilterOperator, element.FilterOperands or []
        if operator == ua.FilterOperator.OfType:
            return self._of_type(self._operand(operands[0], fields), fields)
        if operator == ua.FilterOperator.And:
            return all(self._operand(operand, fields) for operand in operands)
        if operator == ua.FilterOperator.Or:
            return any(self._operand(operand, fields) for operand in operands)
        return _OPERATIONS[operator](*(self._operand(operand, fields) for operand in operands))

    def _operand(self, operand: Any, fields: Fields) -> Any:  # noqa: ANN401
        if isinstance(operand, ua.ElementOperand):
            return self._element(operand.Index, fields)
        if isinstance(operand, ua.LiteralOperand):
            return operand.Value.Value if operand.Value is not None else None
        field = fields.get(path_of(operand))
        return field.Value if field is not None else None

    def _of_type(self, wanted: Any, fields: Fields) -> bool:  # noqa: ANN401
        return isinstance(wanted, ua.NodeId) and self._is_subtype(fields["EventType"].Value, wanted)


def _like(text: object, pattern: object) -> bool:
    r"""Part 4, table 129: `%` any characters, `_` one, `[…]` one of, `[^…]` none of, `\\` the next one as it is."""
    if not isinstance(text, str) or not isinstance(pattern, str) or len(pattern) > 200:
        return False
    parts, at = [], 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\" and at + 1 < len(pattern):
            at += 1
            parts.append(re.escape(pattern[at]))
        elif sign == "[" and (end := pattern.find("]", at)) > at + 1:
            inner = pattern[at + 1 : end]
            negated = "^" if inner.startswith("^") else ""
            parts.append(f"[{negated}{re.escape(inner.removeprefix('^'))}]")
            at = end
        else:
            # `.*?` once per run of `%`: two in a row would only be slow.
            parts.append(
                {"%": ".*", "_": "."}.get(sign, re.escape(sign)) if parts[-1:] != [".*"] or sign != "%" else ""
            )
        at += 1
    return pattern.count("%") <= 10 and re.fullmatch("".join(parts), text[:2000], re.DOTALL) is not None


_OPERATIONS: Final[dict[ua.FilterOperator, Callable[..., Any]]] = {
    ua.FilterOperator.Equals: lambda left, right: left == right,
    ua.FilterOperator.IsNull: lambda value: value is None,
    ua.FilterOperator.GreaterThan: lambda left, right: left > right,
    ua.FilterOperator.LessThan: lambda left, right: left < right,
    ua.FilterOperator.GreaterThanOrEqual: lambda left, right: left >= right,
    ua.FilterOperator.LessThanOrEqual: lambda left, right: left <= right,
    ua.FilterOperator.Like: _like,
    ua.FilterOperator.Not: lambda value: not value,
    ua.FilterOperator.Between: lambda value, low, high: low <= value <= high,
    ua.FilterOperator.InList: lambda value, *among: value in among,
}
# How many operands each takes.
_OPERANDS: Final[dict[ua.FilterOperator, tuple[int, int]]] = {
    **dict.fromkeys(_OPERATIONS, (2, 2)),
    ua.FilterOperator.IsNull: (1, 1),
    ua.FilterOperator.Not: (1, 1),
    ua.FilterOperator.Between: (3, 3),
    ua.FilterOperator.InList: (2, _MAX_OPERANDS),
    ua.FilterOperator.And: (2, 2),
    ua.FilterOperator.Or: (2, 2),
    ua.FilterOperator.OfType: (1, 1),
}
