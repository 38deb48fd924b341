"""Tasks and handles as plainly as can be: nothing is forgotten, and every question is answered by looking at all."""

from dataclasses import dataclass, field

from secureos.kernel import ReturnCode
from secureos.kernel.rights import CALL, TRANSFER

LINKS = {"a": {}, "b": {"to_a": ("a", CALL | TRANSFER)}, "c": {"to_b": ("b", CALL), "to_a": ("a", CALL)}}
RESTARTS, BACKOFF_NS, FORGIVEN_NS = 3, 100_000_000, 60_000_000_000


@dataclass(eq=False)
class Thing:
    sid: int
    kind: str
    provider: str
    context: object = None
    root: object = None


@dataclass(eq=False)
class Grip:
    thing: Thing
    rights: int
    parent: object
    task: str | None
    number: int = 0
    open: bool = True
    revoked: bool = False

    @property
    def lives(self):
        return self.open and not self.revoked

    def comes_from(self, other):
        one = self.parent
        while one is not None:
            if one is other:
                return True
            one = one.parent
        return False


@dataclass
class Worker:
    name: str
    sid: int = 0
    state: str = "running"
    numbers: int = 0
    channels: dict = field(default_factory=dict)
    notices: list = field(default_factory=list)
    faults: int = 0
    started: int = 0
    due: int | None = None
    restarts: int = 0


class Refused(Exception):
    """The return code that is due."""

    def __init__(self, code):
        self.code = code


class Model:
    def __init__(self):
        self.now = 0
        self.sids = 2
        self.poke = True
        self.grips, self.things, self.failed = [], [], []
        self.workers = {name: Worker(name) for name in LINKS}
        for name in LINKS:
            self.workers[name].state = "absent"
        for worker in self.workers.values():
            self.begin(worker)

    # ---- tasks

    def begin(self, worker):
        self.sids += 1
        worker.sid, worker.state, worker.due = self.sids, "running", None
        door = Thing(worker.sid, "channel", worker.name)
        door.root = self.grip(door, 2**32 - 1, None, None)
        self.things.append(door)
        for client, links in LINKS.items():
            for name, (server, rights) in links.items():
                ends = (self.workers[client], self.workers[server])
                if worker in ends and all(one.state == "running" for one in ends):
                    old = self.workers[client].channels.get(name)
                    if old is not None and old.number == 0:
                        old.open = False
                    way = next(t for t in reversed(self.things) if (t.kind, t.provider) == ("channel", server))
                    self.workers[client].channels[name] = self.grip(way, rights, way.root, None, holder=client)

    def grip(self, thing, rights, parent, task, holder=None):
        made = Grip(thing, rights, parent, task or holder)
        if task is not None:
            made.number = self.number(task)
        self.grips.append(made)
        return made

    def number(self, task):
        self.workers[task].numbers += 1
        return self.workers[task].numbers

    def fault(self, name):
        worker = self.workers[name]
        with self.watching(silent=name):
            for one in self.grips:
                held = any(above.task == name and above.open for above in self.grips if one.comes_from(above))
                if held or (one.comes_from(one.thing.root) and one.thing.provider == name):
                    self.take(one)
            for one in self.grips:
                if one.task == name or (one.thing.provider == name and one is one.thing.root):
                    one.open = False
        worker.channels, worker.notices = {}, []
        if self.now - worker.started >= FORGIVEN_NS:
            worker.faults = 0
        worker.faults += 1
        worker.state = "stopped"
        worker.due = self.now + BACKOFF_NS * 2 ** (worker.faults - 1)
        if worker.faults > RESTARTS:
            worker.state, worker.due = "failed", None
            self.failed.append(name)

    def tick(self):
        for worker in self.workers.values():
            if worker.due is not None and worker.due <= self.now:
                worker.restarts += 1
                worker.started = self.now
                self.begin(worker)

    # ---- handles

    def find(self, task, number):
        for one in self.grips:
            if one.task == task and one.number == number and one.open and number:
                return one
        closed = 0 < number <= self.workers[task].numbers
        raise Refused(ReturnCode.HANDLE_CLOSED if closed else ReturnCode.BAD_HANDLE)

    def use(self, task, number, rights=0):
        one = self.find(task, number)
        if one.revoked:
            raise Refused(ReturnCode.HANDLE_REVOKED)
        if rights & ~one.rights:
            raise Refused(ReturnCode.NO_RIGHT)
        return one

    def take(self, one):
        if one.lives and one.number:
            self.workers[one.task].notices.append(("revoked", one.number))
        one.revoked = one.revoked or one.open

    def abroad(self, thing):
        return sum(g.lives and g.thing is thing and g.task not in (None, thing.provider) for g in self.grips)

    def watching(self, silent=None):
        return Watch(self, silent)

    def locate(self, task, name):
        grip = self.workers[task].channels.get(name)
        if grip is None:
            raise Refused(ReturnCode.NOT_CONNECTED)
        grip.number = grip.number or self.number(task)
        return grip.number

    def create(self, task, rights, context):
        self.sids += 1
        thing = Thing(self.sids, "user", task, context)
        self.things.append(thing)
        thing.root = self.grip(thing, rights, None, task)
        return thing.root.number

    def dereference(self, task, number):
        thing = self.use(task, number).thing
        if thing.kind != "user" or thing.provider != task:
            raise Refused(ReturnCode.HANDLE_FOREIGN)
        return thing.context

    def close(self, task, number):
        one = self.find(task, number)
        with self.watching():
            one.open = False
        worker = self.workers[task]
        worker.channels = {name: held for name, held in worker.channels.items() if held is not one}

    def revoke(self, task, number):
        top = self.use(task, number)
        with self.watching():
            for one in self.grips:
                if one.comes_from(top):
                    self.take(one)

    def server(self, task, channel):
        """Who is called."""
        if isinstance(channel, str):
            server = LINKS[task].get(channel, (None,))[0]
            if server is not None and self.workers[server].state != "running":
                raise Refused(ReturnCode.FAILED)
            if channel not in self.workers[task].channels:
                raise Refused(ReturnCode.NOT_CONNECTED)
            return server
        one = self.use(task, channel, CALL)
        if one.thing.kind != "channel":
            raise Refused(ReturnCode.HANDLE_FOREIGN)
        return one.thing.provider

    def hand(self, sender, number, rights, receiver):
        """A handle travels; the receiver's number, which is 0 for none."""
        if (number, rights) == (0, 0):
            return 0
        one = self.use(sender, number, TRANSFER)
        if rights & ~one.rights:
            raise Refused(ReturnCode.NO_RIGHT)
        return self.grip(one.thing, rights, one, receiver).number


class Watch:
    """Tells providers when the last handle abroad is gone."""

    def __init__(self, model, silent):
        self.model, self.silent = model, silent

    def __enter__(self):
        users = [thing for thing in self.model.things if thing.kind == "user"]
        self.before = [(thing, self.model.abroad(thing)) for thing in users]

    def __exit__(self, *_):
        for thing, count in self.before:
            if count and not self.model.abroad(thing):
                self.model.workers[thing.provider].notices.append(("released", thing.root.number))
