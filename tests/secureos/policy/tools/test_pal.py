"""Policy tests: what cases stand for, how sequences run, what is told of those that fail."""

import json

import pytest

from secureos.policy import PolicyError, compile_policy
from secureos.policy.pal import as_json, run_tests
from secureos.policy.pal_cases import prepare
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text

FLOW = """policy object life : Flow { type State = "new" | "armed"
    config = { states : ["new", "armed"], initial : "new", transitions : { "new" : ["armed"] } } }
execute dst=lab.Driver { life.init {sid : dst_sid} }
request dst=lab.Driver method=Put { life.enter {sid : dst_sid, state : "armed"} }
"""


@pytest.fixture
def run(load, pal):
    def judge(policy, tests, **more):
        return run_tests(load(policy), pal(tests), **more)

    return judge


@pytest.fixture
def prepared(load, pal):
    return lambda tests: prepare(pal(tests), load("request { grant () }").classes)


def only_case(sequences):
    return sequences[0].cases[0]


def marks(result):
    return [one.passed for one in result.sequences]


# ---- what a case stands for ----------------------------------------------------------------------------------------


def test_a_case_needs_no_more_than_an_event(prepared):
    case = only_case(prepared("assert { sequence { request } }"))
    assert case.expected == "grant"
    # four classes may send; the lab's driver has three methods at this endpoint
    assert len([one for one, _ in case.events if "lab.Driver outputs" in str(one)]) == 12
    names = [str(one) for one, _ in case.events]
    assert len(set(names)) == len(names)


def test_the_short_form_is_a_request(prepared):
    short = only_case(prepared("assert { sequence { lab.Client ~> lab.Driver:valve.log.Put { level : 3 } } }"))
    whole = "request src=lab.Client dst=lab.Driver endpoint=valve.log method=Put { level : 3 }"
    assert short.events == only_case(prepared(f"assert {{ sequence {{ {whole} }} }}")).events
    assert str(short.events[0][0]) == "request lab.Client → lab.Driver valve.log.Put"
    assert short.events[0][1].message == {"session": 0, "level": 3}


def test_fields_take_the_values_of_their_types(prepared):
    given = """{ rpm : -5, big : 0x10, head : { code : -2 }, bits : [1], heads : [{ kind : 2 }, {}], raw : "ab",
                 text : "t", either : { a : 4 } }"""
    case = only_case(prepared(f"assert {{ sequence {{ lab.Client ~> lab.Driver:outputs.Set {given} }} }}"))
    message = dict(case.events[0][1].message)
    assert message.pop("handle") == {"handle": 0, "rights": 0}
    assert message == {
        **{"rpm": -5, "big": 16, "head": {"kind": 0, "code": -2}, "bits": [1, 0, 0], "raw": b"ab", "text": "t"},
        **{"heads": [{"kind": 2, "code": 0}, {"kind": 0, "code": 0}], "either": {"a": 4}},
    }


def test_responses_errors_and_reports_have_their_own_fields(prepared):
    text = """assert { sequence {
        response src=lab.Driver dst=lab.Client method=Read { atNs : 5 }
        error src=lab.Driver dst=lab.Client method=Write { code : 3 }
        security src=lab.Driver method=Report { tags : ["x"] }
    } }"""
    read, write, report = (case.events[0][1] for case in prepared(text)[0].cases)
    assert read.message == {"words": [], "atNs": 5}
    assert (read.src_sid, read.dst_sid) == (4, 3)
    assert write.message == {"code": 3}
    assert (report.dst, report.dst_sid, report.message["tags"]) == (None, None, ["x"])


@pytest.mark.parametrize(
    ("handle", "meant"),
    [
        ("7", {"handle": 7, "rights": 0}),
        ("p", {"handle": 5, "rights": 0}),
        ("lab.Client", {"handle": 3, "rights": 0}),
        ("{ handle : p, rights : 3 }", {"handle": 5, "rights": 3}),
        ("{ rights : 3 }", {"handle": 0, "rights": 3}),
    ],
)
def test_a_handle_is_a_number_a_process_or_a_class(prepared, handle, meant):
    text = f"""assert {{ sequence {{
        execute src=Einit dst=lab.Driver
        p <- execute src=Einit dst=lab.Driver
        request src=lab.Client dst=lab.Driver method=Set {{ handle : {handle} }}
    }} }}"""
    assert prepared(text)[0].cases[-1].events[0][1].message["handle"] == meant


def test_processes_have_names(prepared):
    text = """assert { sequence {
        a <- execute src=Einit dst=lab.Client
        b <- execute src=Einit dst=lab.Client
        request src=a dst=lab.Driver method=Put
        request src=b dst=lab.Driver method=Put
        request src=lab.Client dst=lab.Driver method=Put
        response src=lab.Driver dst=b method=Put
    } }"""
    events = [case.events[0][1] for case in prepared(text)[0].cases]
    assert [(event.src_sid, event.dst_sid) for event in events[:2]] == [(2, 3), (2, 5)]
    assert [event.src_sid for event in events[2:]] == [3, 5, 3, 4]
    assert events[5].dst_sid == 5


STARTS = """execute src=kl.core.Core dst=kl.core.Core { grant () } execute src=kl.core.Core dst=Einit { grant () }
execute src=Einit dst=lab.Driver { life.init {sid : dst_sid} } execute src=lab.Driver dst=lab.Client { grant () }
policy object life : Flow { type State = "new" | "armed"
    config = { states : ["new", "armed"], initial : "new", transitions : { "new" : ["armed"] } } }
request dst=lab.Driver method=Put { life.enter {sid : dst_sid, state : "armed"} }
"""


def test_that_a_process_can_be_started_needs_one_who_may(run):
    tests = """assert { sequence {
        core <- execute dst=kl.core.Core
        einit <- execute src=core dst=Einit
        driver <- execute dst=lab.Driver
        grant execute dst=lab.Client
        core ~> driver:outputs.Put
    } sequence { deny execute dst=Einit } sequence { grant execute src=lab.Client dst=Einit }
    sequence { x <- execute dst=lab.Other } sequence { any execute dst=Einit } }"""
    result = run("use EDL lab.Other " + STARTS, tests.replace("outputs.Put", "valve.log.Put"))
    assert marks(result) == [True, False, False, False, True]
    assert [str(one.event) for one in result.sequences[3].failures] == ["execute kl.core.Core → lab.Other"]
    assert result.sequences[0].verdicts == 1 + 1 + 2 + 4 + 1


def test_a_label_lets_time_pass(prepared):
    text = """assert { sequence {
        request dst=lab.Driver method=Put
        "+1.5 s: later" request dst=lab.Driver method=Put
        "+250ms" request dst=lab.Driver method=Put
        "+2 min" request dst=lab.Driver method=Put
        "+1 h:" request dst=lab.Driver method=Put
        "+1 second is no unit" request dst=lab.Driver method=Put
    } }"""
    cases = prepared(text)[0].cases
    times = [case.events[0][1].at_ns / 1e9 for case in cases]
    assert times == [0, 1.5, 1.75, 121.75, 3721.75, 3721.75]
    assert [case.label for case in cases] == ["", "later", "", "", "", "+1 second is no unit"]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("request dst=lab.Drivr", "unknown class `lab.Drivr`; did you mean `lab.Driver`?"),
        ("lab.Client ~> lab.Driver:outputs.Wrte", "unknown method `Wrte`"),
        ("lab.Client ~> lab.Driver:valve.log.Put { levl : 1 }", "has no field `levl`; did you mean `level`?"),
        ("lab.Client ~> lab.Driver:valve.log.Put { level : 256 }", "does not fit: field `level` is 256, outside 0"),
        ('lab.Client ~> lab.Driver:valve.log.Put { level : "a" }', "field `level` is a UInt8; an integer is due here"),
        ("lab.Client ~> lab.Driver:valve.log.Put { level : true }", "an integer is due here"),
        ("lab.Client ~> lab.Driver:outputs.Set { raw : 1 }", "field `raw` is a bytes<8>; a text is due here"),
        ("lab.Client ~> lab.Driver:outputs.Set { text : 1 }", "a text is due here"),
        ("lab.Client ~> lab.Driver:outputs.Set { head : 1 }", "a dictionary `{…}` is due here"),
        ("lab.Client ~> lab.Driver:outputs.Set { heads : 1 }", "a list `[…]` is due here"),
        ("lab.Client ~> lab.Driver:outputs.Set { bits : 1 }", "a list `[…]` is due here"),
        ("lab.Client ~> lab.Driver:outputs.Set { bits : [1, 2, 3, 4] }", "field `bits` has 4 items, exactly 3"),
        ("lab.Client ~> lab.Driver:outputs.Set { either : {} }", "a dictionary with one of its fields is due here"),
        ("lab.Client ~> lab.Driver:outputs.Set { either : { b : 1 } }", "`either` has no field `b`"),
        ("lab.Client ~> lab.Driver:outputs.Set { handle : true }", "is a handle; a SID, a process or a class is due"),
        ("lab.Client ~> lab.Driver:outputs.Set { handle : { right : 1 } }", "is a handle; a SID, a process"),
        ("p <- request dst=lab.Driver method=Put", "`p <-` names the process that an `execute` with `dst` starts"),
        ("p <- execute src=Einit", "`p <-` names the process"),
        ("lab.Client ~> lab.Driver:valve.log.Put { level : 1, level : 2 }", "`level` is given twice"),
        ("lab.Client ~> lab.Driver:outputs.Set { head : { code : 1, code : 1 } }", "`code` is given twice"),
        ("lab.Client ~> lab.Driver:outputs.Set { handle : { rights : 1, rights : 2 } }", "`rights` is given twice"),
        ("security src=lab.Driver dst=lab.Client", "`security` events have no `dst`"),
    ],
)
def test_mistakes_are_told_with_their_place(prepared, case, message):
    with pytest.raises(PolicyError) as failure:
        prepared(f"assert {{ sequence {{\n{case}\n}} }}")
    assert str(failure.value).startswith("t.psl:2:")
    assert message in str(failure.value)


def test_all_mistakes_are_told_once(prepared):
    text = """assert { setup { request dst=a }
        sequence { request dst=b } sequence { request dst=c } finally { request dst=d } }"""
    with pytest.raises(PolicyError) as failure:
        prepared(text)
    assert [one.message[15] for one in failure.value.diagnostics] == ["a", "b", "d", "c"]


def test_one_case_stands_for_so_many_events(load, pal, monkeypatch):
    monkeypatch.setattr("secureos.policy.pal_cases.MAX_EVENTS", 3)
    with pytest.raises(PolicyError, match="stands for more than 3 events; name `src`"):
        prepare(pal("assert { sequence { request method=Put } }"), load("request { grant () }").classes)


# ---- running -------------------------------------------------------------------------------------------------------


def test_each_sequence_starts_afresh_with_the_setup(run):
    tests = """assert "life" {
        setup { execute src=Einit dst=lab.Driver }
        sequence "one" { lab.Client ~> lab.Driver:valve.log.Put deny lab.Client ~> lab.Driver:valve.log.Put }
        sequence "two" { lab.Client ~> lab.Driver:valve.log.Put }
        finally { deny lab.Client ~> lab.Driver:valve.log.Put }
    }
    assert { sequence { deny "nobody started it" lab.Client ~> lab.Driver:valve.log.Put } }"""
    result = run(FLOW, tests)
    assert marks(result) == [True, True, True]
    assert [one.sequence.full_name for one in result.sequences] == ["life / one", "life / two", "set 2 / sequence 1"]
    assert [one.verdicts for one in result.sequences] == [4, 3, 1]


def test_several_setups_all_run(run):
    tests = """assert { setup { execute src=Einit dst=lab.Driver } sequence { lab.Client ~> lab.Driver:valve.log.Put }
        setup { any lab.Client ~> lab.Driver:outputs.Read } }"""
    assert [case.part for case in run(FLOW, tests).sequences[0].sequence.cases] == ["setup", "setup", "sequence"]


@pytest.mark.parametrize(("expected", "passed"), [("grant", True), ("", True), ("deny", False), ("any", True)])
def test_expectations(run, expected, passed):
    tests = f"assert {{ sequence {{ {expected} lab.Client ~> lab.Driver:valve.log.Put }} }}"
    assert marks(run("request { grant () }", tests)) == [passed]


def test_a_failure_says_what_was_expected_and_who_decided(run):
    tests = """assert { sequence {
        "low is fine" lab.Client ~> lab.Driver:valve.log.Put { level : 9 }
        deny lab.Client ~> lab.Driver:valve.log.Put { level : 1 }
        lab.Client ~> lab.Driver:outputs.Read
    } }"""
    result = run("request method=Put { assert (message.level < 5) }", tests)
    first, second, third = result.sequences[0].failures
    assert (first.case.place, first.case.label, first.verdict.rule) == ("t.psl:2", "low is fine", "security.psl:6")
    assert "`message.level` is 9" in first.verdict.reason
    assert (second.case.expected, second.verdict.granted) == ("deny", True)
    assert third.verdict.rule == "default"
    assert not result.passed


def test_of_many_events_each_one_is_judged(run):
    result = run("request src=lab.Client { grant () }", "assert { sequence { request dst=lab.Driver method=Put } }")
    assert len(result.sequences[0].failures) == result.sequences[0].verdicts - 1 == 3


def test_after_a_failed_setup_only_the_end_is_run(run):
    tests = """assert { setup { deny execute src=Einit dst=lab.Driver }
        sequence { lab.Client ~> lab.Driver:valve.log.Put } finally { any lab.Client ~> lab.Driver:valve.log.Put } }"""
    result = run(FLOW, tests)
    assert result.sequences[0].verdicts == 2
    assert [failure.case.part for failure in result.sequences[0].failures] == ["setup"]


def test_only_some_sequences_are_run(run):
    tests = """assert "levels" { sequence "low" { any request dst=lab.Driver } sequence "high" { any execute } }
        assert "start" { sequence { any execute } }"""
    names = lambda only: [one.sequence.name for one in run("request { }", tests, only=only).sequences]  # noqa: E731
    assert names("") == ["low", "high", "sequence 1"]
    assert names("LEVELS /") == ["low", "high"]
    assert names("high") == ["high"]
    assert names("none") == []


def test_coverage_counts_each_rule(run):
    policy = """request method=Put {
        assert (message.level < 5)
        deny (message.level == 3)
        match src=Einit { grant () }
    }
    request method=Read { grant () }"""
    tests = """assert { sequence {
        lab.Client ~> lab.Driver:valve.log.Put
        deny lab.Client ~> lab.Driver:valve.log.Put { level : 3 }
        deny lab.Client ~> lab.Driver:valve.log.Put { level : 7 }
        deny lab.Client ~> lab.Driver:outputs.Write
    } }"""
    rules = run(policy, tests).rules
    assert [(rule.place, rule.granted, rule.denied) for rule in rules] == [
        *(("security.psl:7", 2, 1), ("security.psl:8", 1, 1), ("security.psl:9", 0, 0), ("security.psl:11", 0, 0)),
    ]
    assert [rule.text for rule in rules][:2] == ["assert (message.level < 5)", "deny (message.level == 3)"]
    assert {rule.event for rule in rules} == {"request"}


def test_coverage_looks_into_choices(run):
    policy = """audit profile p = { 0 : {} } request method=Set {
    choice (re.select {text : message.text}) {
        "a" : { audit p assert (message.rpm < 5)
                choice (re.select {text : message.text}) {
                    "b" : grant ()
                    _ : deny (message.rpm == 3) } }
        _ : grant ()
    }
}"""
    tests = """assert { sequence {
        lab.Client ~> lab.Driver:outputs.Set { text : "a", rpm : 1 }
        deny lab.Client ~> lab.Driver:outputs.Set { text : "a", rpm : 3 }
        deny lab.Client ~> lab.Driver:outputs.Set { text : "a", rpm : 9 }
        lab.Client ~> lab.Driver:outputs.Set { text : "x" }
    } }"""
    result = run(policy, tests)
    assert result.passed
    assert [(rule.place.partition(":")[2], rule.granted, rule.denied) for rule in result.rules] == [
        *(("7", 2, 2), ("8", 2, 1), ("9", 1, 1), ("10", 0, 0), ("11", 1, 1), ("12", 1, 0)),
    ]


def test_the_json_form_is_stable(run):
    tests = """assert "s" { sequence "q" { "why" lab.Client ~> lab.Driver:valve.log.Put { level : 9 } } }"""
    result = run("request method=Put { assert (message.level < 5) }", tests)
    shown = json.loads(json.dumps(as_json([result])))
    assert shown.keys() == {"schema", "passed", "policies"}
    (policy,) = shown["policies"]
    assert (shown["schema"], shown["passed"], policy["policy"]) == (1, False, "security.psl")
    (sequence,) = policy["sequences"]
    assert sequence.keys() == {"set", "name", "place", "verdicts", "passed", "failures"}
    (failure,) = sequence["failures"]
    assert failure.pop("reason").startswith("`message.level < 5` is false")
    assert failure == {
        **{"place": "t.psl:1", "part": "sequence", "label": "why", "expected": "grant", "got": "deny"},
        **{"event": "request lab.Client → lab.Driver valve.log.Put", "rule": "security.psl:6"},
    }
    assert policy["coverage"] == {
        "share": 1.0,
        "rules": [{"place": "security.psl:6", "text": "assert (message.level < 5)", "granted": 0, "denied": 1}],
    }


def test_without_rules_all_of_them_are_covered(run):
    assert (
        as_json([run("request { }", "assert { sequence { deny request } }")])["policies"][0]["coverage"]["share"] == 1
    )


# ---- classes that are not described --------------------------------------------------------------------------------


@pytest.fixture
def opaque(load):
    text = "use EDL kl.VfsNet\nrequest dst=kl.VfsNet { assert (message.size < 5) }"
    return load(text, missing="opaque")


def test_what_is_not_described_takes_any_message(opaque, pal):
    tests = """assert { sequence {
        lab.Client ~> kl.VfsNet:net.Send { size : 3, name : "n", list : [1], inner : { a : 2 } }
        deny lab.Client ~> kl.VfsNet:net.Send { size : 7 }
    } }"""
    assert run_tests(opaque, pal(tests)).passed
    event = prepare(pal(tests), opaque.classes)[0].cases[0].events[0][1]
    assert event.message == {"size": 3, "name": "n", "list": [1], "inner": {"a": 2}}


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("request src=lab.Client dst=kl.VfsNet", "not described at hand; name `endpoint` and `method`"),
        ("lab.Client ~> kl.VfsNet:net.Send { size : 1, size : 2 }", "`size` is given twice"),
        ("lab.Client ~> kl.VfsNet:net.Send { size : a }", "an integer, a text, a list or a dictionary is due here"),
    ],
)
def test_what_is_not_described_must_be_named(opaque, pal, case, message):
    with pytest.raises(PolicyError, match=message):
        prepare(pal(f"assert {{ sequence {{ {case} }} }}"), opaque.classes)


def test_fields_choose_among_methods(prepared):
    case = only_case(prepared("assert { sequence { request src=lab.Client dst=lab.Driver { level : 1 } } }"))
    assert [str(one) for one, _ in case.events] == ["request lab.Client → lab.Driver valve.log.Put"]


def test_fields_whose_type_is_not_described_take_any_value(pal, tmp_path):
    (tmp_path / "Dark.idl").write_text("package Dark import no.Such interface { Do(in no.Such.Thing thing); }")
    (tmp_path / "Shade.edl").write_text("task class Shade endpoints { e : Dark }")
    text = "execute: kl.core.Execute use EDL Einit use EDL Shade request { grant () }"
    policy = compile_policy(source_from_text(text), Catalogue([tmp_path], missing="opaque"), missing="opaque")
    tests = pal("assert { sequence { Einit ~> Shade:e.Do { thing : [1, { a : 2 }] } } }")
    event = prepare(tests, policy.classes)[0].cases[0].events[0][1]
    assert event.message == {"thing": [1, {"a": 2}]}
