"""Handles: how a task reaches a resource, and how what it handed on is taken back.

A handle is a number that means something to one task only. It carries rights, and descends from the handle it was
made of, so that everything made of a handle can be revoked at once, however far it was passed on. A revoked handle
stays open until its holder closes it, but nothing can be done by it.

Numbers are never used twice in the life of a task name, so a number that was closed, also by a former run of the
task, can never come to mean something else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from secureos.kernel.errors import HandleError
from secureos.kernel.program import Notice, ReturnCode
from secureos.kernel.rights import ALL, CALL, is_mask, lacking

MOST_HANDLES: Final = 256
"""How many handles a task may hold; notices beyond as many again are lost."""

CHANNEL: Final = "channel"
USER: Final = "user"


class Resource:
    """What a handle leads to: one security identifier, however many handles.

    Attributes:
        sid: For the policy.
        kind: `channel` (the provider is a task that serves requests) or `user`.
        provider: Name of the task that provides it.
        context: What the provider remembers it by; None of a channel, and once it is freed.
        root: The first handle to it; the kernel's own for a channel.
        live: Handles by which something can still be done.
        abroad: Those of them that others than the provider hold.
    """

    __slots__ = ("abroad", "context", "kind", "live", "provider", "root", "sid")

    def __init__(self, sid: int, kind: str, provider: str, context: int | str | None = None) -> None:
        self.sid = sid
        self.kind = kind
        self.provider = provider
        self.context = context
        self.live = 0
        self.abroad = 0
        self.root: Handle


class Handle:
    """One handle. It has a table and a number once its holder can name it.

    The kernel keeps the roots of channels, and static channels until their holder locates them.
    """

    __slots__ = ("children", "number", "open", "parent", "resource", "revoked", "rights", "table")

    def __init__(self, table: HandleTable | None, resource: Resource, rights: int, parent: Handle | None) -> None:
        self.table = table
        self.number = 0 if table is None else table.admit(self)
        self.resource = resource
        self.rights = rights
        self.parent = parent
        self.children: dict[Handle, None] = {}  # an ordered set
        self.revoked = False
        self.open = True
        if parent is not None:
            parent.children[self] = None
        resource.live += 1
        resource.abroad += self.is_abroad

    @property
    def lives(self) -> bool:
        """Whether something can be done by it."""
        return self.open and not self.revoked

    @property
    def is_abroad(self) -> bool:
        """Whether a task other than the provider holds it."""
        return self.table is not None and self.table.task != self.resource.provider

    def descendants(self) -> Iterator[Handle]:
        """All that was made of this handle, parents first."""
        waiting = deque(self.children)
        while waiting:
            one = waiting.popleft()
            yield one
            waiting.extend(one.children)


class HandleTable:
    """The handles of one task, by number, and the notices that wait for it.

    Attributes:
        open: By number.
        channels: The static channels of the task, by name, whether located or not.
    """

    def __init__(self, task: str) -> None:
        self.task = task
        self.open: dict[int, Handle] = {}
        self.channels: dict[str, Handle] = {}
        self.next_number = 1
        self._notices: deque[Notice] = deque()
        self._lost = False

    @property
    def room(self) -> int:
        """How many more handles there may be."""
        return MOST_HANDLES - len(self.open)

    def admit(self, handle: Handle) -> int:
        """Give a handle its number.

        Raises:
            HandleError: TABLE_FULL.
        """
        self.check_room(1)
        number = self.next_number
        self.next_number += 1
        self.open[number] = handle
        return number

    def dismiss(self, handle: Handle) -> None:
        """Forget a handle that was closed; a static channel that is closed is gone, by its name too."""
        del self.open[handle.number]
        self.channels = {name: one for name, one in self.channels.items() if one is not handle}

    def check_room(self, wanted: int) -> None:
        """See that there is room for so many more.

        Raises:
            HandleError: TABLE_FULL.
        """
        if self.room < wanted:
            raise HandleError(
                ReturnCode.TABLE_FULL, f"task `{self.task}` holds {MOST_HANDLES} handles, which is all it may"
            )

    def find(self, number: object) -> Handle:
        """The open handle behind a number, revoked or not.

        Raises:
            HandleError: BAD_HANDLE, HANDLE_CLOSED.
        """
        if type(number) is int:
            found = self.open.get(number)
            if found is not None:
                return found
            if 0 < number < self.next_number:
                raise HandleError(ReturnCode.HANDLE_CLOSED, f"task `{self.task}` closed its handle {number} before")
        raise HandleError(ReturnCode.BAD_HANDLE, f"task `{self.task}` was never given this handle")

    def use(self, number: object, rights: int = 0) -> Handle:
        """The handle behind a number, to do something by it that needs `rights`.

        Raises:
            HandleError: BAD_HANDLE, HANDLE_CLOSED, HANDLE_REVOKED, NO_RIGHT.
        """
        handle = self.find(number)
        if handle.revoked:
            raise HandleError(ReturnCode.HANDLE_REVOKED, f"handle {number} of task `{self.task}` was revoked")
        if lacking(rights, handle.rights):
            wanting = f"lacks the right {lacking(rights, handle.rights):#x}"
            raise HandleError(ReturnCode.NO_RIGHT, f"handle {number} of task `{self.task}` {wanting}")
        return handle

    def reaches(self, server: str) -> bool:
        """Whether the task holds anything by which it could send requests to a server now."""
        held = (one for one in (*self.open.values(), *self.channels.values()) if one.resource.kind == CHANNEL)
        return any(one.lives and one.resource.provider == server and not lacking(CALL, one.rights) for one in held)

    def tell(self, notice: Notice) -> None:
        """Keep a notice until it is asked for; what does not fit is lost, and that is told."""
        if len(self._notices) < MOST_HANDLES:
            self._notices.append(notice)
        else:
            self._lost = True

    def take_notices(self) -> list[Notice]:
        """The notices that wait, oldest first; they wait no longer."""
        taken = [*self._notices, *([Notice("lost", 0)] if self._lost else [])]
        self._notices.clear()
        self._lost = False
        return taken

    def snapshot(self) -> dict[str, Any]:
        """What is not a handle, as plain values; `Handles` writes down the handles of all tables."""
        notices = [[notice.kind, notice.handle] for notice in self._notices]
        return {"next": self.next_number, "notices": notices, "lost": self._lost}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave; the table is empty until `Handles` has filled it."""
        self.next_number, self._lost = state["next"], state["lost"]
        self._notices = deque(Notice(kind, handle) for kind, handle in state["notices"])
        self.open, self.channels = {}, {}


class Handles:
    """The tables of all tasks, and the trees of handles across them."""

    def __init__(self) -> None:
        self.tables: dict[str, HandleTable] = {}
        self.resources: dict[int, Resource] = {}  # by security identifier
        self.channels: dict[str, Resource] = {}  # by the task that serves there

    def table(self, task: str) -> HandleTable:
        """The table of a task; there is always one."""
        return self.tables.setdefault(task, HandleTable(task))

    # ---- making ----------------------------------------------------------------------------------------------------

    def open_channel(self, sid: int, server: str) -> Resource:
        """The resource by which a task is called; its root handle is the kernel's."""
        resource = self.channels[server] = self._resource(Resource(sid, CHANNEL, server))
        resource.root = Handle(None, resource, ALL, None)
        return resource

    def create(self, table: HandleTable, new_sid: Callable[[], int], rights: object, context: object) -> Handle:
        """A user resource and its first handle.

        Raises:
            HandleError: INVALID_ARGUMENT: `rights` is no mask, or `context` no number or text; TABLE_FULL.
        """
        if not is_mask(rights):
            raise HandleError(ReturnCode.INVALID_ARGUMENT, "the rights of a resource are a mask of 32 bits")
        if type(context) is not int and type(context) is not str:
            raise HandleError(ReturnCode.INVALID_ARGUMENT, "the context of a resource is a number or a text")
        table.check_room(1)
        resource = self._resource(Resource(new_sid(), USER, table.task, context))
        resource.root = Handle(table, resource, rights, None)
        return resource.root

    def connect(self, table: HandleTable, name: str, server: str, *, rights: int) -> None:
        """Give a task its static channel `name`; one of that name that it has already was revoked before."""
        old = table.channels.get(name)
        if old is not None and old.open and old.table is None:
            self.close(old)  # its holder never named it, so it cannot close it either
        root = self.channels[server].root
        table.channels[name] = Handle(None, root.resource, rights, root)

    def locate(self, table: HandleTable, name: str) -> Handle:
        """The handle of a static channel that the task has, in its table from now on.

        Raises:
            HandleError: TABLE_FULL.
        """
        handle = table.channels[name]
        if handle.table is None:
            handle.number = table.admit(handle)
            handle.table = table
        return handle

    def descend(self, handle: Handle, table: HandleTable, rights: int) -> Handle:
        """A handle for `table`, made of another with rights that this one has; the caller has checked both.

        Raises:
            HandleError: TABLE_FULL.
        """
        return Handle(table, handle.resource, rights, handle)

    # ---- unmaking --------------------------------------------------------------------------------------------------

    def close(self, handle: Handle) -> None:
        """Take a handle out of its table; its descendants stay, as descendants of the handle it was made of."""
        lived = handle.lives
        handle.open = False
        if handle.table is not None:
            handle.table.dismiss(handle)
        if lived:
            self._ended(handle)
        root = handle.resource.root
        if handle.parent is not None:
            _splice_out(handle, handle.parent)
        if not root.open and not root.children:
            del self.resources[root.resource.sid]

    def revoke(self, handle: Handle) -> None:
        """Make every descendant useless; they stay open, and their holders are told."""
        for one in handle.descendants():
            if one.lives:
                one.revoked = True
                if one.table is not None:
                    one.table.tell(Notice("revoked", one.number))
                self._ended(one)

    def drop(self, task: str) -> None:
        """A task ended: what it provides and what it passed on is revoked, what it holds is closed."""
        table = self.table(task)
        for handle in [*table.open.values(), *(one for one in table.channels.values() if one.table is None)]:
            self.revoke(handle)
            self.close(handle)
        table.channels.clear()
        for resource in [one for one in self.resources.values() if one.provider == task]:
            self.revoke(resource.root)
            if resource.root.open:
                self.close(resource.root)
        self.channels.pop(task, None)
        table.take_notices()

    # ---- keeping ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All tables and trees as plain values; parents stand before what descends from them."""
        trees = [one.root for one in self.resources.values()]
        handles = [handle for root in trees for handle in (root, *root.descendants())]
        place = {handle: number for number, handle in enumerate(handles)}
        return {
            "tables": {name: table.snapshot() for name, table in self.tables.items()},
            "resources": [[one.sid, one.kind, one.provider, one.context] for one in self.resources.values()],
            "handles": [_row(handle, place) for handle in handles],
            "channels": {name: _places(table.channels, place) for name, table in self.tables.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        for name, table in state["tables"].items():
            self.table(name).restore(table)
        self.resources = {row[0]: Resource(*row) for row in state["resources"]}
        made: list[Handle] = []
        for row in state["handles"]:
            made.append(self._remake(row, made))
        ways = [one for one in self.resources.values() if one.kind == CHANNEL and one.root.open]
        self.channels = {one.provider: one for one in ways}
        for name, places in state["channels"].items():
            self.tables[name].channels = {channel: made[place] for channel, place in places.items()}
        for table in self.tables.values():
            table.open = dict(sorted(table.open.items()))

    def _remake(self, row: list[Any], made: list[Handle]) -> Handle:
        sid, parent, task, number, rights, is_open, revoked = row
        resource = self.resources[sid]
        handle = Handle(None, resource, rights, None if parent is None else made[parent])
        if parent is None:
            resource.root = handle
        handle.table, handle.number = None if task is None else self.table(task), number
        handle.open, handle.revoked = is_open, revoked
        if handle.table is not None and is_open:
            handle.table.open[number] = handle
        resource.live += handle.lives - 1
        resource.abroad += handle.lives and handle.is_abroad
        return handle

    # ---- small things ----------------------------------------------------------------------------------------------

    def _resource(self, resource: Resource) -> Resource:
        self.resources[resource.sid] = resource
        return resource

    def _ended(self, handle: Handle) -> None:
        """One handle fewer by which something can be done; tells the provider, and frees what nobody can reach."""
        resource = handle.resource
        resource.live -= 1
        if handle.is_abroad:
            resource.abroad -= 1
            if resource.abroad == 0 and resource.kind == USER:
                self.table(resource.provider).tell(Notice("released", resource.root.number))
        if resource.live == 0:
            resource.context = None


def _splice_out(handle: Handle, parent: Handle) -> None:
    """Take a closed handle out of its tree: nobody can revoke by it any more, but by those above it."""
    del parent.children[handle]
    for child in handle.children:
        child.parent = parent
        parent.children[child] = None


def _row(handle: Handle, place: dict[Handle, int]) -> list[Any]:
    task = None if handle.table is None else handle.table.task
    parent = None if handle.parent is None else place[handle.parent]
    return [handle.resource.sid, parent, task, handle.number, handle.rights, handle.open, handle.revoked]


def _places(channels: dict[str, Handle], place: dict[Handle, int]) -> dict[str, int]:
    return {name: place[handle] for name, handle in channels.items()}
