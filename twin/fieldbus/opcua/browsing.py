"""Looking at the address space: Browse, BrowseNext and TranslateBrowsePathsToNodeIds (part 4, clause 5.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from asyncua import ua
from asyncua.server.internal_server import InternalServer

from twin.fieldbus.opcua.codes import fault, status
from twin.fieldbus.opcua.continuation import Continuations

_MOST_REFERENCES: Final = 1_000
_LONGEST_PATH: Final = 32
_MOST_TARGETS: Final = 1_000
_WHOLE_PATH: Final = 0xFFFFFFFF


class Browser:
    """What one session looks at.

    Args:
        server: Whose address space it is.
        most: How many continuation points a session may hold.
    """

    def __init__(self, server: InternalServer, most: int) -> None:
        self._space: Any = server.aspace
        self._views: Any = server.view_service
        self._left: Continuations[tuple[list[ua.ReferenceDescription], int]] = Continuations(most)

    def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        """The references of each node.

        Raises:
            ServiceError: Bad_ViewIdUnknown; there are no views.
        """
        if params.View is not None and params.View.ViewId is not None and not params.View.ViewId.is_null():
            raise fault("BadViewIdUnknown")
        most = min(params.RequestedMaxReferencesPerNode or _MOST_REFERENCES, _MOST_REFERENCES)
        return [self._browse(description, most) for description in params.NodesToBrowse]

    def browse_next(self, params: ua.BrowseNextParameters) -> list[ua.BrowseResult]:
        """The references that were left, or nothing where they are only let go of."""
        results = []
        for point in params.ContinuationPoints or ():
            left = self._left.take(point)
            if left is None:
                results.append(ua.BrowseResult(StatusCode=status("BadContinuationPointInvalid")))
            elif params.ReleaseContinuationPoints:
                results.append(ua.BrowseResult(StatusCode=status("Good")))
            else:
                results.append(self._part(*left))
        return results

    def _browse(self, description: ua.BrowseDescription, most: int) -> ua.BrowseResult:
        node = self._space.get(description.NodeId)
        kind = description.ReferenceTypeId
        if node is None:
            return ua.BrowseResult(StatusCode=status("BadNodeIdUnknown"))
        if description.BrowseDirection not in (0, 1, 2):
            return ua.BrowseResult(StatusCode=status("BadBrowseDirectionInvalid"))
        if not kind.is_null() and kind not in self._space:
            return ua.BrowseResult(StatusCode=status("BadReferenceTypeIdInvalid"))
        suitable = [ref for ref in node.references if self._views._is_suitable_ref(description, ref)]
        return self._part(suitable, most)

    def _part(self, references: list[ua.ReferenceDescription], most: int) -> ua.BrowseResult:
        result = ua.BrowseResult(StatusCode=status("Good"), References=references[:most])
        if len(references) > most:
            point = self._left.keep((references[most:], most))
            if point is None:
                return ua.BrowseResult(StatusCode=status("BadNoContinuationPoints"))
            result.ContinuationPoint = point
        return result

    def translate(self, paths: Sequence[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        """The nodes at the ends of paths of browse names."""
        return [self._translate(path) for path in paths]

    def _translate(self, path: ua.BrowsePath) -> ua.BrowsePathResult:
        elements = path.RelativePath.Elements or []
        if path.StartingNode not in self._space:
            return ua.BrowsePathResult(StatusCode=status("BadNodeIdUnknown"))
        if not elements:
            return ua.BrowsePathResult(StatusCode=status("BadNothingToDo"))
        if len(elements) > _LONGEST_PATH:
            return ua.BrowsePathResult(StatusCode=status("BadQueryTooComplex"))
        if any(element.TargetName is None or not element.TargetName.Name for element in elements):
            return ua.BrowsePathResult(StatusCode=status("BadBrowseNameInvalid"))
        # A dictionary, because a node that several ways lead to is one node, and would else multiply at each step.
        found: dict[ua.NodeId, None] = {path.StartingNode: None}
        for element in elements:
            steps = (self._views._find_elements_in_node(element, node) for node in found)
            found = dict.fromkeys(node for step in steps for node in step if node in self._space)
        if not found:
            return ua.BrowsePathResult(StatusCode=status("BadNoMatch"))
        targets = [
            ua.BrowsePathTarget(TargetId=node, RemainingPathIndex=_WHOLE_PATH) for node in list(found)[:_MOST_TARGETS]
        ]
        return ua.BrowsePathResult(StatusCode=status("Good"), Targets=targets)
