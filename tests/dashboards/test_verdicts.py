"""Which audit records become rows of the verdict feed."""

from dashboards.verdicts import ROWS, VerdictFeed
from scenarios.player import Answered
from secureos.audit import AuditLog, Record


class Chains:
    """Writes call chains into an audit log, as the kernel does."""

    def __init__(self):
        self.audit = AuditLog()
        self.chain = 0

    def add(self, *steps, at_s=0.0):
        self.chain += 1
        for event, src, dst, decision, tags in steps:
            rule, reason = (
                ("security.psl:9", "the hospital stays on") if decision == "denied" else ("security.psl:5", "")
            )
            self.audit.add(
                Record(
                    number=self.audit.next_number,
                    at_ns=round(at_s * 1e9),
                    chain=self.chain,
                    event=event,
                    src=src,
                    dst=dst,
                    endpoint="commands" if src == "gateway" else "outputs",
                    method="Write",
                    decision=decision,
                    rule=rule,
                    reason=reason,
                    message={"tags": tags, "values": [1]} if decision == "denied" else None,
                )
            )

    def command(self, tag, *, granted, at_s):
        last = ("request", "control_logic", "field_io", "granted" if granted else "denied", [tag])
        self.add(("request", "gateway", "control_logic", "granted", []), last, at_s=at_s)


def test_a_denial_is_one_row_with_path_reason_and_rule():
    chains = Chains()
    feed = VerdictFeed(chains.audit)
    chains.command("F6.open", granted=False, at_s=12.5)
    feed.read()
    (row,) = feed.rows([])
    assert row == {
        "at_s": 12.5,
        "granted": False,
        "subject": "control_logic",
        "operation": "field_io.outputs.Write",
        "object": "F6.open",
        "rule": "security.psl:9",
        "reason": "the hospital stays on",
        "count": 1,
    }


def test_a_granted_command_is_shown_and_named_by_its_answer():
    chains = Chains()
    feed = VerdictFeed(chains.audit)
    chains.command("CA2.close", granted=True, at_s=20)
    feed.read()
    (row,) = feed.rows([Answered(20.0, "operator", "CA2.close", 1, "switches", True, "ok")])
    assert (row["granted"], row["object"], row["rule"]) == (True, "CA2.close", "security.psl:5")


def test_the_controller_s_own_cyclic_writes_are_not_shown_unless_denied():
    chains = Chains()
    feed = VerdictFeed(chains.audit)
    chains.add(("request", "control_logic", "field_io", "granted", []), at_s=1)
    feed.read()
    assert feed.rows([]) == []
    chains.add(("request", "control_logic", "field_io", "denied", ["F1.open"]), at_s=2)
    feed.read()
    assert [row["object"] for row in feed.rows([])] == ["F1.open"]


def test_the_same_denial_again_only_raises_the_counter():
    chains = Chains()
    feed = VerdictFeed(chains.audit)
    for at_s in range(118):
        chains.command("F6.open", granted=False, at_s=at_s)
        feed.read()
    chains.command("F1.open", granted=False, at_s=200)
    feed.read()
    assert [(row["object"], row["count"], row["at_s"]) for row in feed.rows([])] == [
        ("F1.open", 1, 200.0),
        ("F6.open", 118, 117.0),
    ]


def test_the_newest_rows_are_kept():
    chains = Chains()
    feed = VerdictFeed(chains.audit)
    for number in range(3 * ROWS):
        chains.command(f"F{number}.open", granted=False, at_s=number)
    feed.read()
    rows = feed.rows([])
    assert len(rows) == ROWS
    assert rows[0]["object"] == f"F{3 * ROWS - 1}.open"
