"""Random policies: every construct of the language, and some of the models in each."""

from __future__ import annotations

from tests.secureos.policy.reference.themes import STATES, some_themes
from tests.secureos.policy.reference.world import CLASSES, FIELDS, HEAD, KINDS, METHODS, SERVERS, TEXTS

COMPARED = ("==", "!=", "<", "<=", ">", ">=")
PROFILES = ("some", "full", "empty")
SELECTORS = tuple(f"src={name}" for name in CLASSES)


class PolicyMaker:
    """Makes the text of one random policy.

    Args:
        source: Where chance comes from.
        about: Its themes, if they are not chosen by chance.

    Attributes:
        lines: Its declarations; leaving some out may make a smaller policy that still shows the same.
        definitions: What placeholders and conditions in it stand for.
    """

    def __init__(self, source, about=None):
        self.source = source
        self.pick = source.choice
        self.narrow = self.pick((0.3, 0.6, 0.9))
        self.enter("execute", "")
        self.themes = [theme(self) for theme in about or some_themes(source)]
        self.lines = [*(self.binding() for _ in range(self.pick((0, 0, 1, 3, 10))))]
        for theme, selector in zip(self.themes, source.sample([*SELECTORS, ""], len(self.themes)), strict=True):
            self.lines += theme.bench(selector) if self.maybe(0.8) else ()
        self.lines += [
            f"{kind} {{ {self.pick(('grant ()', 'second.grant ()'))} }}" for kind in KINDS if self.maybe(0.7)
        ]
        source.shuffle(self.lines)
        self.definitions = {"LIMIT": str(source.randint(0, 3)), "BOARD": self.pick(("A", "B")), "RULE": "grant ()"}
        self.definitions["OTHER"] = self.pick(("", "x", "no"))
        self.lines = [self.templated(line) for line in self.lines]
        self.lines.insert(source.randint(0, len(self.lines)), self.objects())

    def text(self, lines=None):
        return HEAD + "\n".join(self.lines if lines is None else lines) + "\n"

    def maybe(self, chance=0.5):
        return self.source.random() < chance

    def enter(self, kind, message, selectors=()):
        """What follows stands in a section of such events."""
        self.kind, self.message, self.selectors, self.subject = kind, FIELDS[message], list(selectors), None

    def templated(self, line):
        """Sometimes under a condition, or beside another under the opposite one."""
        chance = self.source.random()
        if chance < 0.9:
            return line
        board = f'{{% if {self.pick(("BOARD", "not BOARD", "OTHER or BOARD"))} == "A" %}}'
        board = board if chance < 0.95 else "{% if LIMIT and not (OTHER == 'x') %}"
        return f"{board}\n{line}\n{{% else %}}\nresponse {{ @RULE@ }}\n{{% endif %}}"

    # ---- declarations ----------------------------------------------------------------------------------------------

    def objects(self):
        rows = [theme.declaration() for theme in self.themes]
        levels = self.source.randint(0, 2)
        return "\n".join(
            [
                *rows,
                "policy object second : Base { }",
                f"audit profile some = {{ 0 : {{ }}, 1 : {{ {self.audited()} }}, 2 : {{ {self.audited()} }} }}",
                f"audit profile full = {{ 0 : {{ {self.audited()} }}, 1 : {{ {self.audited()} }} }}",
                f"audit default = {self.pick(PROFILES)} {levels}",
            ]
        )

    def audited(self):
        names = {theme.name: theme.model for theme in self.themes if theme.model not in ("PointSet",)}
        names |= {"base": "Base", "second": "Base"}
        rows = []
        for name, model in names.items():
            if self.maybe():
                results = self.pick(('"granted", "denied"', '"granted"', '"denied"'))
                extra = {"Flow": f', omit : ["{self.pick(STATES)}"]', "Regex": ', emit : ["match"]'}.get(model, "")
                rows.append(f"{name} : {{ kss : [{results}]{extra if self.maybe() else ''} }}")
        return ", ".join(rows)

    def binding(self):
        kind = self.pick(("request",) * 5 + ("execute", "execute", "security", "security", "response", "error"))
        selectors, message = getattr(self, f"on_{kind}")()
        self.enter(kind, message, selectors)
        return f"{kind} {' '.join(selectors)} {{\n{self.body(2)} }}"

    def some(self, selectors, chance=None):
        kept = [selector for selector in selectors if self.maybe(self.narrow if chance is None else chance)]
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
        where = [f"src={self.pick(CLASSES)}", f"dst={server}", f"endpoint={endpoint}"]
        where += ["component=w.Part"] if endpoint == "part.act" and self.maybe() else []
        if method != "Stop" and self.maybe(0.8):
            return [*self.some((*where, "interface=w.Act")), f"method={method}"], method
        # Several messages can come, but of one interface: what all of them have can be read.
        return [*self.some((*where, f"method={method}")), "interface=w.Act"], "any"

    def on_response(self):
        where = (f"src={self.pick(tuple(SERVERS))}", f"dst={self.pick(CLASSES)}", "interface=w.Act")
        return [*self.some(where), f"method={self.pick(('Set', 'Put'))}"], "reply"

    def on_error(self):
        return [*self.some(("dst=w.Client", "endpoint=act")), "method=Set"], "reply"

    # ---- rules -----------------------------------------------------------------------------------------------------

    def body(self, depth):
        profile = f"audit {self.pick(PROFILES)} " if self.maybe(0.15) else ""
        # Each rule has a line of its own, so that its place tells it from the others.
        return profile + "\n".join(self.item(depth) for _ in range(self.source.randint(1, 3)))

    def item(self, depth):
        if depth and self.maybe(0.15):
            return self.choice(depth)
        if depth and self.maybe(0.12):
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
        texts = [(head, [f'"{key}"' for key in keys]) for theme in self.themes for head, keys in theme.choices()]
        texts += [(text, [f'"{text}"' for text in TEXTS]) for text in self.message.get("text", ())]
        numbers = ("src_sid", *self.message.get("int", ())[1:3])
        head, keys = self.pick(
            (
                *texts * 2,
                (self.pick(numbers), ["0", "1", "2", "3"]),
                (self.comparison(1), ["true", "false"]),
            )
        )
        chosen = self.source.sample(keys, self.source.randint(1, min(3, len(keys))))
        newline = "\n"
        cases = [f"{key} : {self.case(depth)}" for key in (*chosen, *["_"] * self.maybe(0.7))]
        return f"choice ({head}) {{\n{newline.join(cases)} }}"

    def case(self, depth):
        inner = [self.choice(depth - 1) if depth > 1 and self.maybe(0.2) else self.rule() for _ in range(2)]
        if depth > 1 and self.maybe(0.15):
            inner[0] = f"match {self.further()} {{\n{self.body(0)} }}"
            return f"{{\n{inner[0]}\n{inner[1]} }}"
        return inner[0] if self.maybe() else f"{{\n{inner[0]}\n{inner[1]} }}"

    def rule(self):
        chance = self.source.random()
        if chance < 0.45:
            rule = self.pick(self.themes).rule()
            if rule is not None:
                return rule
        return self.truth() if chance < 0.8 else self.constant()

    def constant(self):
        return self.pick(
            (
                *("grant ()", "second.grant ()", "deny (false)", "@RULE@", f"set_level ({self.source.randint(0, 2)})"),
                *(("deny ()", "second.deny ()") if self.maybe(0.2) else ()),
            )
        )

    def truth(self):
        word = self.pick(("assert", "deny", "assert", "second.assert", "bool.assert"))
        # Most of them lean to the side that grants, so that what stands behind is asked too.
        lean = self.pick(("", " || true", " && src_sid > 0") if word != "deny" else ("", " && false"))
        return f"{word} ({self.boolean(3)}{lean})"

    # ---- expressions -----------------------------------------------------------------------------------------------

    def sid(self):
        if self.subject and self.maybe(0.7):
            return self.subject
        here = ("src_sid", "src_sid", "1", "2", *(["dst_sid"] * 2 if self.kind != "security" else ()))
        return self.integer(1) if self.maybe(0.1) else self.pick(here)

    def small(self):
        here = ("0", "1", "2", *self.message.get("int", ())[1:3])
        return self.pick(here)

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
        return self.pick((*(str(number) for number in (0, 1, 2, 3, -1, 255, 2**63, 2**64 - 1)), "src_sid", "@LIMIT@"))

    def varying(self):
        """An integer that is not the same in every event: a constant that fits no cast is refused at load."""
        return self.pick(("src_sid", *self.message.get("int", ())))

    def computed(self, depth):
        first, second = self.integer(depth), self.integer(depth)
        options = [
            f"({first} {self.pick('+-*&|')} {second})",
            f"math.sum [{first}, {second}]",
            f"math.product [{first}, {second}]",
            f"math.{self.pick(('uint8', 'sint32', 'uint64'))} ({self.varying()})",
            f"bool.cond {{ if : {self.boolean(depth)}, then : {first}, else : {second} }}",
            "(~src_sid)",
            *(option for theme in self.themes for option in theme.integers(depth) * 3),
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
                self.asked(depth - 1),
                self.asked(depth - 1),
                f"({first} {self.pick(('&&', '||', '==>', '=='))} {second})",
                f"({first} && {second} && {self.comparison(0)})",
                f"!({first})",
                f"bool.{self.pick(('all', 'any'))} [{first}, {second}]",
                f"bool.{self.pick(('all', 'any'))} []",
            )
        )

    def comparison(self, depth):
        return f"({self.integer(depth)} {self.pick(COMPARED)} {self.integer(depth)})"

    def asked(self, depth):
        options = [f"pred.empty ({self.a_text()})"]
        options += [option for theme in self.themes for option in theme.truths(depth) * 2]
        return self.pick(options)
