"""The points of a table as nodes: one variable each, in folders along its path, and a method for each command.

A point is `ns=2;s=<tag>` and a folder `ns=2;s=/<path>`. A point of two states is a TwoStateDiscreteType, one with a
number an AnalogItemType with its range, its unit and what the instrument can show (part 8, clause 5.3.2). A command is
a variable that takes `true`, and beside it the method `<name>.Operate` that asks for the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from asyncua import ua

from twin.core import Point, PointTable
from twin.fieldbus.opcua.datatypes import ValueType
from twin.fieldbus.opcua.nodes import CAN_READ, CAN_READ_HISTORY, CAN_WRITE, Nodes, plant_node
from twin.fieldbus.opcua.units import engineering_unit

_WHOLE_RANGES: Final = {"int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1)}


class PointNodes:
    """The nodes of one side's points.

    Attributes:
        types: Type and bounds of each point's value, by its node.
        methods: The point that a method operates, by the nodes of its object and the method.
        folders: The nodes of the folders above each point, the nearest first, by its tag.
    """

    def __init__(self, nodes: Nodes, points: PointTable) -> None:
        self._nodes = nodes
        self._folders: set[str] = set()
        self.types: dict[ua.NodeId, ValueType] = {}
        self.methods: dict[tuple[ua.NodeId, ua.NodeId], Point] = {}
        self.folders: dict[str, tuple[ua.NodeId, ...]] = {}
        for point in points:
            self._add(point)

    def _add(self, point: Point) -> None:
        *above, leaf = point.opcua_path.split("/")
        folders = self._above(above)
        self.folders[point.tag] = tuple(reversed(folders))
        parent = folders[-1] if folders else ua.NodeId(ua.ObjectIds.ObjectsFolder)
        value = ValueType.of(point)
        node = self._nodes.variable(
            point.tag,
            parent,
            leaf,
            value.initial(),
            type_definition=_type_definition(value),
            description=point.description,
            access=CAN_READ | CAN_READ_HISTORY | (CAN_WRITE if point.writable else 0),
        )
        self.types[node] = value
        self._describe(node, value)
        if folders:
            self._nodes.refer(parent, ua.ObjectIds.HasEventSource, node)
        if point.kind == "command" and folders:
            self._add_method(point, parent, leaf)

    def _above(self, names: Sequence[str]) -> list[ua.NodeId]:
        """The folders of a path, made if need be; events of what lies below can be had of each."""
        objects, server = ua.NodeId(ua.ObjectIds.ObjectsFolder), ua.NodeId(ua.ObjectIds.Server)
        found: list[ua.NodeId] = []
        for depth, name in enumerate(names, start=1):
            path = "/" + "/".join(names[:depth])
            node = plant_node(path)
            if path not in self._folders:
                self._folders.add(path)
                parent = found[-1] if found else objects
                reference = ua.ObjectIds.HasComponent if found else ua.ObjectIds.Organizes
                self._nodes.place(path, parent, name, reference=reference, notifier=True)
                self._nodes.refer(found[-1] if found else server, ua.ObjectIds.HasNotifier, node)
            found.append(node)
        return found

    def _add_method(self, point: Point, parent: ua.NodeId, leaf: str) -> None:
        name, description = f"{point.tag}#Operate", point.description
        method = self._nodes.method(name, parent, f"{leaf}.Operate", description=description)
        self.methods[parent, method] = point

    def _describe(self, node: ua.NodeId, value: ValueType) -> None:
        point = value.point
        if value.type is ua.VariantType.Boolean:
            for name, text in (("FalseState", "off"), ("TrueState", "on")):
                self._nodes.property(node, name, _structure(ua.LocalizedText(text), ua.VariantType.LocalizedText))
        elif value.type is not ua.VariantType.String:
            range_type = ua.NodeId(ua.ObjectIds.Range)
            self._nodes.property(node, "EURange", _range(point.low, point.high), data_type=range_type)
            low, high = _instrument_range(point)
            self._nodes.property(node, "InstrumentRange", _range(low, high), data_type=range_type)
            if point.unit:
                unit = _structure(engineering_unit(point.unit), ua.VariantType.ExtensionObject)
                data_type = ua.NodeId(ua.ObjectIds.EUInformation)
                self._nodes.property(node, "EngineeringUnits", unit, data_type=data_type)


def _type_definition(value: ValueType) -> int:
    if value.type is ua.VariantType.Boolean:
        kind: int = ua.ObjectIds.TwoStateDiscreteType
    elif value.type is ua.VariantType.String:
        kind = ua.ObjectIds.BaseDataVariableType
    else:
        kind = ua.ObjectIds.AnalogItemType
    return kind


def _structure(value: object, kind: ua.VariantType) -> ua.Variant:
    return ua.Variant(value, kind)


def _range(low: float, high: float) -> ua.Variant:
    return ua.Variant(ua.Range(Low=float(low), High=float(high)), ua.VariantType.ExtensionObject)


def _instrument_range(point: Point) -> tuple[float, float]:
    """What the counts of a scaled point can show at most; its own range where that has no bounds."""
    bounds = _WHOLE_RANGES.get(point.datatype)
    if bounds is None or not math.isfinite(point.scale):
        return point.low, point.high
    # To twelve digits: a product in binary fractions would else read 3276.7000000000003.
    low, high = (float(f"{count * point.scale:.12g}") for count in bounds)
    return low, high
