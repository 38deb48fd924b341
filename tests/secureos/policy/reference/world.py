"""A small world for random policies: its descriptions, what its messages hold, and random events in it."""

from __future__ import annotations

from dataclasses import replace

from secureos.policy import Event

FILES = {
    "w/Act.idl": """package w.Act
struct Head { UInt8 kind; SInt32 code; }
union Either { UInt8 one; SInt32 other; }
interface {
    Set(in SInt32 level, in UInt8 mode, in UInt64 big, in string<16> text, in sequence<string<8>, 4> tags,
        in sequence<SInt32, 4> values, in Head head, in sequence<Head, 2> heads, in array<UInt8, 3> bits,
        out UInt8 mode, error UInt8 mode);
    Put(in UInt8 mode, in sequence<UInt8, 4> list, out UInt8 mode);
    Ask(in string<16> text, in string<16> other, in UInt8 mode, in UInt8 kind, in SInt32 level, in Head head,
        in Either either, in Handle handle, in bytes<4> raw);
    Stop(in UInt8 mode);
}""",
    "w/Tell.idl": """package w.Tell
interface {
    Report(in sequence<string<8>, 4> tags, in sequence<SInt32, 4> values, in sequence<UInt8, 4> quality);
    Note(in UInt8 mode);
}""",
    "w/Part.cdl": "component w.Part\nendpoints { act : w.Act }",
    "w/Client.edl": "task class w.Client",
    "w/Server.edl": "task class w.Server\nsecurity w.Tell\nendpoints { act : w.Act }\ncomponents { part : w.Part }",
    "w/Other.edl": "task class w.Other\nendpoints { act : w.Act }",
    "w/Unused.edl": "task class w.Unused\nendpoints { act : w.Act }",
}

CLASSES = ("w.Client", "w.Server", "w.Other")
SERVERS = {"w.Server": ("act", "part.act"), "w.Other": ("act",)}
METHODS = ("Set", "Put", "Ask", "Stop")
TAGS = ("a", "b", "c", "a.P", "b.P", "a.on")
TEXTS = ("", "a", "ab", "abc", "b1", "x")
HEAD = "execute: kl.core.Execute\nuse EDL kl.core.Core\nuse EDL Einit\n" + "".join(
    f"use EDL {name}\n" for name in CLASSES
)

KINDS = ("execute", "request", "response", "error", "security")

# What a message holds: integers with their signs, texts, and runs by what is in them.
FIELDS = {
    "Set": {
        "int": (
            "message.level", "message.mode", "message.big", "message.head.kind", "message.head.code",
            "message.heads.[0].code", "message.heads.[1].kind", "message.bits.[2]", "message.values.[0]",
            "message.values.[3]",
        ),
        "signed": ("message.level", "message.head.code"),
        "text": ("message.text", "message.tags.[0]"),
        "ints": ("message.values", "message.bits"),
        "texts": ("message.tags",),
        "heads": ("message.head", "message.heads", "message.heads.[0]"),
    },
    "Ask": {
        "int": ("message.level", "message.mode", "message.mode", "message.kind", "message.head.code",
                "message.either.one", "message.either.other", "message.handle.handle", "message.handle.rights"),
        "signed": ("message.level",),
        "text": ("message.text", "message.other"),
        "heads": ("message.head",),
    },
    "Put": {"int": ("message.mode", "message.list.[1]"), "ints": ("message.list",)},
    "Report": {
        "int": ("message.values.[0]", "message.quality.[0]"),
        "texts": ("message.tags",),
        "ints": ("message.values", "message.quality"),
        "text": ("message.tags.[1]",),
    },
    "Note": {"int": ("message.mode",)},
    "reply": {"int": ("message.mode",)},
    "any": {"int": ("message.mode",)},
    "": {},
}  # fmt: skip


PACES = ((0, 0, 1, 300_000, 1_000_000, 5_000_000), (0, 0, 0, 0, 1, 1_000, 200_000, 1_000_000))
"""How time may go on between two events (ns)."""


class MessageMaker:
    """Makes random events, most of them such that a rule could speak of them; time goes on by chance."""

    def __init__(self, source):
        self.source = source
        self.now = 0
        self.pace = source.choice(PACES)
        self.last = None

    def event(self):
        self.now += self.source.choice(self.pace)
        kind = self.source.choices(("request", "execute", "security", "response", "error"), (9, 3, 5, 1, 1))[0]
        event = getattr(self, f"on_{kind}")()
        if self.source.random() < 0.02:
            setattr(event, *self.source.choice(SLIPS))
        return event

    def sid(self):
        return self.source.randint(1, 3)

    def on_execute(self):
        src = self.source.choice(("Einit", "kl.core.Core", "w.Server"))
        return Event("execute", self.now, self.sid(), self.sid(), src, self.source.choice(CLASSES))

    def on_security(self):
        method = self.source.choice(("Report", "Report", "Note"))
        message = self.report() if method == "Report" else {"mode": self.small()}
        return Event("security", self.now, self.sid(), None, "w.Server", None, "", method, message)

    def on_request(self):
        if self.last is not None and self.source.random() < 0.5:
            return self.further()
        dst, endpoint, method, message = self.called()
        src = self.source.choice(CLASSES)
        event = Event("request", self.now, self.sid(), self.sid(), src, dst, endpoint, method, message)
        self.last = event if method == "Ask" else None
        return event

    def further(self):
        """Much the same `Ask` again, of the next kind, perhaps by somebody else: so what is begun gets ended."""
        message = {**self.last.message, "kind": (self.last.message["kind"] + 1) % 4}
        who = self.last.src_sid
        if self.source.random() < 0.5:
            who, message["text"], message["other"] = self.sid(), self.text(), self.text()
        self.last = replace(self.last, at_ns=self.now, src_sid=who, message=message)
        return replace(self.last)

    def on_response(self):
        src, endpoint, method, _ = self.called()
        message = {} if method in ("Ask", "Stop") else {"mode": self.small()}
        dst = self.source.choice(CLASSES)
        return Event("response", self.now, self.sid(), self.sid(), src, dst, endpoint, method, message)

    def on_error(self):
        event = self.on_response()
        event.kind = "error"
        if event.method != "Set":
            event.message = {}
        return event

    def called(self):
        server = self.source.choice(tuple(SERVERS))
        method = self.source.choices(METHODS, (5, 2, 8, 1))[0]
        return server, self.source.choice(SERVERS[server]), method, getattr(self, method.lower())()

    def small(self):
        return self.source.choice((0, 1, 2, 3, self.source.choice((0, 1, self.source.randrange(256)))))

    def number(self):
        wide = (-1, -(2**31), 2**31 - 1, self.source.randint(-(2**31), 2**31 - 1))
        return self.source.choice((0, 1, 2, 3, 4, 6, -2, self.source.choice(wide)))

    def run(self, make, limit=4):
        return [make() for _ in range(self.source.randint(0, limit))]

    def rows(self, tags):
        """Points, and so many values; seldom as many as it happens, and a point seldom twice."""
        found = self.run(lambda: self.source.choice(tags))
        if self.source.random() < 0.9:
            found = list(dict.fromkeys(found))
        if self.source.random() < 0.1:
            return found, self.run(self.number)
        return found, [self.number() for _ in found]

    def text(self):
        return self.source.choice(TEXTS)

    def head(self):
        return {"kind": self.small(), "code": self.number()}

    def set(self):
        tags, values = self.rows(TAGS[:3] * 3 + TAGS)
        return {
            "level": self.number(),
            "mode": self.small(),
            "big": self.source.choice((0, 1, 2, 2**63, 2**64 - 1)),
            "text": self.text(),
            "tags": tags,
            "values": values,
            "head": self.head(),
            "heads": self.run(self.head, 2),
            "bits": [self.small() for _ in range(3)],
        }

    def put(self):
        return {"mode": self.small(), "list": self.run(self.small)}

    def ask(self):
        kind = self.source.choice((0, 0, 1, 1, 2, 2, 3, 4))
        head = {"kind": 0, "code": self.source.choice((0, 0, 1))}
        return {
            **{"text": self.text(), "other": self.text(), "mode": self.small(), "kind": kind},
            **{"level": self.number(), "head": head, "either": {self.source.choice(("one", "other")): self.small()}},
            **{"handle": self.handle(), "raw": self.source.randbytes(self.source.randint(0, 4))},
        }

    def handle(self):
        return {"handle": self.source.choice((1, 2, 3, 2**64 - 1)), "rights": self.small()}

    def stop(self):
        return {"mode": self.small()}

    def report(self):
        tags, values = self.rows(("a", "b", *TAGS))
        bad = self.source.choice((0, 0, 0, 1, 192))
        return {"tags": tags, "values": values, "quality": [self.source.choice((0, 0, bad)) for _ in values]}


SLIPS = (
    ("src", "w.Unused"), ("dst", "w.Unused"), ("dst", None), ("method", "Nope"), ("endpoint", "nope"), ("at_ns", -1),
    ("endpoint", ""), ("method", ""), ("kind", "execute"), ("kind", "security"), ("kind", "response"),
)  # fmt: skip
