"""What random policies say of each model: how its object is configured, its rules and its expressions.

A policy has a few themes. Each also brings bindings of its own (`bench`), whose rules follow from the message, so that
its states are reached and not only asked for.
"""

from __future__ import annotations

COMMAND = "points : {0}.tags, values : {0}.values"
REPORT = COMMAND + ", quality : {0}.quality"


def quoted(names):
    return ", ".join(f'"{name}"' for name in names)


class Theme:
    """What is said of one policy object; `policy` is asked for what stands in its place.

    Attributes:
        config: What stands in the braces of its declaration.
    """

    model = name = config = ""
    measured = commands = False

    def __init__(self, policy):
        self.policy, self.source = policy, policy.source
        self.pick, self.maybe, self.number = policy.pick, policy.maybe, policy.source.randint
        self.configure()

    def configure(self):
        pass

    def declaration(self):
        return f"policy object {self.name} : {self.model} {{ {self.config} }}"

    def some(self, names, least=0):
        return self.source.sample(names, self.number(least, len(names)))

    def rule(self):
        """A rule for any place; None if nothing fits there."""
        return

    def steps(self):
        """Rules for messages of `Ask`, one for each kind of it."""
        return [self.rule() for _ in range(4)]

    def bench(self, selector):
        """Bindings of its own, of events of one source."""
        self.policy.enter("request", "Ask")
        # Most steps are about one subject: what one begins, another goes on with.
        self.policy.subject = self.pick(("src_sid", "src_sid", "dst_sid", "2"))
        steps = "\n".join(f"{kind} : {step}" for kind, step in enumerate(self.steps()))
        bindings = [f"request {selector} method=Ask {{\nchoice (message.kind) {{\n{steps}\n_ : grant () }} }}"]
        if self.measured:
            bindings.append(f"security method=Report {{\n{self.name}.observe {{ {REPORT.format('message')} }} }}")
        if self.commands:
            self.policy.enter("request", "Set")
            bindings.append(f"request {selector} method=Set {{\n{self.command()} }}")
        return bindings

    def command(self):
        return f"{self.name}.{self.commands} {{ {COMMAND.format('message')} }}"

    def report_or_command(self, others=()):
        message, rules = self.policy.message, list(others)
        if "texts" in message and "ints" in message:
            tags, values, quality = message["texts"][0], message["ints"][0], message["ints"][-1]
            rules.append(f"{self.name}.observe {{ points : {tags}, values : {values}, quality : {quality} }}")
            if self.commands:
                rules.append(f"{self.name}.{self.commands} {{ points : {tags}, values : {values} }}")
        return self.pick(rules) if rules else None

    def integers(self, depth):
        return []

    def truths(self, depth):
        return []

    def choices(self):
        return []
