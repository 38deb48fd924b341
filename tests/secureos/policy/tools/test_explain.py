"""Explaining one verdict: which event is meant, who decided, what every rule said."""

import json

import pytest

from secureos.policy import compile_policy
from secureos.policy.candidates import UnknownNames
from secureos.policy.explain import as_json, explain
from secureos.policy.questions import Question, field_names, message_from_json, questions_from_lines
from secureos.xdl import Catalogue, IntegerType, Parameter
from secureos.xdl.source import source_from_text

POLICY = """policy object life : Flow { type State = "new" | "armed"
    config = { states : ["new", "armed"], initial : "new", transitions : { "new" : ["armed"] } } }
execute dst=lab.Driver { life.init {sid : dst_sid} }
request method=Put {
    grant ()
    // Only low levels.
    assert (message.level < 5)
    life.enter {sid : dst_sid, state : "armed"}
    match src=Einit { grant () }
}
security { grant () }
request method=Set { assert (message.rpm < 5) }
"""
START = Question("execute", "Einit", "lab.Driver")


@pytest.fixture(scope="session")
def ask(load):
    policy = load(POLICY)

    def put(*, earlier=(), **more):
        named = {"event": "request", "src": "lab.Client", "dst": "lab.Driver", "method": "Put"} | more
        return explain(policy, Question(**named), earlier)

    return put


def answers(explanation):
    return [(step.place.partition(":")[2], step.answer) for step in explanation.trace]


def test_a_granted_event_was_asked_of_every_rule(ask):
    told = ask(earlier=[START])
    assert told.verdict.granted
    assert answers(told) == [("10", "granted"), ("12", "granted"), ("13", "granted")]
    assert told.trace[1].text == "assert (message.level < 5)"
    assert [(name, verdict.granted) for name, verdict in told.earlier] == [("execute Einit → lab.Driver", True)]


def test_a_denied_event_shows_who_denied_and_who_was_not_asked(ask):
    told = ask(message={"level": 9})
    assert (told.verdict.granted, told.verdict.rule) == (False, "security.psl:12")
    assert told.verdict.reason.startswith("Only low levels.")
    assert answers(told) == [("10", "granted"), ("12", "denied"), ("13", "not asked")]


def test_earlier_events_make_the_state(ask):
    assert not ask().verdict.granted
    assert not ask(earlier=[START, Question("request", "lab.Client", "lab.Driver", method="Put")]).verdict.granted


def test_bytes_inside_of_other_fields_are_written_as_hex_too(tmp_path):
    (tmp_path / "Raw.idl").write_text("""package Raw
struct Part { bytes<4> raw; UInt8 n; }
interface { Do(in Part part, in sequence<bytes<4>, 2> list, in array<bytes<4>, 1> fixed); }""")
    (tmp_path / "Shade.edl").write_text("task class Shade endpoints { e : Raw }")
    text = "execute: kl.core.Execute use EDL Einit use EDL Shade request { grant () }"
    policy = compile_policy(source_from_text(text), Catalogue([tmp_path]))
    message = {"part": {"raw": "01", "n": 2}, "list": ["02", "0304"], "fixed": ["05"]}
    told = explain(policy, Question("request", "Einit", "Shade", message=message))
    assert told.event.message == {"part": {"raw": b"\1", "n": 2}, "list": [b"\2", b"\3\4"], "fixed": [b"\5"]}
    assert told.verdict.granted
    assert as_json(told)["message"] == message


CHOICE = """request src=lab.Client method=Set {
    choice (re.select {text : message.text}) {
        "a" : { assert (message.rpm < 5)
                choice (re.select {text : message.text}) { _ : grant () } }
        "b" : deny () "c" : grant ()
    }
    deny (message.rpm == 3)
}"""


@pytest.mark.parametrize(
    ("text", "rpm", "said"),
    [
        ("a", 1, [("7", "granted"), ("8", "granted"), ("9", "granted"), ("9", "granted"), ("12", "granted")]),
        ("a", 3, [("7", "granted"), ("8", "granted"), ("9", "granted"), ("9", "granted"), ("12", "denied")]),
        ("a", 9, [("7", "denied"), ("8", "denied"), ("12", "not asked")]),
        ("b", 1, [("7", "denied"), ("10", "denied"), ("12", "not asked")]),
        ("c", 1, [("7", "granted"), ("10", "granted"), ("12", "granted")]),
        ("z", 1, [("7", "denied"), ("12", "not asked")]),
    ],
)
def test_what_was_asked_in_a_choice(load, text, rpm, said):
    question = Question("request", "lab.Client", "lab.Driver", method="Set", message={"text": text, "rpm": rpm})
    told = explain(load(CHOICE), question)
    assert answers(told) == said
    assert told.verdict.granted == (said[-1][1] == "granted")
    assert told.trace[0].text == "choice (re.select {text : message.text}) {"
    if text in "bc":
        assert told.trace[1].text == {"b": "deny ()", "c": "grant ()"}[text]


def test_a_choice_among_states_that_moves_on(load):
    policy = load("""audit profile quiet = { 0 : {} }
policy object life : Flow { type State = "new" | "armed"
    config = { states : ["new", "armed"], initial : "new", transitions : { "new" : ["armed"] } } }
execute dst=lab.Driver { life.init {sid : dst_sid} }
request method=Put {
    choice (life.query {sid : dst_sid}) {
        "new" : { audit quiet
                  life.enter {sid : dst_sid, state : "armed"}
                  choice (life.query {sid : dst_sid}) { "armed" : grant () } }
        _ : deny ()
    }
}""")
    put = Question("request", "lab.Client", "lab.Driver", method="Put")
    once, twice = explain(policy, put, [START]), explain(policy, put, [START, put])
    assert once.verdict.granted
    assert answers(once) == [(line, "granted") for line in ("11", "13", "14", "14")]
    assert not twice.verdict.granted
    assert answers(twice) == [("11", "denied"), ("15", "denied")]


def test_a_rule_without_an_answer_is_named(load):
    policy = load("request method=Set { grant () assert (message.bits.[0] + message.big > 5)\ngrant () }")
    message = {"big": 2**64 - 1, "bits": [9, 0, 0]}
    told = explain(policy, Question("request", "lab.Client", "lab.Driver", method="Set", message=message))
    assert (told.verdict.granted, told.verdict.rule) == (False, "engine")
    assert answers(told) == [("6", "granted"), ("6", "failed"), ("7", "not asked")]


def test_time_that_runs_backwards_is_refused_before_any_rule(ask):
    told = ask(earlier=[Question("execute", "Einit", "lab.Driver", at_s=5)], at_s=1)
    assert "time ran backwards" in told.verdict.reason
    assert {step.answer for step in told.trace} == {"not asked"}


def test_audit_profiles_are_no_rules(load):
    policy = load("audit profile p = { 0 : {} }\nrequest { audit p grant () }")
    told = explain(policy, Question("request", "lab.Client", "lab.Driver", method="Put"))
    assert answers(told) == [("7", "granted")]


def test_what_no_rule_speaks_of(ask):
    told = ask(method="Read")
    assert (told.verdict.rule, told.trace) == ("default", ())


def test_a_malformed_message_is_refused_before_any_rule(ask):
    told = ask(message={"level": 300})
    assert (told.verdict.granted, told.verdict.rule) == (False, "structure")
    assert "field `level` is 300" in told.verdict.reason
    assert {step.answer for step in told.trace} == {"not asked"}


def test_what_follows_may_be_left_out(ask):
    assert ask().event.endpoint == "valve.log"
    report = ask(event="security", src="lab.Driver", dst=None, method=None)
    assert (report.event.method, report.event.dst_sid) == ("Report", None)


def test_bytes_are_written_as_hex(ask):
    assert ask(method="Set", message={"raw": "00ff"}).event.message["raw"] == b"\x00\xff"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"event": "requst"}, "unknown event `requst`; did you mean `request`?; there are `execute`, `request`"),
        ({"src": "lab.Clint"}, "unknown class `lab.Clint`; did you mean `lab.Client`?"),
        ({"endpoint": "valve.lg"}, "unknown endpoint `valve.lg`"),
        ({"method": "Putt"}, "unknown method `Putt`"),
        ({"method": None}, "which method? 4 fit: `outputs.Write`, `outputs.Set`, `outputs.Read`, `valve.log.Put`"),
        ({"src": None, "dst": None}, "`src` is missing: a `request` has one\n`dst` is missing"),
        ({"src": 5}, "`src` must be a text"),
        ({"message": {"levl": 1, "sesion": 1}}, "no field `levl`; did you mean `level`?"),
        ({"message": {"levl": 1, "sesion": 1}}, "no field `sesion`; did you mean `session`?"),
        ({"message": [1]}, "a message is a dictionary of fields"),
        ({"method": "Set", "message": {"raw": "xy"}}, "`xy` is no row of hex digits"),
        ({"at_s": -1}, "`-1` is no time"),
        ({"at_s": float("nan")}, "`nan` is no time"),
        ({"at_s": "now"}, "`now` is no time"),
    ],
)
def test_wrong_names_are_told_with_near_ones(ask, named, message):
    with pytest.raises(UnknownNames) as failure:
        ask(**named)
    assert message in str(failure.value)


def test_many_methods_are_not_all_listed(ask, monkeypatch):
    monkeypatch.setattr("secureos.policy.questions._SHOWN", 2)
    with pytest.raises(UnknownNames, match=r"4 fit: `outputs.Write`, `outputs.Set`, …"):
        ask(method=None)


def test_events_are_read_from_lines():
    lines = ["", '{"src": "a", "dst": "b", "method": "M", "message": {"x": 1}, "at": 2.5}', '{"event": "execute"}']
    first, second = questions_from_lines(lines)
    assert first == Question("request", "a", "b", None, "M", {"x": 1}, 2.5)
    assert (second.event, second.src) == ("execute", None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: the message is no JSON"),
        ("[" * 100_000, "line 2: the message is no JSON"),
        ('{"at": NaN}', "line 2: the message is no JSON: `NaN` is no number"),
        ('{"at": 1e400}', "line 2: the message is no JSON: `1e400` is no number"),
        ('{"src": "a", "src": "b"}', "line 2: the message is no JSON: `src` is given twice"),
        ("5", "line 2: a message is a dictionary"),
        ('{"source": 1}', "line 2: unknown key `source`"),
        ('{"mesage": 1}', "line 2: unknown key `mesage`; did you mean `message`?"),
    ],
)
def test_wrong_lines_are_told(line, message):
    with pytest.raises(UnknownNames) as failure:
        questions_from_lines(['{"src": "a"}', line])
    assert str(failure.value).startswith(message)


def test_a_message_is_a_dictionary():
    assert message_from_json('{"a": [1, 2.5]}') == {"a": [1, 2.5]}


def test_the_json_form_is_stable(ask):
    told = ask(method="Set", message={"raw": "00ff", "rpm": 9}, earlier=[START], at_s=1.5)
    shown = json.loads(json.dumps(as_json(told)))
    assert shown.pop("message")["raw"] == "00ff"
    assert shown.pop("reason").startswith("`message.rpm < 5` is false")
    assert shown == {
        "schema": 1,
        "event": {
            **{"kind": "request", "src": "lab.Client", "dst": "lab.Driver", "endpoint": "outputs", "method": "Set"},
            **{"interface": "lab.Outputs", "component": None, "at_s": 1.5},
        },
        "granted": False,
        "rule": "security.psl:17",
        "trace": [{"place": "security.psl:17", "text": "assert (message.rpm < 5)", "answer": "denied"}],
        "earlier": [
            {
                **{"event": "execute Einit → lab.Driver", "granted": True, "rule": "security.psl:8"},
                "reason": "granted by the one rule for it",
            }
        ],
    }


def test_fields_are_shown_with_their_types():
    assert field_names([Parameter("a", IntegerType("UInt8", 0, 255))]) == "a: UInt8"
    assert field_names([]) == "no fields"


def test_classes_that_are_not_described(load):
    text = "use EDL kl.VfsNet\nrequest dst=kl.VfsNet interface=kl.Net { assert (message.size < 5) }"
    policy = load(text, missing="opaque")
    told = explain(policy, Question("request", "lab.Client", "kl.VfsNet", "net", "Send", {"size": 3}))
    assert (told.verdict.granted, answers(told)) == (True, [("7", "granted")])
    with pytest.raises(UnknownNames, match="not described at hand; name endpoint and method"):
        explain(policy, Question("request", "lab.Client", "kl.VfsNet"))
