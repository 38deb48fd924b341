"""Adds nodes to an address space: names that stay the same from start to start, and one place that knows how."""

from __future__ import annotations

from typing import Any, Final

from asyncua import ua
from asyncua.server.internal_server import InternalServer

# Index 0 is the specification's own namespace and 1 the application's, so the plant's is 2.
PLANT_NAMESPACE: Final = 2
SCALAR: Final = -1
SUBSCRIBE_TO_EVENTS: Final = 1

CAN_READ: Final = 1
CAN_WRITE: Final = 2
CAN_READ_HISTORY: Final = 4


def plant_node(name: str) -> ua.NodeId:
    """A node of the plant by its name, e.g. `ns=2;s=F6.P`."""
    return ua.NodeId(name, PLANT_NAMESPACE)


class Nodes:
    """Adds nodes of the plant to an address space.

    All names are of the plant's namespace but those of properties and components that the specification defines, whose
    browse names are in its own.
    """

    def __init__(self, server: InternalServer) -> None:
        self._server = server

    def node(self, node: ua.NodeId) -> Any:  # noqa: ANN401
        """What the address space holds of a node."""
        return self._server.aspace[node]

    def place(
        self,
        name: str,
        parent: ua.NodeId,
        browse_name: str,
        *,
        type_definition: int = ua.ObjectIds.FolderType,
        reference: int = ua.ObjectIds.HasComponent,
        description: str = "",
        notifier: bool = False,
        namespace: int = PLANT_NAMESPACE,
    ) -> ua.NodeId:
        """Add an object."""
        attributes = ua.ObjectAttributes(
            DisplayName=ua.LocalizedText(browse_name),
            Description=ua.LocalizedText(description or browse_name),
            EventNotifier=SUBSCRIBE_TO_EVENTS if notifier else 0,
        )
        where = (name, parent, reference, ua.NodeId(type_definition))
        return self._add(where, ua.QualifiedName(browse_name, namespace), ua.NodeClass.Object, attributes)

    def variable(
        self,
        name: str,
        parent: ua.NodeId,
        browse_name: str,
        value: ua.Variant,
        *,
        data_type: ua.NodeId | None = None,
        type_definition: int = ua.ObjectIds.BaseDataVariableType,
        reference: int = ua.ObjectIds.HasComponent,
        description: str = "",
        access: int = CAN_READ,
        namespace: int = PLANT_NAMESPACE,
    ) -> ua.NodeId:
        """Add a variable."""
        attributes = ua.VariableAttributes(
            DisplayName=ua.LocalizedText(browse_name),
            Description=ua.LocalizedText(description or browse_name),
            Value=value,
            DataType=data_type or ua.NodeId(value.VariantType.value),
            ValueRank=1 if value.is_array else SCALAR,
            ArrayDimensions=[0] if value.is_array else None,
            AccessLevel=access,
            UserAccessLevel=access,
            Historizing=bool(access & CAN_READ_HISTORY),
            MinimumSamplingInterval=0.0,
        )
        where = (name, parent, reference, ua.NodeId(type_definition))
        return self._add(where, ua.QualifiedName(browse_name, namespace), ua.NodeClass.Variable, attributes)

    def property(
        self, parent: ua.NodeId, browse_name: str, value: ua.Variant, *, data_type: ua.NodeId | None = None
    ) -> ua.NodeId:
        """Add a property that the specification defines."""
        return self.variable(
            f"{parent.Identifier}#{browse_name}",
            parent,
            browse_name,
            value,
            data_type=data_type,
            type_definition=ua.ObjectIds.PropertyType,
            reference=ua.ObjectIds.HasProperty,
            namespace=0,
        )

    def method(
        self,
        name: str,
        parent: ua.NodeId,
        browse_name: str,
        *,
        description: str = "",
        inputs: tuple[tuple[str, int], ...] = (),
        outputs: tuple[tuple[str, int], ...] = (),
        namespace: int = PLANT_NAMESPACE,
    ) -> ua.NodeId:
        """Add a method; arguments are names and standard data types."""
        attributes = ua.MethodAttributes(
            DisplayName=ua.LocalizedText(browse_name),
            Description=ua.LocalizedText(description or browse_name),
            Executable=True,
            UserExecutable=True,
        )
        where = (name, parent, ua.ObjectIds.HasComponent, ua.NodeId())
        node = self._add(where, ua.QualifiedName(browse_name, namespace), ua.NodeClass.Method, attributes)
        for property_name, arguments in (("InputArguments", inputs), ("OutputArguments", outputs)):
            if arguments:
                self.property(node, property_name, _arguments(arguments), data_type=ua.NodeId(ua.ObjectIds.Argument))
        return node

    def refer(self, source: ua.NodeId, reference: int, target: ua.NodeId) -> None:
        """Add a reference and its way back."""
        for start, end, forward in ((source, target, True), (target, source, False)):
            item = ua.AddReferencesItem()
            item.SourceNodeId, item.TargetNodeId = start, end
            item.ReferenceTypeId, item.IsForward = ua.NodeId(reference), forward
            item.TargetNodeClass = ua.NodeClass.Unspecified
            for result in self._server.node_mgt_service.add_references([item]):
                result.check()

    def _add(
        self,
        where: tuple[str, ua.NodeId, int, ua.NodeId],
        browse_name: ua.QualifiedName,
        node_class: ua.NodeClass,
        attributes: object,
    ) -> ua.NodeId:
        name, parent, reference, type_definition = where
        item = ua.AddNodesItem()
        item.RequestedNewNodeId = plant_node(name)
        item.BrowseName = browse_name
        item.NodeClass = node_class
        item.ParentNodeId = parent
        item.ReferenceTypeId = ua.NodeId(reference)
        item.TypeDefinition = type_definition
        item.NodeAttributes = attributes
        # Unchecked: the checked way stamps every value with the wall clock.
        for refused in self._server.node_mgt_service.try_add_nodes([item], check=False):
            raise ValueError(f"the node `{refused.RequestedNewNodeId.Identifier}` cannot be added a second time")
        return plant_node(name)


def _arguments(arguments: tuple[tuple[str, int], ...]) -> ua.Variant:
    described = [
        ua.Argument(Name=name, DataType=ua.NodeId(kind), ValueRank=SCALAR, Description=ua.LocalizedText(name))
        for name, kind in arguments
    ]
    return ua.Variant(described, ua.VariantType.ExtensionObject, is_array=True)
