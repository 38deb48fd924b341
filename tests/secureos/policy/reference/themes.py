"""What random policies say of the classic models, and which models a policy is about."""

from __future__ import annotations

from tests.secureos.policy.reference import industrial_themes as more
from tests.secureos.policy.reference.theme import Theme, quoted

PATTERNS = ("a", "a*", "ab|abc", "[a-c]+", "b[0-9]", ".", "", "(a|b)+.?")
STATES = ("s0", "s1", "s2")


class Flow(Theme):
    model, name = "Flow", "life"

    def configure(self):
        following = ", ".join(f'"{state}" : [{quoted(self.some(STATES))}]' for state in STATES if self.maybe(0.8))
        self.config = f"""type State = "s0" | "s1" | "s2"
    config = {{ states : ["s0", "s1", "s2"], initial : "{self.pick(STATES)}", transitions : {{ {following} }} }}"""

    def rule(self):
        sid, state = self.policy.sid(), self.pick(STATES)
        return self.pick(
            (
                f"life.init {{ sid : {sid} }}",
                f"life.fini {{ sid : {sid} }}",
                f'life.enter {{ sid : {sid}, state : "{state}" }}',
                f'life.enter {{ state : "{state}", sid : {sid} }}',
                f'life.allow {{ sid : {sid}, states : ["{state}", "{self.pick(STATES)}"] }}',
            )
        )

    def steps(self):
        sid, enter = self.policy.sid(), f'life.enter {{ sid : {self.policy.sid()}, state : "{self.pick(STATES)}" }}'
        allow = f"life.allow {{ sid : {sid}, states : [{quoted(self.some(STATES, 1))}] }}"
        return [f"life.init {{ sid : {sid} }}", self.pick((enter, allow)), self.pick((enter, allow)), self.rule()]

    def choices(self):
        return [(f"life.query {{ sid : {self.policy.sid()} }}", STATES)]


class HashSet(Theme):
    model, name = "HashSet", "ports"
    kinds = ("UInt8", "SInt32", "UInt64", "Boolean", "[UInt8, Boolean]", "{ kind : UInt8, code : SInt32 }",
             "UInt8 | Boolean", "Small")  # fmt: skip

    def configure(self):
        self.kind = self.pick(self.kinds[:3] if self.maybe() else self.kinds)
        self.config = f"""type Entry = {self.kind}
    config = {{ set_size : {self.number(1, 3)}, pool_size : {self.number(1, 3)} }}"""

    def declaration(self):
        return f"type Small = [Boolean, {self.pick(('0', 'UInt8'))}]\n{super().declaration()}"

    def entry(self, depth=1):
        number, truth = self.policy.entry(depth), self.policy.comparison(0)
        record = self.pick((f"{{ kind : {number}, code : 1 }}", *self.policy.message.get("heads", ())[:1]))
        return {
            "Boolean": truth,
            "[UInt8, Boolean]": f"[{number}, {truth}]",
            "{ kind : UInt8, code : SInt32 }": record,
            "UInt8 | Boolean": self.pick((number, truth)),
            "Small": f"[{truth}, {self.pick(('0', 'src_sid'))}]",
        }.get(self.kind, number)

    def rule(self):
        name = self.pick(("init", "init", "fini", "add", "add", "remove"))
        entry = f", entry : {self.entry()}" if name in ("add", "remove") else ""
        return f"ports.{name} {{ sid : {self.policy.sid()}{entry} }}"

    def steps(self):
        add = f"ports.add {{ sid : {self.policy.sid()}, entry : {self.entry(0)} }}"
        has = f"assert ({self.truths(0)[0]})"
        return [f"ports.init {{ sid : {self.policy.sid()} }}", add, self.pick((has, self.rule())), self.rule()]

    def truths(self, depth):
        return [f"ports.contains {{ sid : {self.policy.sid()}, entry : {self.entry(depth)} }}"]


class StaticMap(Theme):
    model, name = "StaticMap", "win"

    def configure(self):
        keys = f'"a" : {self.number(0, 3)}, "ab" : 2'
        self.config = f"""type Value = {self.pick(("UInt8", "SInt32"))}
    config = {{ keys : {{ {keys} }}, pool_size : {self.number(1, 3)} }}"""

    def rule(self):
        name = self.pick(("init", "init", "fini", "set", "set", "commit", "rollback"))
        cell = f", key : {self.key()}, value : {self.policy.entry()}" if name == "set" else ""
        return f"win.{name} {{ sid : {self.policy.sid()}{cell} }}"

    def steps(self):
        cell = f"key : {self.key()}, value : {self.policy.entry(0)}"
        end = self.pick(("commit", "rollback", "fini"))
        return [
            f"win.init {{ sid : {self.policy.sid()} }}",
            f"win.set {{ sid : {self.policy.sid()}, {cell} }}",
            f"assert ({self.integers(0)[0]} < 3)",
            f"win.{end} {{ sid : {self.policy.sid()} }}",
        ]

    def key(self):
        return self.pick(('"a"', '"ab"', *self.policy.message.get("text", ())))

    def integers(self, depth):
        return [f"win.{self.pick(('get', 'get_uncommited'))} {{ sid : {self.policy.sid()}, key : {self.key()} }}"]


class Mic(Theme):
    model, name = "Mic", "mic"

    def configure(self):
        self.categories = self.maybe()
        degrees = '["LOW", "MID", "HIGH"]'
        self.config = f'config = {{ degrees : {degrees}, categories : ["a", "b"] }}'
        if not self.categories:
            self.config = f"config = {degrees}"

    def rule(self):
        return self.pick(self.steps())

    def steps(self):
        sid, level, lowest = self.policy.sid, self.level(), self.level()
        image, container = (self.pick(("()", sid())) for _ in range(2))
        asked = self.pick(("call", "invoke", "read", "write"))
        target, around = self.pick((4, 5, sid())), f"source : {sid()}, driver : {sid()}, container : {container}"
        return [
            f"mic.execute {{ image : {image}, target : {sid()}, level : {level}, levelR : {lowest} }}",
            f"mic.create {{ target : {target}, level : {level}, {around} }}",
            f"mic.{asked} {{ source : {sid()}, target : {self.pick((4, sid()))} }}",
            self.pick(
                (
                    f"mic.delete {{ target : {target}, {around} }}",
                    f"mic.upgrade {{ target : {target}, level : {lowest}, {around} }}",
                )
            ),
        ]

    def bench(self, selector):
        level = self.level()
        born = f"execute {{ mic.execute {{ image : (), target : dst_sid, level : {level}, levelR : () }} }}"
        return [*super().bench(selector), *([born] if level != "()" else ())]

    def level(self):
        if self.categories and self.maybe(0.4):
            named = self.pick((f"[{quoted(self.some('ab'))}]", "()"))
            return f'{{ degree : "{self.pick(("LOW", "HIGH"))}", categories : {named} }}'
        return self.pick(("()", '"LOW"', '"MID"', '"HIGH"'))

    def choices(self):
        return [(f"mic.query_level {{ source : {self.policy.sid()} }}", ("LOW", "MID", "HIGH"))]


class Regex(Theme):
    model, name = "Regex", "re"

    def configure(self):
        self.config = self.pick(("", "", 'config = { mode : "whole" }', 'config = { mode : "search" }'))

    def rule(self):
        return f"assert ({self.truths(0)[0]})"

    def truths(self, depth):
        return [f're.match {{ text : {self.policy.a_text()}, pattern : "{self.pick(PATTERNS)}" }}']

    def choices(self):
        return [(f"re.select {{ text : {self.policy.a_text()} }}", PATTERNS)]


class PointSet(Theme):
    model, name = "PointSet", "tagged"

    def configure(self):
        self.numbers = self.maybe(0.4)
        self.config = f"config = [1, {self.number(2, 4)}]" if self.numbers else f'config = ["a", "{self.pick("bc")}"]'

    def rule(self):
        return f"{self.pick(('assert', 'deny'))} ({self.pick(self.truths(0))})"

    def truths(self, depth):
        name, message = self.pick(("meets", "covers")), self.policy.message
        if self.numbers:
            points = [self.policy.integer(depth), *message.get("ints", ())]
        else:
            points = ['["a", "b"]', '["a"]', *message.get("texts", ()), *message.get("text", ())]
        return [f"tagged.{name} {{ points : {each} }}" for each in points]


THEMES = (
    *(Flow, HashSet, Mic, PointSet, Regex, StaticMap, more.Budget, more.Capability, more.Dual, more.Envelope),
    *(more.Interlock, more.Launch, more.Rate, more.Rbac, more.Temporal, more.TypeEnforcement, more.Window),
)


def some_themes(source):
    """The themes of one policy."""
    return source.sample(THEMES, source.randint(1, 4))
