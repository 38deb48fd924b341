"""Warnings: what is legal but hardly meant."""

import pytest

from secureos.policy.constants import constant_answer
from secureos.policy.lint import lint
from secureos.policy.opening import Search, parsed_files
from secureos.policy.parse import parse
from secureos.xdl.source import source_from_text

FLOW = 'Flow { type State = "a" config = { states : ["a"], initial : "a", transitions : {} } }'


@pytest.fixture
def warnings(load):
    def told(text):
        policy = load(text)
        return [
            f"{one.span.line - 5}:{one.span.column}: {one.message}"
            for one in lint(policy, parsed_files(policy, Search()))
        ]

    return told


CLEAN = """
request src=lab.Client dst=lab.Driver endpoint=valve.log { assert (message.level < 9) }
response src=lab.Driver { grant () }
error { grant () }
execute src=Einit { grant () }
"""


def test_an_ordinary_policy_gives_none(warnings):
    assert warnings(CLEAN) == []


def test_a_section_without_rules(warnings):
    assert warnings("request { }\nerror { match src=lab.Driver {\n} }") == [
        "1:1: this section has no rules, so it grants nothing; write what is granted",
        "2:9: this section has no rules, so it grants nothing; write what is granted",
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("deny (false)", "`deny (false)` grants always; say `grant ()`"),
        ("deny (true)", "`deny (true)` denies always; say `deny ()`"),
        ("assert (true)", "`assert (true)` grants always; say `grant ()`"),
        ("base.assert (false)", "`base.assert (false)` denies always; say `deny ()`"),
    ],
)
def test_a_constant_that_looks_like_a_condition(warnings, rule, message):
    assert f"1:9: {message}" in warnings(f"error {{ {rule} }}")


def test_a_condition_is_no_constant(warnings):
    assert warnings("error method=Write { deny (message.code == 1) }") == []


def test_the_same_binding_twice(warnings):
    text = "error src=lab.Driver { grant () }\nerror src = lab.Driver {\n  grant  ()\n}"
    assert "2:1: the same binding stands at security.psl:6; remove one of them" in warnings(text)
    assert warnings("error src=lab.Driver { grant () }\nerror dst=lab.Driver { grant () }") == []


def test_the_same_match_twice(warnings):
    text = "error {\nmatch method=Write { assert (message.code == 1) }\nmatch method=Write { grant () }\n}"
    assert warnings(text) == [
        "3:1: a `match` with the same selectors stands at security.psl:7; the rules of both hold,"
        " so write them into one"
    ]


@pytest.mark.parametrize(
    ("wide", "shown"),
    [("error", "every `error`"), ("error src=lab.Driver", "every `error` src=lab.Driver")],
)
def test_a_grant_under_a_blanket(warnings, wide, shown):
    text = f"{wide} {{ grant () }}\nerror src=lab.Driver dst=lab.Client {{ grant () }}"
    assert warnings(text) == [
        f"2:39: this grant changes nothing: security.psl:6 grants {shown} already; remove the wider one to make this"
        " one count"
    ]


def test_beside_a_blanket_grant_denials_count(warnings):
    assert warnings("error { grant () }\nerror src=lab.Driver method=Write { assert (message.code == 1) }") == []
    assert warnings("error src=lab.Driver { grant () }\nerror dst=lab.Driver { grant () }") == []


def test_state_for_every_process(warnings):
    head = f"policy object life : {FLOW}\nrequest method=Put {{ life.allow {{sid : dst_sid, states : ['a']}} }}\n"
    head = head.replace("'", '"')
    wide = head + "execute src=Einit { life.init {sid : dst_sid} }"
    assert warnings(wide) == ["3:21: `life.init` runs for every process that is started; name the class with `dst=`"]
    assert warnings(head + "execute dst=lab.Driver { life.init {sid : dst_sid} }") == []


def test_everything_granted(warnings):
    (told,) = warnings("request { grant () }")
    assert told.startswith("1:11: every request of every class is granted here; this wildcard is the only grant of ")
    assert "`lab.Driver` `outputs.Write`" in told


def test_everything_granted_beside_rules_that_name_what_acts(load):
    text = "request { grant () }\nrequest interface=lab.Outputs { assert (src_sid > 0) }\n"
    text += "request interface=lab.Log { assert (src_sid > 0) }\nrequest dst=kl.core.Core { assert (src_sid > 0) }"
    policy = load(text)
    (told,) = lint(policy, parsed_files(policy, Search()))
    assert told.message == "every request of every class is granted here; name who may call whom"


def test_a_wildcard_as_the_only_grant_of_what_acts(warnings):
    narrow = "request src=lab.Client dst=lab.Driver { grant () }"
    assert warnings(narrow) == [
        "1:41: this wildcard is the only grant of `lab.Driver` `outputs.Write`, `lab.Driver` `outputs.Set`,"
        " `lab.Driver` `valve.log.Put`; name endpoint and method of what acts"
    ]
    assert warnings("request src=lab.Client dst=lab.Driver endpoint=outputs { grant () }") == []
    guarded = "request src=lab.Client { assert (src_sid > 0) }"
    assert warnings(guarded) == []


def test_many_acts_are_not_all_listed(warnings, monkeypatch):
    monkeypatch.setattr("secureos.policy.lint._SHOWN", 1)
    (told,) = warnings("request src=lab.Client dst=lab.Driver { grant () }")
    assert "grant of `lab.Driver` `outputs.Write` and 2 more; name" in told


def test_a_huge_policy_is_not_searched_for_wildcards(warnings, monkeypatch):
    monkeypatch.setattr("secureos.policy.lint.MAX_CANDIDATES", 0)
    assert warnings("request src=lab.Client dst=lab.Driver { grant () }") == []


def test_objects_that_no_rule_uses(warnings):
    text = """policy object plain : Base {}
policy object used : Base {}
policy object told : PointSet { config = [1] }
policy object asked : PointSet { config = [1] }
error { used.grant () }
error method=Write { assert (true && (told.covers {points : [message.code]} || ! asked.meets {points : message.code})) }
"""
    assert warnings(text) == ["1:15: no rule uses policy object `plain`"]


def test_warnings_are_in_the_order_of_the_text(warnings):
    text = "error { }\nerror { deny (false) }\nrequest { }\n"
    assert [told.partition(":")[0] for told in warnings(text)] == ["1", "2", "3"]


def test_what_choices_and_profiles_use(warnings):
    text = """audit profile shown = { 0 : {} }
audit profile start = { 0 : {} }
audit profile never = { 0 : {} }
audit default = start 0
policy object life : Base {}
policy object idle : FLOW
error src=lab.Driver method=Write { audit shown choice (message.code) { 1 : { life.grant () } _ : deny () } }
request src=lab.Client method=Set { choice (re.select {text : message.text}) { "x" : grant () } }
""".replace("FLOW", FLOW)
    assert [told.partition(": ")[2] for told in warnings(text)] == [
        "audit profile `never` is used nowhere",
        "no rule uses policy object `idle`",
    ]


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        *(("grant ()", "grant"), ("deny ()", "deny"), ("base.deny ()", "deny"), ("assert (message.a)", None)),
        *(("x.grant ()", None), ("flow.init {sid : 1}", None), ("deny (1)", None), ("assert (1)", None)),
        *(("grant (true)", None), ("set_level (1)", None)),
    ],
)
def test_constant_answers(rule, answer):
    file = parse(source_from_text(f"error {{ {rule} }}"))
    assert constant_answer(file.declarations[0].body[0]) == answer


@pytest.mark.parametrize(
    "where",
    [
        "assert (IN)",
        "assert (!(IN))",
        "assert (message.heads.[0].code == 1 && (IN))",
        "assert (bool.any [false, IN])",
        "assert (math.sum [message.rpm, bool.cond {if : IN, then : 1, else : 2}] > 0)",
        "choice (IN) { true : grant () _ : deny () }",
        "choice (message.rpm) { 1 : { match src=lab.Client { assert (IN) } } _ : deny () }",
    ],
)
def test_an_object_is_used_wherever_its_name_stands(warnings, where):
    rule = where.replace("IN", "ports.contains {sid : src_sid, entry : message.head.kind}")
    ports = "policy object ports : HashSet { type Entry = UInt8 config = { set_size : 2, pool_size : 2 } }"
    assert warnings(f"{ports}\nrequest src=lab.Client dst=lab.Driver method=Set {{ {rule} }}") == []
