"""Decision functions, connections, the replacement of a policy, and which verdicts are audited."""

from __future__ import annotations

import dataclasses

import pytest

from secureos.policy import Engine, Event
from secureos.policy import decision_table as decision_table_module
from secureos.policy.models import Base
from secureos.policy.models.rate import Rate
from secureos.policy.shapes import BY_DEFAULT, BY_ERROR, bind, count_shapes, deny_by_default

LIFE = """policy object life : Flow { type State = "new" | "armed"
    config = { states : ["new", "armed"], initial : "new", transitions : { "new" : ["armed"], "armed" : ["armed"] } } }
"""
BEGIN = "execute dst=lab.Driver { life.init { sid : dst_sid } }\n"


def begin(sid=6, at_ns=0):
    return Event("execute", at_ns, 2, sid, "Einit", "lab.Driver")


@pytest.fixture
def asked(put):
    """The answer of the connection's function to a `Put`."""

    def ask(module, level=0, src_sid=5, dst_sid=6):
        held = module.connect("lab.Client", "lab.Driver").request
        return held[module.method_id("lab.Driver", "valve.log", "Put")](src_sid, dst_sid, 7, level)

    return ask


class TestConnections:
    def test_the_answer_is_a_number(self, engine, asked):
        module = engine("request method=Put { assert (message.level < 5) deny (message.level == 3) }")
        assert [asked(module, level) for level in (0, 3, 5)] == [0, 2, 1]

    def test_what_has_no_number_is_denied(self, engine):
        module = engine("request { grant () } security { grant () } response { grant () } error { grant () }")
        held = module.connect("lab.Client", "lab.Driver")
        for endpoint, method in (("valve.log", "Nope"), ("nope", "Put"), ("", "Put")):
            assert module.method_id("lab.Driver", endpoint, method) == 0
        for kind in ("request", "response", "error", "security"):
            assert getattr(held, kind)[0](1, 2) == BY_DEFAULT
        assert module.method_id("lab.Nobody", "valve.log", "Put") == 0
        assert module.connect("lab.Nobody", "lab.Client").request == [deny_by_default]
        with pytest.raises(AttributeError):
            _ = held.execute

    def test_what_no_rule_speaks_of_is_denied(self, engine, asked):
        module = engine("request method=Write { grant () }")
        assert asked(module) == BY_DEFAULT
        assert asked(engine("request { }")) == BY_DEFAULT

    def test_it_is_one_connection_however_often_it_is_asked_for(self, engine):
        module = engine("request { grant () }")
        assert module.connect("lab.Client", "lab.Driver") is module.connect("lab.Client", "lab.Driver")

    def test_replies_go_the_other_way_by_the_same_number(self, engine):
        module = engine(
            "response src=lab.Driver dst=lab.Client endpoint=outputs method=Read { assert (message.atNs == 1) }"
            " error src=lab.Driver method=Write { assert (message.code == 1 && src_sid == 6) }"
        )
        held = module.connect("lab.Client", "lab.Driver")
        read, write = (module.method_id("lab.Driver", "outputs", name) for name in ("Read", "Write"))
        assert [held.response[read](6, 5, [], at) for at in (1, 2)] == [0, 1]
        assert [held.error[write](6, 5, code) for code in (1, 2)] == [0, 1]
        assert held.response[write](6, 5) == BY_DEFAULT

    def test_the_security_interface_is_the_senders_own(self, engine):
        module = engine("security src=lab.Driver method=Report { assert (src_sid == 6) }")
        number = module.method_id("lab.Driver", "", "Report")
        held = module.connect("lab.Driver", None)
        assert [held.security[number](sid, None, [], [], []) for sid in (6, 7)] == [0, 1]
        assert held.request == [deny_by_default]
        assert module.connect("lab.Driver", "lab.Client").security[number](6, None, [], [], []) == 0

    def test_time_goes_on_for_all_of_them_and_never_back(self, engine, asked, put):
        text = "policy object pace : Rate { config = { count : 1, per_ms : 1, burst : 1, subjects : 2 } }"
        module = engine(f"{text} request method=Put {{ pace.take {{ sid : src_sid, n : 1 }} }}")
        assert module.advance(5)
        assert [asked(module), asked(module)] == [0, 1]
        assert not module.advance(4)
        assert module.decide(put(at_ns=4)).reason == "time ran backwards: 4 ns after 5 ns"
        assert asked(module) == 1
        assert module.advance(1_000_005)
        assert asked(module) == 0

    def test_before_any_event_it_is_time_0(self, engine):
        text = """policy object minute : Budget { config = { limit : 1, window_ms : 10, max_age_ms : 4, weighs : {
            "A.open" : { by : "A.P", at_least : 1 } } } }
            security { minute.observe { points : message.tags, values : message.values, quality : message.quality } }"""
        module = engine(text)
        number = module.method_id("lab.Driver", "", "Report")
        assert module.connect("lab.Driver", None).security[number](6, None, ["A.P"], [1], [0]) == 0
        assert module.snapshot()["objects"]["minute"]["readings"] == {"A.P": [0, 1]}

    def test_errors_are_denials(self, engine, monkeypatch, asked):
        module = engine("request method=Set { assert (message.heads.[1].code == 1) } request method=Put { grant () }")
        number = module.method_id("lab.Driver", "outputs", "Set")
        held = module.connect("lab.Client", "lab.Driver").request
        empty = (0, 0, {}, [0, 0, 0], [], b"", "", {"a": 1}, {"handle": 1, "rights": 0})
        assert held[number](5, 6, *empty) == BY_ERROR
        monkeypatch.setattr(module._table, "function", lambda key: {}[key])
        assert asked(module) == BY_ERROR

    def test_rules_that_are_called_get_the_event_whole(self, engine, asked):
        text = "request method=Put { assert (math.uint8 (message.level) < 5 && dst_sid == 6 && message.session == 7) }"
        module = engine(text)
        assert [asked(module, level) for level in (4, 5)] == [0, 1]
        assert asked(module, 4, dst_sid=7) == 1

    def test_a_denial_takes_back_what_was_changed_at_once(self, engine, asked):
        text = "policy object ports : HashSet { type Entry = UInt8 config = { set_size : 2, pool_size : 2 } }"
        module = engine(
            f"{text} {LIFE} {BEGIN} request method=Put {{ ports.init {{ sid : src_sid }}"
            " ports.add { sid : src_sid, entry : message.level }"
            ' life.enter { sid : dst_sid, state : "armed" } life.allow { sid : dst_sid, states : ["armed"] }'
            " deny (ports.contains { sid : src_sid, entry : 3 }) }"
        )
        before = module.snapshot()["objects"]
        assert asked(module) == 3
        assert module.decide(begin()).granted
        assert asked(module, 3) == 5
        assert module.snapshot()["objects"] == {**before, "life": [[6, "new"]]}
        assert asked(module, 2) == 0
        assert module.snapshot()["objects"] == {**before, "life": [[6, "armed"]], "ports": [[5, [2]]]}

    def test_an_error_takes_back_what_was_changed_at_once(self, engine):
        text = "policy object ports : HashSet { type Entry = UInt8 config = { set_size : 2, pool_size : 2 } }"
        module = engine(
            f"{text} request method=Set {{ ports.init {{ sid : src_sid }} assert (message.bits.[2] == 1) }}"
        )
        number = module.method_id("lab.Driver", "outputs", "Set")
        held = module.connect("lab.Client", "lab.Driver").request
        fields = [0, 0, {}, [0, 0], [], b"", "", {"a": 1}, {"handle": 1, "rights": 0}]
        assert held[number](5, 6, *fields) == BY_ERROR
        assert module.snapshot()["objects"]["ports"] == []
        fields[3] = [0, 0, 1]
        assert held[number](5, 6, *fields) == 0
        assert module.snapshot()["objects"]["ports"] == [[5, []]]


class TestFunctions:
    def test_like_rules_share_their_code(self, engine, asked):
        rows = "\n".join(f"request method=Put {{ assert (message.level < {level}) }}" for level in (3, 4))
        first = engine(rows)
        second = engine(rows.replace("3", "7").replace("Put", "Put "))
        asked(first), asked(second)
        kept = [
            module.connect("lab.Client", "lab.Driver").request[module.method_id("lab.Driver", "valve.log", "Put")]
            for module in (first, second)
        ]
        kept = [getattr(function, "plain", function) for function in kept]
        assert kept[0].__code__ is kept[1].__code__
        assert kept[0].__defaults__ == (3, 4)
        assert kept[1].__defaults__ == (7, 4)
        assert count_shapes() > 0

    def test_they_reach_no_built_in_function(self):
        with pytest.raises(NameError):
            bind("def decide():\n return open\n", ())()

    @pytest.mark.parametrize("count", [64, 65, 300])
    def test_any_number_of_rules(self, engine, asked, count):
        text = "\n".join(f"request method=Put {{ deny (message.level == {100 + number}) }}" for number in range(count))
        module = engine(text)
        assert asked(module, 0) == 0
        assert asked(module, 100 + min(count, 155) - 1) == min(count, 155)

    def test_what_is_too_deep_for_python_is_called(self, engine, asked, monkeypatch):
        monkeypatch.setattr("secureos.policy.codegen_expressions._MAX_DEPTH", 4)
        deep = "!(" * 7 + "message.level == 1" + ")" * 7
        module = engine(f"request method=Put {{ assert ({deep}) }}")
        assert [asked(module, level) for level in (0, 1)] == [0, 1]

    def test_code_that_python_refuses_is_called(self, engine, asked, monkeypatch):
        real = bind

        def refuse(source, parameters):
            if "f1" in source.splitlines()[2]:
                raise MemoryError
            return real(source, parameters)

        monkeypatch.setattr("secureos.policy.codegen.bind", refuse)
        module = engine("request method=Put { assert (message.level == 1) }")
        assert [asked(module, level) for level in (1, 0)] == [0, 1]

    def test_the_rules_have_the_last_word_on_reasons_but_never_grant_what_was_denied(self, engine, put):
        module = engine("request method=Put { grant () }")
        assert module.decide(put()).granted
        (found,) = module._table._kept.values()
        found.decide = lambda *_: 1
        verdict = module.decide(put())
        assert (verdict.granted, verdict.rule) == (False, "engine")
        assert "grant what their decision function denied" in verdict.reason

    def test_the_table_is_bounded(self, engine, put, monkeypatch):
        monkeypatch.setattr(decision_table_module, "MAX_KEPT", 1)
        module = engine("request { grant () } execute { grant () }")
        for event in (put(), begin(), put()):
            assert module.decide(event).granted
            assert len(module._table._kept) == 1

    @pytest.mark.parametrize(
        ("expression", "granted"),
        [
            ("bool.all [message.level == 1, true]", True),
            ("bool.all []", True),
            ("bool.any []", False),
            ("bool.any [message.level == 2, message.level == 1]", True),
            ("bool.cond { if : message.level == 1, then : true, else : false }", True),
            ("(message.level & 1) == 1", True),
            ("(message.level | 2) == 3", True),
            ("s.covers { points : [1, message.level] }", True),
            ("s.meets { points : [1, 2] }", True),
            ('pred.empty ("")', True),
            ("pred.empty ([1])", False),
            ("size ([1, 2]) == 2", True),
            ("math.sum [1, 2] == 3", True),
            ("({ a : 1, b : 2 }).a == 1", True),
            ("math.sum [message.level, message.session] == 8", True),
            ("message.level * 9223372036854775807 * 3 > 0", False),
        ],
    )
    def test_expressions_in_place_mean_what_their_closures_mean(self, engine, put, asked, expression, granted):
        module = engine(
            f"policy object s : PointSet {{ config = [1, 2] }} request method=Put {{ assert ({expression}) }}"
        )
        assert module.decide(put(1)).granted == granted
        assert (asked(module, 1) == 0) == granted


class TestModelsInPlace:
    def test_a_new_subject_finds_room_only_where_another_is_due(self, engine, asked):
        text = "policy object pace : Rate { config = { count : 1, per_ms : 1, burst : 2, subjects : 1 } }"
        module = engine(f"{text} request method=Put {{ pace.take {{ sid : src_sid, n : 1 }} }}")
        assert module.advance(0)
        assert [asked(module, src_sid=1), asked(module, src_sid=2)] == [0, 1]
        assert module.advance(1_000_000)
        assert [asked(module, src_sid=2), asked(module, src_sid=1)] == [0, 1]
        assert module.snapshot()["objects"]["pace"] == [[2, 2_000_000]]

    @pytest.mark.parametrize("number", ["message.level", "-1"])
    def test_a_number_that_is_not_fixed_or_negative_is_left_to_the_model(self, engine, asked, number):
        text = "policy object pace : Rate { config = { count : 1, per_ms : 1, burst : 2, subjects : 1 } }"
        module = engine(f"{text} request method=Put {{ pace.take {{ sid : src_sid, n : {number} }} }}")
        assert asked(module, 2) == (1 if number == "-1" else 0)
        assert asked(module, 3) == 1

    def test_a_value_is_kept_that_later_rules_change(self, engine, asked):
        table = 'policy object win : StaticMap { type Value = UInt8 config = { keys : { "k" : 6 }, pool_size : 1 } }'
        module = engine(
            f"{table} {LIFE} {BEGIN} execute {{ win.init {{ sid : 1 }} }} request method=Put {{"
            ' life.enter { sid : win.get { sid : 1, key : "k" }, state : "armed" }'
            ' win.set { sid : 1, key : "k", value : 9 } win.commit { sid : 1 } }'
        )
        assert module.decide(begin()).granted
        assert asked(module) == 0
        assert module.snapshot()["objects"]["life"] == [[6, "armed"]]
        assert asked(module) == 1

    @pytest.mark.parametrize("levels", ['["LOW", "HIGH"]', '{ degrees : ["LOW", "HIGH"], categories : ["a"] }'])
    def test_integrity_levels(self, engine, asked, levels):
        module = engine(
            f"policy object mic : Mic {{ config = {levels} }}"
            ' execute dst=lab.Driver { mic.execute { image : (), target : dst_sid, level : "LOW", levelR : () } }'
            ' execute dst=lab.Client { mic.execute { image : (), target : dst_sid, level : "HIGH", levelR : "LOW" } }'
            " request method=Put { mic.invoke { source : src_sid, target : dst_sid }"
            " mic.call { source : src_sid, target : dst_sid } }"
        )
        assert asked(module) == 1
        for sid, name in ((5, "lab.Client"), (6, "lab.Driver")):
            assert module.decide(Event("execute", 0, 2, sid, "Einit", name)).granted
        assert asked(module) == 0
        assert asked(module, src_sid=6, dst_sid=5) == 1
        assert asked(module, src_sid=6, dst_sid=7) == 1

    @pytest.mark.parametrize(
        ("arguments", "answers"),
        [
            ('points : ["v"], values : [message.level]', [0, 0, 1]),
            ('points : ["v", "w"], values : [message.level, 3]', [0, 0, 1]),
            ('points : ["w"], values : [message.level]', [0, 0, 0]),
            ('points : ["v", "v"], values : [message.level, 3]', [1, 1, 1]),
            ('points : ["v", "w"], values : [message.level]', [1, 1, 1]),
            ('points : ["s"], values : [message.level]', [1, 1, 1]),
        ],
    )
    def test_ranges_of_points_that_stand_in_the_policy(self, engine, asked, arguments, answers):
        module = engine(
            'policy object tank : Envelope { config = { max_age_ms : 9, ranges : { "v" : { low : 0, high : 5 } },'
            ' slopes : { "s" : { rise : 1, fall : 1, per_ms : 1 } } } }'
            f" request method=Put {{ tank.admit {{ {arguments} }} }}"
        )
        assert [asked(module, level) for level in (0, 5, 6)] == answers


def test_handles_are_left_to_the_rules_themselves(engine):
    module = engine("request method=Set { assert (message.handle.rights == 3 && message.head.kind == 1) }")
    number = module.method_id("lab.Driver", "outputs", "Set")
    held = module.connect("lab.Client", "lab.Driver").request
    for rights, answer in ((3, 0), (4, 1)):
        handle = {"handle": 1, "rights": rights}
        assert held[number](5, 6, 0, 0, {"kind": 1, "code": 1}, [0, 0, 0], [], b"", "", {"a": 1}, handle) == answer


def test_structures_are_left_to_the_rules_themselves(engine):
    module = engine(
        "policy object heads : HashSet { type Entry = { kind : UInt8, code : SInt32 }"
        " config = { set_size : 2, pool_size : 2 } }"
        " request method=Set { heads.init { sid : src_sid } heads.add { sid : src_sid, entry : message.head } }"
    )
    number = module.method_id("lab.Driver", "outputs", "Set")
    held = module.connect("lab.Client", "lab.Driver").request
    rest = ([0, 0, 0], [], b"", "", {"a": 1}, {"handle": 1, "rights": 1})
    assert held[number](5, 6, 0, 0, {"kind": 1, "code": 2}, *rest) == 0
    assert module.snapshot()["objects"]["heads"] == [[5, ['{"code": 2, "kind": 1}']]]


class TestWithoutDescription:
    """Classes whose description is not at hand: any name can be meant, and every rule that could mean it is asked."""

    @pytest.fixture
    def opaque(self, load):
        def make(text):
            return Engine(load(f"use EDL sdk.Vfs {text}", missing="opaque"))

        return make

    @pytest.mark.parametrize(
        ("selectors", "granted"),
        [
            ("endpoint=fs.fs", True),
            ("interface=sdk.Any", True),
            ("component=sdk.Any method=Open", True),
            ("src=lab.Client interface=sdk.Any", True),
            ("src=lab.Driver interface=sdk.Any", False),
            ("endpoint=other interface=sdk.Any", False),
            ("method=Close interface=sdk.Any", False),
        ],
    )
    def test_every_rule_is_asked_that_could_mean_it(self, opaque, selectors, granted):
        module = opaque(f"request dst=sdk.Vfs {selectors} {{ grant () }}")
        event = Event("request", 0, 5, 6, "lab.Client", "sdk.Vfs", "fs.fs", "Open", {"path": "a"})
        assert module.decide(event).granted == granted

    def test_a_name_in_the_event_is_never_a_pattern(self, opaque):
        module = opaque("request dst=sdk.Vfs endpoint=fs.fs { grant () }")
        event = Event("request", 0, 5, 6, "lab.Client", "sdk.Vfs", "fs*", "Open")
        assert not module.decide(event).granted

    def test_its_fields_are_read_off_the_event(self, opaque):
        module = opaque("request dst=sdk.Vfs method=Open { assert (message.mode == 1) }")
        event = Event("request", 0, 5, 6, "lab.Client", "sdk.Vfs", "fs.fs", "Open", {"mode": 1})
        assert module.decide(event).granted
        assert not module.decide(dataclasses.replace(event, message={"mode": 2})).granted
        assert module.method_id("sdk.Vfs", "fs.fs", "Open") == 0


class TestReplacement:
    def test_connections_follow_the_new_policy(self, engine, load, asked):
        module = engine("request method=Put { assert (message.level < 5) }")
        held = module.connect("lab.Client", "lab.Driver").request
        untouched = module.connect("lab.Client", "lab.Other")
        number = module.method_id("lab.Driver", "valve.log", "Put")
        assert held[number](5, 6, 7, 4) == 0
        module.swap(load("request method=Put { assert (message.level < 3) } response { grant () }"))
        assert held[number](5, 6, 7, 4) == 1
        assert held is module.connect("lab.Client", "lab.Driver").request
        module.swap(load("use EDL lab.Other request { grant () }"))
        assert held[number](5, 6, 7, 4) == 0
        assert module.method_id("lab.Other", "log", "Put") == 1
        assert untouched.request[1](5, 6, 7, 1) == 0
        assert module.policy.classes.keys() > {"lab.Other"}

    def test_what_stood_in_for_an_old_decision_never_comes_into_the_new_list(self, engine, load):
        module = engine("request method=Put { grant () }")
        held = module.connect("lab.Client", "lab.Driver").request
        number = module.method_id("lab.Driver", "valve.log", "Put")
        old = held[number]
        module.swap(load("request method=Put { deny () }"))
        assert old(5, 6, 7, 4) == 0
        assert held[number](5, 6, 7, 4) == 1

    def test_state_goes_on_where_the_declaration_is_the_same(self, engine, load, put):
        base = f"{LIFE} {BEGIN}"
        module = engine(base + "audit default = empty 3 execute dst=lab.Client { set_level (1) }")
        assert module.decide(begin(at_ns=9)).granted
        assert module.decide(Event("execute", 9, 2, 5, "Einit", "lab.Client")).granted
        assert module.snapshot()["objects"]["base"] == 1
        module.swap(load(base + "audit default = empty 3 request { grant () }"))
        assert module.snapshot() == {"at_ns": 9, "objects": {"base": 1, "life": [[6, "new"]]}}
        assert not module.decide(put(at_ns=8)).granted
        module.swap(load(base.replace('"armed" : ["armed"]', '"armed" : []') + "audit default = empty 2"))
        assert module.snapshot()["objects"] == {"base": 2, "life": []}
        module.swap(load("policy object further : Base { }"))
        assert module.snapshot()["objects"] == {"base": 0, "further": 0}

    def test_makers_that_cannot_be_compared_begin_anew(self, engine, load):
        text = f"{LIFE} {BEGIN}"
        module = engine(text)
        assert module.decide(begin()).granted
        policy = load(text)

        def make():
            return policy.objects["life"]()

        module.swap(dataclasses.replace(policy, objects={**policy.objects, "life": make}))
        assert module.snapshot()["objects"]["life"] == []

    def test_if_the_new_one_cannot_be_made_ready_the_old_one_stays(self, engine, load, put):
        module = engine("request { grant () }")
        broken = dataclasses.replace(load(""), objects={"base": lambda: {}["lost"]})
        with pytest.raises(KeyError):
            module.swap(broken)
        assert module.decide(put()).granted


AUDIT = """policy object second : Base { }
policy object re : Regex { }
audit profile some = {
    0 : { },
    1 : { base : { kss : ["denied"] } },
    2 : { base : { kss : ["granted"] }, second : { kss : ["granted", "denied"] } },
    3 : { life : { kss : ["granted", "denied"], omit : ["armed"] } },
    4 : { re : { kss : ["granted"], emit : ["match"] } } }
audit profile quiet = { 2 : { } }
"""


class TestAudit:
    @pytest.mark.parametrize(("level", "granted", "denied"), [(0, 0, 0), (1, 0, 1), (2, 1, 0), (9, 0, 0)])
    def test_the_level_and_the_result_decide(self, engine, put, level, granted, denied):
        module = engine(
            f"{AUDIT} {LIFE} audit default = some {level} request method=Put {{ assert (message.level < 5) }}"
        )
        for _ in range(2):
            assert module.decide(put(1)).audited == bool(granted)
            assert module.decide(put(7)).audited == bool(denied)

    def test_rules_before_a_denial_count_as_granted(self, engine, put):
        module = engine(f"{AUDIT} {LIFE} audit default = some 2 request method=Put {{ second.grant () deny () }}")
        assert module.decide(put()).audited
        module = engine(f"{AUDIT} {LIFE} audit default = some 2 request method=Put {{ deny () second.grant () }}")
        assert not module.decide(put()).audited

    def test_denials_without_a_rule_are_always_audited(self, engine, put):
        module = engine("request method=Write { grant () }")
        assert module.decide(put(at_ns=2)).audited
        assert module.decide(put(at_ns=1)).audited
        assert module.decide(dataclasses.replace(put(at_ns=2), src="lab.Other")).audited
        assert (
            engine("request method=Set { assert (message.bits.[0] == 1) }")
            .decide(Event("request", 0, 5, 6, "lab.Client", "lab.Driver", "outputs", "Set", {"bits": []}))
            .audited
        )

    def test_an_inner_profile_counts_before_the_outer(self, engine, put):
        text = f"{AUDIT} {LIFE} audit default = some 2"
        assert not engine(f"{text} request method=Put {{ audit quiet grant () }}").decide(put()).audited
        inner = f"{text} request {{ audit quiet match method=Put {{ audit some grant () }} }}"
        assert engine(inner).decide(put()).audited

    def test_the_level_can_change_and_is_taken_back_with_a_denial(self, engine, put):
        module = engine(
            f"{AUDIT} {LIFE} audit default = some 0 request method=Put {{ set_level (2) assert (message.level < 5) }}"
        )
        assert not module.decide(put(7)).audited
        assert module.snapshot()["objects"]["base"] == 0
        assert module.decide(put(1)).audited
        assert module.snapshot()["objects"]["base"] == 2

    def test_a_flow_is_silent_in_the_states_left_out(self, engine, put):
        module = engine(
            f"{AUDIT} {LIFE} {BEGIN} audit default = some 3"
            ' request method=Put { life.enter { sid : dst_sid, state : "armed" } }'
        )
        assert module.decide(put()).audited  # denied: there is no automaton
        assert module.decide(begin()).audited
        assert not module.decide(put()).audited
        assert not module.decide(begin()).audited

    def test_expressions_count_with_the_rule_that_asks_them(self, engine, put):
        text = f'{AUDIT} {LIFE} audit default = some 4 request method=Put {{ assert (re.match {{ text : "a", pattern : '
        assert engine(text + '"a" }) }').decide(put()).audited
        assert not engine(text + '"b" }) }').decide(put()).audited
        text = f'{AUDIT} {LIFE} audit default = some 4 request method=Put {{ choice (re.select {{ text : "a" }}) {{ '
        assert not engine(text + '"a" : grant () } }').decide(put()).audited

    def test_in_a_choice_the_rules_of_the_fitting_case_count(self, engine, put):
        module = engine(
            f"{AUDIT} {LIFE} {BEGIN} audit default = some 2\nrequest method=Put {{\n"
            "choice (life.query { sid : dst_sid }) {\n"
            '"new" : {\nsecond.grant ()\nlife.enter { sid : dst_sid, state : "armed" }\n'
            "second.assert (message.level < 5) }\n"
            '"armed" : life.allow { sid : dst_sid, states : ["armed"] } } }'
        )
        assert module.decide(begin()).granted
        denied = module.decide(put(7))
        assert (denied.granted, denied.audited) == (False, True)
        assert denied.tried[-1] == denied.rule
        assert len(denied.tried) == 4
        assert module.snapshot()["objects"]["life"] == [[6, "new"]]
        assert module.decide(put(1)).audited
        assert not module.decide(put(1)).audited
        other = engine(
            f'{AUDIT} {LIFE} audit default = some 1 request method=Put {{ choice (re.select {{ text : "a" }}) {{'
            ' "b" : grant () } }'
        ).decide(put())
        assert other.reason.startswith("no case of the choice fits")
        assert not other.audited


def test_objects_keep_the_containers_that_functions_hold(load):
    policy = load("policy object pace : Rate { config = { count : 1, per_ms : 1, burst : 1, subjects : 1 } }")
    engine = Engine(policy)
    pace = engine._objects["pace"]
    assert isinstance(pace, Rate)
    held = pace.arrival_ns
    engine.restore(engine.snapshot())
    assert pace.arrival_ns is held
    assert isinstance(engine._objects["base"], Base)
