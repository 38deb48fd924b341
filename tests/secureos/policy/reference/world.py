"""A small world for random policies: its descriptions, its policies, its messages. Everything comes from one seed."""

from __future__ import annotations

from secureos.policy import Event

FILES = {
    "w/Act.idl": """package w.Act
struct Head { UInt8 kind; SInt32 code; }
interface {
    Set(in SInt32 level, in UInt8 mode, in UInt64 big, in string<16> text, in sequence<string<8>, 4> tags,
        in sequence<SInt32, 4> values, in Head head, in sequence<Head, 2> heads, in array<UInt8, 3> bits,
        out UInt8 mode, error UInt8 mode);
    Put(in UInt8 mode, in sequence<UInt8, 4> list, out UInt8 mode);
    Stop();
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
METHODS = ("Set", "Put", "Stop")
TAGS = ("a", "b", "c", "a.P", "b.P", "a.on")
TEXTS = ("", "a", "ab", "abc", "b1", "x")
PATTERNS = ("a", "a*", "ab|abc", "[a-c]+", "b[0-9]", ".", "", "(a|b)+.?")
STATES = ("s0", "s1", "s2")
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
    "": {},
}  # fmt: skip


class PolicyMaker:
    """Makes the text of one random policy.

    Attributes:
        lines: Its declarations; leaving some out may make a smaller policy that still shows the same.
    """

    def __init__(self, source):
        self.source = source
        self.pick = source.choice
        self.lines = [self.objects(), *(self.binding() for _ in range(source.randint(1, 14)))]
        self.lines += [
            f"{kind} {{ {self.pick(('grant ()', 'second.grant ()'))} }}" for kind in KINDS if self.maybe(0.6)
        ]
        self.source.shuffle(self.lines)

    def text(self, lines=None):
        return HEAD + "\n".join(self.lines if lines is None else lines) + "\n"

    def maybe(self, chance=0.5):
        return self.source.random() < chance

    # ---- declarations ----------------------------------------------------------------------------------------------

    def objects(self):
        number, pick = self.source.randint, self.pick
        following = ", ".join(
            f'"{state}" : [{", ".join(f"{chr(34)}{to}{chr(34)}" for to in STATES if self.maybe())}]'
            for state in STATES
            if self.maybe(0.8)
        )
        levels = pick(('["LOW", "MID", "HIGH"]', '{ degrees : ["LOW", "MID", "HIGH"], categories : ["a", "b"] }'))
        self.categories = levels.startswith("{")
        return f"""policy object life : Flow {{
    type State = "s0" | "s1" | "s2"
    config = {{ states : ["s0", "s1", "s2"], initial : "{pick(STATES)}", transitions : {{ {following} }} }} }}
policy object ports : HashSet {{ type Entry = {pick(("UInt8", "SInt32", "UInt64"))}
    config = {{ set_size : {number(1, 3)}, pool_size : {number(1, 3)} }} }}
policy object win : StaticMap {{ type Value = {pick(("UInt8", "SInt32"))}
    config = {{ keys : {{ "a" : {number(0, 3)}, "ab" : 2 }}, pool_size : {number(1, 3)} }} }}
policy object mic : Mic {{ config = {levels} }}
policy object re : Regex {{ }}
policy object tagged : PointSet {{ config = ["a", "{pick(("b", "c"))}"] }}
policy object numbers : PointSet {{ config = [1, {number(2, 4)}] }}
policy object minute : Budget {{ config = {{ limit : {number(1, 12)}, window_ms : {number(1, 3)}, max_age_ms : 2,
    weighs : {{ "a" : {{ by : "a.P", at_least : {number(0, 3)}, until : "a.on" }},
               "b" : {{ by : "b.P", at_least : 1 }} }} }} }}
policy object pace : Rate {{ config = {{ count : {number(1, 3)}, per_ms : {number(1, 4)},
    burst : {number(1, 3)}, subjects : {number(1, 3)} }} }}
policy object second : Base {{ }}
audit profile some = {{ 0 : {{ }},
    1 : {{ base : {{ kss : ["denied"] }}, second : {{ kss : ["granted"] }},
           re : {{ kss : ["granted"], emit : ["match"] }} }},
    2 : {{ life : {{ kss : ["granted", "denied"], omit : ["{pick(STATES)}"] }}, mic : {{ kss : ["denied"] }} }} }}
audit profile full = {{ 0 : {{ base : {{ kss : ["granted", "denied"] }} }}, 1 : {{ base : {{ kss : ["granted"] }} }} }}
audit default = {pick(("some", "full", "empty"))} {number(0, 2)}"""

    def binding(self):
        kind = self.pick(("request",) * 5 + ("execute", "execute", "security", "security", "response", "error"))
        selectors, message = getattr(self, f"on_{kind}")()
        self.kind, self.selectors, self.message = kind, selectors, FIELDS[message]
        return f"{kind} {' '.join(selectors)} {{\n{self.body(2)} }}"

    def some(self, selectors, chance=0.35):
        kept = [selector for selector in selectors if self.maybe(chance)]
        self.source.shuffle(kept)
        return kept

    def on_execute(self):
        return self.some((f"src={self.pick(('Einit', 'kl.core.Core', 'w.Server'))}", f"dst={self.pick(CLASSES)}")), ""

    def on_security(self):
        method = self.pick(("Report", "Note"))
        if self.maybe(0.8):
            return [*self.some(("src=w.Server", "interface=w.Tell")), f"method={method}"], method
        return self.some(("src=w.Server",)), ""

    def on_request(self):
        server, method = self.pick(tuple(SERVERS)), self.pick(METHODS)
        endpoint = self.pick(SERVERS[server])
        where = [f"src={self.pick(CLASSES)}", f"dst={server}", f"endpoint={endpoint}", "interface=w.Act"]
        where += ["component=w.Part"] if endpoint == "part.act" and self.maybe() else []
        if method != "Stop" and self.maybe(0.8):
            return [*self.some(where), f"method={method}"], method
        return self.some((*where, f"method={method}"), 0.4), ""

    def on_response(self):
        where = (f"src={self.pick(tuple(SERVERS))}", f"dst={self.pick(CLASSES)}", "interface=w.Act")
        return [*self.some(where), f"method={self.pick(('Set', 'Put'))}"], "reply"

    def on_error(self):
        return [*self.some(("dst=w.Client", "endpoint=act")), "method=Set"], "reply"

    # ---- rules -----------------------------------------------------------------------------------------------------

    def body(self, depth):
        profile = f"audit {self.pick(('some', 'full', 'empty'))} " if self.maybe(0.15) else ""
        # Each rule has a line of its own, so that its place tells it from the others.
        return profile + "\n".join(self.item(depth) for _ in range(self.source.randint(1, 4)))

    def item(self, depth):
        if depth and self.maybe(0.12):
            return self.choice(depth)
        if depth and self.maybe(0.1):
            return f"match {self.further()} {{\n{self.body(depth - 1)} }}"
        return self.rule()

    def further(self):
        """A selector that does not contradict those around."""
        keys = {selector.partition("=")[0] for selector in self.selectors}
        if "src" in keys:
            return self.pick(self.selectors)
        self.selectors = [*self.selectors, f"src={'w.Server' if self.kind != 'request' else self.pick(CLASSES)}"]
        return self.selectors[-1]

    def choice(self, depth):
        sid = self.sid()
        head, keys = self.pick(
            (
                (f"life.query {{ sid : {sid} }}", tuple(f'"{state}"' for state in STATES)),
                (f"mic.query_level {{ source : {sid} }}", ('"LOW"', '"MID"', '"HIGH"')),
                (f"re.select {{ text : {self.a_text()} }}", tuple(f'"{pattern}"' for pattern in PATTERNS)),
            )
        )
        chosen = self.source.sample(keys, self.source.randint(1, 2))
        newline = "\n"
        cases = [f"{key} : {self.case(depth)}" for key in (*chosen, *["_"] * self.maybe(0.6))]
        return f"choice ({head}) {{\n{newline.join(cases)} }}"

    def case(self, depth):
        inner = [self.choice(depth - 1) if depth > 1 and self.maybe(0.2) else self.rule() for _ in range(2)]
        return inner[0] if self.maybe() else f"{{\n{inner[0]}\n{inner[1]} }}"

    def rule(self):
        return getattr(self, self.pick(RULES))()

    def grant(self):
        return self.pick(("grant ()", "second.grant ()", "deny (false)"))

    def truth(self):
        word = self.pick(("assert", "deny", "assert", "second.assert", "bool.assert"))
        # Half of them lean to the side that grants, so that what stands behind is asked too.
        lean = self.pick(("", "", " || true", " && src_sid > 0" if word != "deny" else " && false"))
        return f"{word} ({self.boolean(3)}{lean})"

    def never(self):
        return self.pick(("deny ()", "grant ()", "second.deny (false)", f"set_level ({self.source.randint(0, 2)})"))

    def flow(self):
        sid, state = self.sid(), self.pick(STATES)
        return self.pick(
            (
                f"life.init {{ sid : {sid} }}",
                f"life.fini {{ sid : {sid} }}",
                f'life.enter {{ sid : {sid}, state : "{state}" }}',
                f'life.enter {{ state : "{state}", sid : {sid} }}',
                f'life.allow {{ sid : {sid}, states : ["{state}", "{self.pick(STATES)}"] }}',
            )
        )

    def hash_set(self):
        name = self.pick(("init", "init", "fini", "add", "add", "remove"))
        entry = f", entry : {self.entry()}" if name in ("add", "remove") else ""
        return f"ports.{name} {{ sid : {self.sid()}{entry} }}"

    def static_map(self):
        name = self.pick(("init", "init", "fini", "set", "set", "commit", "rollback"))
        cell = f", key : {self.key()}, value : {self.entry()}" if name == "set" else ""
        return f"win.{name} {{ sid : {self.sid()}{cell} }}"

    def integrity(self):
        name = self.pick(("execute", "execute", "create", "delete", "upgrade", "call", "invoke", "read", "write"))
        if name in ("call", "invoke", "read", "write"):
            return f"mic.{name} {{ source : {self.sid()}, target : {self.sid()} }}"
        if name == "execute":
            image = self.pick(("()", self.sid()))
            return (
                f"mic.execute {{ image : {image}, target : {self.sid()}, level : {self.level()},"
                f" levelR : {self.level()} }}"
            )
        level = f"level : {self.level()}, " if name != "delete" else ""
        around = f"source : {self.sid()}, driver : {self.sid()}, container : {self.pick(('()', self.sid()))}"
        return f"mic.{name} {{ target : {self.sid()}, {level}{around} }}"

    def rate(self):
        return f"pace.take {{ sid : {self.sid()}, n : {self.pick(('1', '1', '2', '0', self.integer(1)))} }}"

    def level(self):
        if self.categories and self.maybe(0.4):
            names = ", ".join(f'"{name}"' for name in "ab" if self.maybe())
            return f'{{ degree : "{self.pick(("LOW", "HIGH"))}", categories : [{names}] }}'
        return self.pick(("()", '"LOW"', '"MID"', '"HIGH"'))

    def budget(self):
        if "texts" not in self.message or "ints" not in self.message:
            return self.grant()
        tags, values = self.message["texts"][0], self.message["ints"][0]
        if self.maybe():
            return f"minute.observe {{ points : {tags}, values : {values}, quality : {self.message['ints'][-1]} }}"
        return f"minute.spend {{ points : {tags}, values : {values} }}"

    # ---- expressions -----------------------------------------------------------------------------------------------

    def sid(self):
        here = ("src_sid", "1", "2", *(["dst_sid"] * (self.kind != "security")))
        return self.integer(1) if self.maybe(0.1) else self.pick(here)

    def key(self):
        return self.pick(('"a"', '"ab"', *self.message.get("text", ())))

    def a_text(self):
        return self.pick((f'"{self.pick(TEXTS)}"', *self.message.get("text", ()) * 2))

    def a_field(self, kind):
        return self.pick(self.message[kind])

    def entry(self, depth=1):
        """An integer; those of the text itself fit every type here."""
        here = ("0", "1", "2", "3", "src_sid", *self.message.get("int", ()))
        return self.computed(depth - 1) if depth and self.maybe(0.2) else self.pick(here)

    def integer(self, depth):
        if depth and self.maybe(0.35):
            return self.computed(depth - 1)
        if "int" in self.message and self.maybe(0.6):
            return self.a_field("int")
        return self.pick((*(str(number) for number in (0, 1, 2, 3, -1, 255, 2**63, 2**64 - 1)), "src_sid", "0x2"))

    def computed(self, depth):
        first, second = self.integer(depth), self.integer(depth)
        options = [
            f"({first} {self.pick('+-*&|')} {second})",
            f"math.sum [{first}, {second}]",
            f"math.product [{first}, {second}]",
            f"math.{self.pick(('uint8', 'sint32', 'uint64'))} ({first})",
            f"bool.cond {{ if : {self.boolean(depth)}, then : {first}, else : {second} }}",
            f"win.{self.pick(('get', 'get_uncommited'))} {{ sid : {self.sid()}, key : {self.key()} }}",
            "minute.spent ()",
            f"pace.left {{ sid : {self.sid()} }}",
            "(~src_sid)",
        ]
        if "signed" in self.message:
            options += [
                f"math.{self.pick(('neg', 'abs'))} ({self.a_field('signed')})",
                "(~message.mode)",
                "(~message.level)",
            ]
        if "ints" in self.message:
            options.append(f"size ({self.a_field('ints')})")
        return self.pick(options)

    def boolean(self, depth):
        if not depth:
            return self.pick(("true", "false", self.comparison(0)))
        first, second = self.boolean(depth - 1), self.boolean(depth - 1)
        return self.pick(
            (
                self.comparison(depth - 1),
                self.comparison(depth - 1),
                self.comparison(depth - 1),
                self.asked(depth - 1),
                f"({first} {self.pick(('&&', '||', '==>', '=='))} {second})",
                f"({first} && {second} && {self.comparison(0)})",
                f"!({first})",
                f"bool.{self.pick(('all', 'any'))} [{first}, {second}]",
                f"bool.{self.pick(('all', 'any'))} []",
            )
        )

    def comparison(self, depth):
        return f"({self.integer(depth)} {self.pick(('<', '<=', '>', '>=', '==', '!='))} {self.integer(depth)})"

    def asked(self, depth):
        options = [
            f"ports.contains {{ sid : {self.sid()}, entry : {self.entry(depth)} }}",
            f're.match {{ text : {self.a_text()}, pattern : "{self.pick(PATTERNS)}" }}',
            f"numbers.{self.pick(('meets', 'covers'))} {{ points : {self.integer(depth)} }}",
            f"pred.empty ({self.a_text()})",
            'tagged.covers { points : ["a", "b"] }',
        ]
        for kind, name in (("texts", "tagged"), ("text", "tagged"), ("ints", "numbers")):
            if kind in self.message:
                options.append(f"{name}.{self.pick(('meets', 'covers'))} {{ points : {self.a_field(kind)} }}")
        return self.pick(options)


RULES = ("grant",) * 4 + ("truth",) * 5 + ("never", "flow", "flow", "flow", "hash_set", "hash_set", "static_map",
         "static_map", "integrity", "integrity", "budget", "budget", "rate", "rate")  # fmt: skip


class MessageMaker:
    """Makes random events, most of them such that a rule could speak of them; time goes on by chance."""

    def __init__(self, source):
        self.source = source
        self.now = 0

    def event(self):
        self.now += self.source.choice((0, 0, 1, 300_000, 1_000_000, 5_000_000))
        kind = self.source.choices(("request", "execute", "security", "response", "error"), (8, 4, 3, 1, 1))[0]
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
        method = self.source.choice(("Report", "Note"))
        message = self.report() if method == "Report" else {"mode": self.small()}
        return Event("security", self.now, self.sid(), None, "w.Server", None, "", method, message)

    def on_request(self):
        dst, endpoint, method, message = self.called()
        src = self.source.choice(CLASSES)
        return Event("request", self.now, self.sid(), self.sid(), src, dst, endpoint, method, message)

    def on_response(self):
        src, endpoint, method, _ = self.called()
        message = {} if method == "Stop" else {"mode": self.small()}
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
        method = self.source.choice(("Set", "Set", "Put", "Stop"))
        return server, self.source.choice(SERVERS[server]), method, getattr(self, method.lower())()

    def small(self):
        return self.source.choice((0, 1, 2, 3, self.source.randrange(256)))

    def number(self):
        return self.source.choice((0, 1, 2, 3, -1, -(2**31), 2**31 - 1, self.source.randint(-(2**31), 2**31 - 1)))

    def run(self, make, limit=4):
        return [make() for _ in range(self.source.randint(0, limit))]

    def text(self):
        return self.source.choice(TEXTS)

    def tag(self):
        return self.source.choice(TAGS)

    def head(self):
        return {"kind": self.small(), "code": self.number()}

    def set(self):
        return {
            "level": self.number(),
            "mode": self.small(),
            "big": self.source.choice((0, 1, 2, 2**63, 2**64 - 1)),
            "text": self.text(),
            "tags": self.run(self.tag),
            "values": self.run(self.number),
            "head": self.head(),
            "heads": self.run(self.head, 2),
            "bits": [self.small() for _ in range(3)],
        }

    def put(self):
        return {"mode": self.small(), "list": self.run(self.small)}

    def stop(self):
        return {}

    def report(self):
        rows = self.run(lambda: (self.tag(), self.source.choice((0, 1, 2, 5, -3)), self.source.choice((0, 0, 0, 1))))
        return {
            "tags": [row[0] for row in rows],
            "values": [row[1] for row in rows],
            "quality": [row[2] for row in rows],
        }


SLIPS = (
    ("src", "w.Unused"), ("dst", "w.Unused"), ("dst", None), ("method", "Nope"), ("endpoint", "nope"), ("at_ns", -1),
    ("endpoint", ""), ("method", ""), ("kind", "execute"), ("kind", "security"), ("kind", "response"),
)  # fmt: skip
