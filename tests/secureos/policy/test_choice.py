from __future__ import annotations

import pytest

from secureos.policy import Event, PolicyError

LIFE = """policy object life : Flow { type State = "new" | "armed" | "fired"
    config = { states : ["new", "armed", "fired"], initial : "new",
               transitions : { "new" : ["armed"], "armed" : ["fired"] } } }
"""
SET = "request dst=lab.Driver method=Set"


def reasons(module, event):
    verdict = module.decide(event)
    return verdict.granted, verdict.reason


@pytest.mark.parametrize(
    ("chosen", "cases", "granted"),
    [
        ("message.rpm", "3 : deny () 5 : grant () _ : deny ()", True),
        ("message.rpm", "-3 : grant () 0x5 : { grant () assert (true) }", True),
        ("message.rpm", "5 : { grant () assert (false) }", False),
        ("message.rpm", "3 : grant ()", False),
        ("message.rpm", "_ : grant ()", True),
        ("message.rpm", "", False),
        ("message.rpm", "5 : { }", False),
        ("message.rpm < 9", "true : grant () false : deny ()", True),
        ("message.text", '"abc" : grant () _ : deny ()', True),
        ("message.text", "abc : grant ()", True),
        ("re.select {text : message.text}", '"x" : deny () "a.c|b" : grant () _ : deny ()', True),
        ("re.select {text : message.text}", '"a" : grant ()', False),
        ("message.rpm", "5 : match src=lab.Client { grant () } _ : deny ()", True),
        ("message.rpm", "5 : { match src=lab.Driver { deny () } grant () }", True),
        ("message.rpm", "5 : { match src=lab.Driver { grant () } }", False),
        ("message.rpm", "5 : { match endpoint=outputs { match interface=lab.Outputs { grant () } } }", True),
        ("message.rpm", "5 : choice (message.text) { abc : grant () }", True),
        ("message.rpm", "5 : { grant () choice (message.text) { b : grant () } }", False),
    ],
)
def test_the_first_case_that_fits_decides(engine, set_event, chosen, cases, granted):
    module = engine(f"{SET} {{ choice ({chosen}) {{ {cases} }} }}")
    assert module.decide(set_event(rpm=5, text="abc")).granted is granted


def test_patterns_may_be_looked_for_anywhere(engine, set_event):
    text = f'{SET} {{ choice (re.select {{text : message.text}}) {{ "b" : grant () }} }}'
    assert not engine(text).decide(set_event(text="abc")).granted
    assert engine(text, full_regex=False).decide(set_event(text="abc")).granted


def test_a_component_in_a_case(engine, put):
    text = "request { choice (dst_sid) { 6 : { match component=lab.Valve method=Put { grant () } } } }"
    assert engine(text).decide(put()).granted


def test_a_security_interface_in_a_case(engine, report):
    text = "security { choice (src_sid) { 6 : { match interface=lab.Reports { grant () } } } }"
    assert engine(text).decide(report([])).granted


def test_a_response_in_a_case(engine):
    text = "response { choice (src_sid) { 6 : { match interface=lab.Log { grant () } _ : deny () } } }"
    text = text.replace(" _ : deny ()", "")
    back = Event("response", 0, 6, 5, "lab.Driver", "lab.Client", "valve.log", "Put")
    assert engine(text).decide(back).granted
    other = Event("response", 0, 6, 5, "lab.Driver", "lab.Client", "outputs", "Write")
    assert not engine(text).decide(other).granted


def test_a_state_can_be_chosen_on_and_changed(engine, put):
    text = f"""{LIFE}execute {{ life.init {{sid : dst_sid}} }}
        request method=Put {{ choice (life.query {{sid : dst_sid}}) {{
            "new" : {{ life.enter {{sid : dst_sid, state : "armed"}} deny (message.level == 9) }}
            "armed" : grant ()
        }} }}"""
    module = engine(text)
    assert module.decide(Event("execute", 0, 2, 6, "Einit", "lab.Driver")).granted
    assert not module.decide(put(9)).granted  # what the case did is taken back
    assert module.snapshot()["objects"]["life"] == [[6, "new"]]
    assert module.decide(put(1)).granted
    assert module.snapshot()["objects"]["life"] == [[6, "armed"]]
    assert module.decide(put(9)).granted


def test_a_choice_is_one_rule_that_knows_what_it_asked(load, set_event):
    from secureos.policy.compile import compile_bindings

    policy = load(f"{SET} {{\nchoice (message.rpm) {{\n5 : {{ grant ()\nassert (false) }} 6 : grant () }} }}")
    objects = {name: make() for name, make in policy.objects.items()}
    (rule,) = compile_bindings(policy.bindings, policy.classes, objects)
    assert (rule.object, rule.operation, rule.call, rule.place) == ("", "choice", None, "security.psl:7")
    assert rule.inner is not None
    asked, why = rule.inner(set_event(rpm=5), [])
    assert ([each.place for each in asked], why) == (
        ["security.psl:8", "security.psl:9"],
        rule.run(set_event(rpm=5), []),
    )
    asked, why = rule.inner(set_event(rpm=6), [])
    assert ([each.place for each in asked], why) == (["security.psl:9"], None)
    assert rule.run(set_event(rpm=6), []) is None
    assert rule.inner(set_event(rpm=7), []) == ((), "no case of the choice fits")
    assert rule.run(set_event(rpm=7), []) == "no case of the choice fits `message.rpm`"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('choice (message.rpm) { "a" : grant () }', '`"a"` is no case of SInt32'),
        ("choice (message.rpm) { true : grant () }", "`true` is no case of SInt32"),
        ("choice (message.rpm) { a : grant () }", "`a` is no case of SInt32"),
        ("choice (message.rpm < 1) { 1 : grant () }", "`1` is no case of a Boolean"),
        ("choice (1) { 1 : grant () }", "`1` is no case of 1"),
        (
            "choice (re.select {text : message.text}) { 1 : grant () }",
            'the cases of this choice are texts: `"…"`, not `1`',
        ),
        ('choice (re.select {text : message.text}) { "(" : grant () }', "`(`"),
        ('choice (life.query {sid : src_sid}) { "nwe" : grant () }', "`nwe` is no state; there are armed, fired, new"),
        ("choice (message.rpm) { _ : grant () 1 : grant () }", "no case can come behind `_`, which fits always"),
        ("choice (message.rpm) { 1 : gant () }", "Base `base` has no rule `gant`; did you mean `grant`?"),
        (
            "choice (message.rpms) { 1 : grant () }",
            "the request of `lab.Outputs.Set` has no field `rpms`; did you mean",
        ),
        ("assert (re.select {text : message.text})", "this stands in a `choice` only: `choice (…) { case : rule … }`"),
    ],
)
def test_mistakes_in_a_choice_are_told(load, body, wrong):
    with pytest.raises(PolicyError) as caught:
        load(f"{LIFE} {SET} {{ {body} }}")
    assert wrong in caught.value.diagnostics[0].message
