"""Files that clients open, read, write and close (part 5, clause 7.2: FileType; part 20, clause 4).

A file is fetched whole when it is opened for reading and stored whole when it is closed after writing, so a client that
vanishes in between changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua

from twin.fieldbus.opcua.nodes import Nodes, plant_node
from twin.fieldbus.opcua.station import FileEntry, FileProvider
from twin.fieldbus.peer import Peer
from twin.fieldbus.refusal import Refusal

_T = ua.VariantType
_READ, _WRITE, _ERASE, _APPEND = 1, 2, 4, 8
_MOST_PER_READ: Final = 65_536
_HANDLE: Final = ("FileHandle", _T.UInt32.value)

# Browse names, the type's own methods, input and output arguments.
_METHODS: Final = {
    "open": ("Open", ua.ObjectIds.FileType_Open, (("Mode", _T.Byte.value),), (_HANDLE,)),
    "close": ("Close", ua.ObjectIds.FileType_Close, (_HANDLE,), ()),
    "read": (
        "Read",
        ua.ObjectIds.FileType_Read,
        (_HANDLE, ("Length", _T.Int32.value)),
        (("Data", _T.ByteString.value),),
    ),
    "write": ("Write", ua.ObjectIds.FileType_Write, (_HANDLE, ("Data", _T.ByteString.value)), ()),
    "get_position": (
        "GetPosition",
        ua.ObjectIds.FileType_GetPosition,
        (_HANDLE,),
        (("Position", _T.UInt64.value),),
    ),
    "set_position": ("SetPosition", ua.ObjectIds.FileType_SetPosition, (_HANDLE, ("Position", _T.UInt64.value)), ()),
}


@dataclass
class _OpenFile:
    """One file that a session has open."""

    entry: FileEntry
    mode: int
    content: bytearray
    position: int = 0


@dataclass
class OpenFiles:
    """What one session has open; forgotten with it."""

    most: int
    by_handle: dict[int, _OpenFile] = field(default_factory=dict)
    next_handle: int = 1


class Files:
    """The files of a server.

    Attributes:
        methods: File and what is asked of it, by the nodes of an object and a method of it.
    """

    def __init__(self, nodes: Nodes, provider: FileProvider) -> None:
        self._nodes, self._provider = nodes, provider
        self.methods: dict[tuple[ua.NodeId, ua.NodeId], tuple[FileEntry, str]] = {}
        self._open_counts: dict[str, int] = {}
        objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
        folder = nodes.place("#Files", objects, "Files", reference=ua.ObjectIds.Organizes, description="Files")
        for entry in provider.entries:
            self._place(folder, entry)

    def _place(self, folder: ua.NodeId, entry: FileEntry) -> None:
        name = f"#Files/{entry.name}"
        node = self._nodes.place(
            name, folder, entry.name, type_definition=ua.ObjectIds.FileType, description=entry.description
        )
        for property_name, value in (
            ("Size", ua.Variant(0, _T.UInt64)),
            ("Writable", ua.Variant(entry.writable, _T.Boolean)),
            ("UserWritable", ua.Variant(entry.writable, _T.Boolean)),
            ("OpenCount", ua.Variant(0, _T.UInt16)),
        ):
            self._nodes.property(node, property_name, value)
        for asked, (method_name, standard, inputs, outputs) in _METHODS.items():
            own = self._nodes.method(
                f"{name}/{method_name}", node, method_name, inputs=inputs, outputs=outputs, namespace=0
            )
            self.methods[node, own] = self.methods[node, ua.NodeId(standard)] = (entry, asked)

    def ask(self, call: tuple[FileEntry, str], arguments: Sequence[Any], opened: OpenFiles, peer: Peer) -> list[Any]:
        """Do what is asked; the values of the output arguments.

        Raises:
            Refusal: It was not done.
        """
        entry, asked = call
        if asked == "open":
            return [self._open(entry, arguments[0], opened, peer)]
        held = opened.by_handle.get(arguments[0])
        if held is None or held.entry.name != entry.name:
            raise Refusal("wrong_type", f"`{arguments[0]}` is no handle of `{entry.name}`")
        if asked == "close":
            self._close(arguments[0], opened, peer)
            return []
        if asked == "read":
            return [_read(held, arguments[1])]
        if asked == "write":
            return _write(held, arguments[1])
        if asked == "set_position":
            held.position = min(arguments[1], len(held.content))
            return []
        return [held.position]

    def forget(self, opened: OpenFiles) -> None:
        """Close what a session that ended left open; nothing is stored."""
        for handle in list(opened.by_handle):
            self._drop(handle, opened)

    def _open(self, entry: FileEntry, mode: int, opened: OpenFiles, peer: Peer) -> int:
        if not mode & (_READ | _WRITE) or mode & ~0x0F or (mode & (_ERASE | _APPEND) and not mode & _WRITE):
            raise Refusal("wrong_type", f"{mode} is no mode to open a file in")
        if mode & _WRITE and not entry.writable:
            raise Refusal("not_writable", f"`{entry.name}` is not written to")
        if len(opened.by_handle) >= opened.most:
            raise Refusal("busy", f"{opened.most} files are open already")
        erased = bool(mode & _ERASE)
        content = bytearray() if erased else bytearray(self._provider.fetch(entry.name, peer))
        held = _OpenFile(entry, mode, content, len(content) if mode & _APPEND else 0)
        handle = opened.next_handle
        opened.next_handle += 1
        opened.by_handle[handle] = held
        self._count(entry.name, 1)
        self._show(entry.name, "Size", ua.Variant(len(content), _T.UInt64))
        return handle

    def _close(self, handle: int, opened: OpenFiles, peer: Peer) -> None:
        held = self._drop(handle, opened)
        if held.mode & _WRITE:
            self._provider.store(held.entry.name, bytes(held.content), peer)
            self._show(held.entry.name, "Size", ua.Variant(len(held.content), _T.UInt64))

    def _drop(self, handle: int, opened: OpenFiles) -> _OpenFile:
        held = opened.by_handle.pop(handle)
        self._count(held.entry.name, -1)
        return held

    def _count(self, name: str, by: int) -> None:
        self._open_counts[name] = self._open_counts.get(name, 0) + by
        self._show(name, "OpenCount", ua.Variant(self._open_counts[name], _T.UInt16))

    def _show(self, name: str, property_name: str, value: ua.Variant) -> None:
        node = self._nodes.node(plant_node(f"#Files/{name}#{property_name}"))
        node.attributes[ua.AttributeIds.Value].value = ua.DataValue(value)


def _read(held: _OpenFile, length: int) -> bytes:
    if not held.mode & _READ:
        raise Refusal("wrong_state", f"`{held.entry.name}` was not opened for reading")
    if length <= 0:
        raise Refusal("wrong_type", f"{length} bytes cannot be read")
    part = bytes(held.content[held.position : held.position + min(length, _MOST_PER_READ)])
    held.position += len(part)
    return part


def _write(held: _OpenFile, content: bytes | None) -> list[Any]:
    if not held.mode & _WRITE:
        raise Refusal("wrong_state", f"`{held.entry.name}` was not opened for writing")
    part = content or b""
    if held.position + len(part) > held.entry.max_bytes:
        raise Refusal("busy", f"`{held.entry.name}` may be {held.entry.max_bytes} bytes long at most")
    held.content[held.position : held.position + len(part)] = part
    held.position += len(part)
    return []
