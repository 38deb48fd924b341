"""What random policies say of the models for industry."""

from __future__ import annotations

from tests.secureos.policy.reference.theme import Theme, quoted


class Budget(Theme):
    model, name, measured, commands = "Budget", "minute", True, "spend"

    def configure(self):
        contact = ""
        if self.maybe():
            closes, moving = self.pick("abc"), self.number(0, 3)
            contact = f', contact : "{self.pick(("a.on", "b.P"))}", closes : "{closes}", moving : {moving}'
        until = ', until : "a.on"' if self.maybe(0.7) else ""
        settle = f"settle_ms : {self.pick((1, 2, 6))}," if contact else ""
        self.config = f"""config = {{ limit : {self.pick((self.number(1, 12), 30, 1000))}, {settle}
    window_ms : {self.pick((1, 3, 30, 2000))}, max_age_ms : {self.pick((2, 20, 200))},
    weighs : {{ "a" : {{ by : "a.P", at_least : {self.number(0, 3)}{until}{contact} }},
               "b" : {{ by : "b.P", at_least : 1 }} }} }}"""

    def rule(self):
        return self.report_or_command()

    def steps(self):
        return [f"assert (minute.spent () < {self.number(0, 4)})", "grant ()"]

    def integers(self, depth):
        return ["minute.spent ()"]


class Rate(Theme):
    model, name = "Rate", "pace"

    def configure(self):
        self.config = f"""config = {{ count : {self.number(1, 3)}, per_ms : {self.pick((1, 2, 4, 20))},
    burst : {self.number(1, 3)}, subjects : {self.number(1, 3)} }}"""

    def rule(self):
        taken = self.pick(("1", "1", "2", "0", self.policy.integer(1)))
        return f"pace.take {{ sid : {self.policy.sid()}, n : {taken} }}"

    def integers(self, depth):
        return [f"pace.left {{ sid : {self.policy.sid()} }}"]


class Capability(Theme):
    model, name = "Capability", "caps"

    def configure(self):
        self.rights = ("read", "write", "own")[: self.number(1, 3)]
        self.config = f"config = {{ rights : [{quoted(self.rights)}], capacity : {self.pick((1, 3, 6))} }}"
        self.usual = self.pick(("1", "src_sid"))

    def asked(self):
        texts = f"[{quoted(self.some(self.rights))}]"
        return self.pick((texts, texts, str(self.number(0, 8)), self.policy.small()))

    def held(self, who="holder"):
        return f"{who} : {self.policy.sid()}, object : {self.object()}"

    def object(self):
        return self.usual if self.maybe(0.7) else self.pick((1, 2, self.policy.sid()))

    def rule(self):
        return self.pick(self.steps())

    def steps(self):
        return [
            f"caps.create {{ holder : {self.policy.sid()}, object : {self.object()} }}",
            f"caps.grant {{ {self.held('giver')}, taker : {self.pick((1, 2, 3))}, rights : {self.asked()} }}",
            f"caps.require {{ {self.held()}, rights : {self.asked()} }}",
            self.pick((f"caps.revoke {{ {self.held('giver')} }}", f"caps.drop {{ {self.held()} }}")),
        ]

    def truths(self, depth):
        return [f"caps.holds {{ {self.held()}, rights : {self.asked()} }}"]


class Dual(Theme):
    model, name = "Dual", "two"

    def configure(self):
        self.config = f"config = {{ ttl_ms : {self.pick((1, 20, 200))}, pending : {self.pick((1, 2, 5))} }}"
        self.usual = self.pick(
            (
                "message.mode",
                "message.mode < 2",
                "{ what : message.mode, on : true }",
                '{ on : [1, "a"], what : message.mode }',
                "message.head",
            )
        )

    def operation(self):
        if "heads" in self.policy.message and self.maybe(0.8):
            return self.usual
        constants = ("7", '"7"', "true", '["a", 1]', "{ kind : 1, code : 0 }")
        others = (self.policy.message.get(kind, ()) for kind in ("int", "text", "texts", "ints", "heads"))
        return self.pick((*constants, *(each for some in others for each in some)))

    def by(self):
        person = self.pick((*self.policy.message.get("text", ())[:1] * 6, '"ann"', "1", self.policy.sid()))
        station = self.pick(("src_sid",) * 5 + (self.policy.sid(), '"desk"', *self.policy.message.get("text", ())[1:]))
        return f"operation : {self.operation()}, person : {person}, station : {station}"

    def rule(self):
        return self.pick(self.steps())

    def steps(self):
        by = self.by()
        return [
            f"two.propose {{ {by} }}",
            f"two.approve {{ {by if self.maybe(0.8) else self.by()} }}",
            f"two.check {{ {by.partition(', person')[0]} }}",
            f"two.check {{ operation : {self.operation()} }}",
        ]


class Envelope(Theme):
    model, name, measured, commands = "Envelope", "tank", True, "admit"

    def configure(self):
        parts = [self.ranges(), self.slopes(), self.joint()]
        parts = [part for part in parts if self.maybe(0.7)] or parts
        if self.maybe(0.3) and len(parts) == 3:
            parts.append('feedback : { "a" : "a.P" }')
        self.config = f"config = {{ max_age_ms : {self.pick((2, 20, 200))}, {', '.join(parts)} }}"

    def ranges(self):
        return f'ranges : {{ "a" : {{ low : {self.number(-4, 0)}, high : {self.number(2, 9)} }} }}'

    def slopes(self):
        rise, fall, per_ms = self.number(0, 9), self.number(0, 9), self.pick((1, 7, 40))
        row = f"{{ rise : {rise}, fall : {fall}, per_ms : {per_ms} }}"
        return f'slopes : {{ "a" : {row}, "b" : {{ rise : 1000, fall : 3, per_ms : 2 }} }}'

    def joint(self):
        weights = f'{{ "a" : {self.pick((1, 2, -1))}, "{self.pick(("b", "b.P"))}" : {self.pick((1, -2, 3))} }}'
        low, high = f"at_least : {self.number(-30, 0)}", f"at_most : {self.number(4, 40)}"
        bounds = self.pick((low, high, f"{low}, {high}"))
        return f'joint : {{ "sum" : {{ weights : {weights}, {bounds} }} }}'

    def rule(self):
        return self.report_or_command()

    def steps(self):
        constant = f'tank.admit {{ points : ["{self.pick("abc")}"], values : [message.level] }}'
        return [constant, f'tank.admit {{ points : ["a", "b"], values : [{self.number(-2, 5)}, message.mode] }}']


class Interlock(Theme):
    model, name, measured = "Interlock", "guard", True

    def configure(self):
        bounds = self.pick((f"at_least : {self.number(0, 3)}", "at_most : 2", "at_least : 1, at_most : 4"))
        blocked = self.pick(("", ', blocked_by : ["hot"]', ', blocked_by : ["hot", "late"]'))
        shut = f'"shut" : {{ point : "a", {self.pick(("equals : 0", "equals : 1", "at_most : 3"))} }}'
        full = f'"full" : {{ point : "{self.pick("abc")}", at_least : {self.number(1, 5)} }}'
        roles, when = quoted(self.some(("a", "ab", "x"), 1)), self.pick(("warm", "full"))
        self.config = f"""config = {{ max_age_ms : {self.pick((5, 50, 500))},
    conditions : {{ {shut}, "warm" : {{ point : "b", {bounds} }}, {full} }},
    trips : {{ "hot" : {{ when : "{when}", reset_by : [{roles}] }},
              "late" : {{ when : "full", reset_by : ["a"] }} }},
    actions : {{ "start" : {{ needs : ["{self.pick(("shut", "warm"))}"]{blocked} }},
                "stop" : {{ blocked_by : ["{self.pick(("hot", "late"))}"] }} }} }}"""

    def rule(self):
        return self.report_or_command(self.steps())

    def steps(self):
        trip = self.pick(("hot", "late"))
        role = self.pick(('"a"', *self.policy.message.get("text", ())))
        return [
            f'guard.require {{ action : "{self.pick(("start", "stop"))}" }}',
            f'guard.reset {{ name : "{trip}", role : {role} }}',
            f"assert ({self.pick(self.truths(0))})",
            f'guard.trip {{ name : "{trip}" }}',
        ]

    def truths(self, depth):
        condition, trip = self.pick(("shut", "warm", "full")), self.pick(("hot", "late"))
        return [f'guard.holds {{ condition : "{condition}" }}', f'guard.tripped {{ name : "{trip}" }}']


class Launch(Theme):
    model, name = "Launch", "boot"

    def configure(self):
        images = f', images : ["{"0" * 64}", "{"a" * 64}"]' if self.maybe(0.3) else ""
        signers = quoted(self.some(("a", "ab", "b1"), 1))
        self.config = f"""config = {{ "a" : {{ signers : [{signers}], floor : {self.number(0, 2)} }},
    "ab" : {{ signers : ["a", "x"], floor : 0{images} }} }}"""

    def rule(self):
        image = self.pick((f'"{"a" * 64}"', f'"{"0" * 64}"', self.policy.a_text()))
        verified = self.pick(("true", "true", self.policy.boolean(1)))
        signer = self.pick(('"a"', self.policy.a_text()))
        return (
            f"boot.admit {{ program : {self.program()}, image : {image}, signer : {signer},"
            f" version : {self.policy.small()}, verified : {verified} }}"
        )

    def steps(self):
        return [self.rule(), self.rule(), self.rule(), f"assert ({self.integers(0)[0]} < 3)"]

    def program(self):
        return self.pick(('"a"', '"ab"', *self.policy.message.get("text", ())))

    def integers(self, depth):
        return [f"boot.floor {{ program : {self.program()} }}"]


class Rbac(Theme):
    model, name = "Rbac", "staff"
    roles = ("viewer", "a", "auditor", "chief")

    def configure(self):
        chief = self.pick(("", ', inherits : ["viewer"]', ', inherits : ["a"]'))
        apart = self.pick(
            ("", 'apart : { sessions : [["a", "auditor"]] },', 'apart : { sessions : [["viewer", "auditor"]] },',
             'apart : { users : [["auditor", "chief"]] },')
        )  # fmt: skip
        self.config = f"""config = {{ {apart} sessions : {self.number(1, 4)}, roles : {{
    "viewer" : {{ may : ["look"] }}, "a" : {{ may : ["act"], inherits : ["viewer"] }},
    "auditor" : {{ may : ["audit", "look"] }}, "chief" : {{ may : ["audit"]{chief} }} }},
    users : {{ "a" : ["a"], "ab" : ["auditor", "a"], "x" : ["chief"] }} }}"""

    def steps(self):
        session, role = f"session : {self.policy.sid()}", f"role : {self.role()}"
        user = self.pick(('"a"', '"ab"', '"x"', self.policy.a_text()))
        return [
            f"staff.open {{ {session}, user : {user} }}",
            f"staff.activate {{ {session}, {role} }}",
            f"staff.check {{ {session}, permission : {self.permission()} }}",
            self.pick((f"staff.close {{ {session} }}", f"staff.deactivate {{ {session}, {role} }}")),
        ]

    def permission(self):
        return self.pick(('"look"', '"look"', '"act"', '"audit"', *self.policy.message.get("text", ())[:1]))

    def role(self):
        return self.pick((*(f'"{role}"' for role in self.roles), *self.policy.message.get("text", ())[:1]))

    def rule(self):
        return self.pick(self.steps())

    def truths(self, depth):
        session = f"session : {self.policy.sid()}"
        return [
            f"staff.may {{ {session}, permission : {self.permission()} }}",
            f"staff.active {{ {session}, role : {self.role()} }}",
        ]


class Temporal(Theme):
    model, name, measured = "Temporal", "past", False

    def configure(self):
        self.formulas = [self.formula(3) for _ in range(3)]
        rows = ", ".join(f'"f{index}" : "{formula}"' for index, formula in enumerate(self.formulas))
        self.config = f"""config = {{ atoms : ["p", "q"], max_age_ms : {self.pick((2, 20, 200))},
    formulas : {{ {rows} }} }}"""

    def formula(self, depth):
        if not depth or self.maybe(0.1):
            return self.pick("pq")
        one, other = f"({self.formula(depth - 1)})", f"({self.formula(depth - 1)})"
        bound = self.pick(("", f"within {self.duration()} "))
        return self.pick(
            (
                f"!{one}",
                f"{one} {self.pick(('&&', '||', '==>'))} {other}",
                f"previously {one}",
                f"once {bound}{one}",
                f"historically {bound}{one}",
                f"{one} since {bound}{other}",
                f"lasting {self.duration()} {one}",
                f"p {self.pick(('&&', '||', '==>'))} !q {self.pick(('&&', '||', '==>'))} once {bound}p",
            )
        )

    def duration(self):
        return self.pick(("0 ms", "1 ms", "3 ms", "20 ms", "1 s"))

    def rule(self):
        return self.pick(self.steps())

    def bench(self, selector):
        step = "past.step { p : message.mode < 2, q : message.mode == 0 }"
        return [*super().bench(selector), f"security method=Note {{\n{step} }}"]

    def steps(self):
        return [
            f"past.step {{ p : {self.policy.boolean(1)}, q : {self.policy.comparison(0)} }}",
            f'past.require {{ formula : "f{self.number(0, 2)}" }}',
            f'past.require {{ formula : "f{self.number(0, 2)}" }}',
            f"assert ({self.truths(0)[0]} {self.pick(('==', '!='))} {self.policy.comparison(0)})",
        ]

    def truths(self, depth):
        return [f'past.holds {{ formula : "f{self.number(0, 2)}" }}']


class TypeEnforcement(Theme):
    model, name = "TypeEnforcement", "te"
    types = ("field", "office", "dmz")

    def configure(self):
        rows = [f'"{source}" : {{ {self.targets()} }}' for source in self.types[:2]]
        rows.append('"dmz" : { "dmz" : ["write"] }')
        allow = ", ".join(rows)
        moves = f'transitions : {{ "field" : [{quoted(self.some(self.types))}], "office" : ["dmz"] }},'
        self.config = f"""config = {{ types : [{quoted(self.types)}], {moves if self.maybe(0.8) else ""}
    allow : {{ {allow} }} }}"""

    def targets(self):
        rights = ('["read"]', '["read", "write"]')
        return ", ".join(f'"{target}" : {self.pick(rights)}' for target in self.some(self.types, 1))

    def access(self):
        permission = self.pick(('"read"', '"read"', '"write"', *self.policy.message.get("text", ())[:1]))
        return f"source : {self.policy.sid()}, target : {self.policy.sid()}, permission : {permission}"

    def rule(self):
        return self.pick(self.steps())

    def steps(self):
        kind = f'type : "{self.pick(self.types)}"'
        return [
            f"te.label {{ sid : {self.policy.sid()}, {kind} }}",
            f"te.check {{ {self.access()} }}",
            f"te.transition {{ sid : {self.policy.sid()}, {kind} }}",
            self.pick((f"te.unlabel {{ sid : {self.policy.sid()} }}", f"assert ({self.truths(0)[0]})")),
        ]

    def truths(self, depth):
        return [f"te.allows {{ {self.access()} }}"]

    def choices(self):
        return [(f"te.type_of {{ sid : {self.policy.sid()} }}", self.types)]


class Window(Theme):
    model, name = "Window", "service"

    def configure(self):
        spans = ", ".join(
            f"{{ from_ms : {start}, until_ms : {start + self.number(1, 60)} }}" for start in range(0, 400, 40)
        )
        during = f", during : [{spans}]" if self.maybe() else ""
        self.config = f"""config = {{ "day" : {{ max_ms : {self.pick((2, 40))} }},
    "night" : {{ max_ms : {self.pick((3, 100))}{during} }} }}"""

    def rule(self):
        return self.pick(self.steps())

    def steps(self):
        window = f'window : "{self.pick(("day", "night"))}"'
        duration = self.pick(("1", "2", "20", self.policy.small(), self.policy.integer(1)))
        return [
            f"service.open {{ {window}, duration_ms : {duration} }}",
            f"service.require {{ {window} }}",
            f"service.close {{ {window} }}",
            f"service.require {{ {window} }}",
        ]

    def truths(self, depth):
        return [f'service.is_open {{ window : "{self.pick(("day", "night"))}" }}']
