from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy import PolicyError, compile_policy, load_policy
from secureos.xdl.source import source_from_text

FLOW = 'config = { states : ["a", "b"], initial : "a", transitions : { "a" : ["b"] } }'


def wrongs(work):
    with pytest.raises(PolicyError) as caught:
        work()
    return [diagnostic.message for diagnostic in caught.value.diagnostics]


class TestTypes:
    def test_a_type_with_a_name_stands_for_what_it_says(self, load):
        policy = load(
            f"""policy object f : Flow {{ type State = States {FLOW} }}
            type States = Some | "b" type Some = "a"
            type All = UInt8 | Set<Some> | [Some, Boolean] | () | 5
                | {{ k : List<Text>, request : Map<Sid, HandleDesc> }}
            policy object s : HashSet {{ type Entry = {{ a : Port }} config = {{ set_size : 1, pool_size : 1 }} }}
            type Port = UInt16"""
        )
        assert set(policy.objects) == {"base", "f", "s"}

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("type UInt8 = Text", "type `UInt8` is declared already"),
            ("type T = Text type T = Text", "type `T` is declared already"),
            ("type T = UInt9", "unknown type `UInt9`; did you mean `UInt8`?"),
            ("type T = Set<Nope>", "unknown type `Nope`"),
            ("type T = T", "type `T` stands for itself"),
            ("type A = B type B = [A]", "type `A` stands for itself"),
            ("type A = Text type B = A<Text>", "type `A` takes no types"),
        ],
    )
    def test_mistakes_are_told(self, load, text, wrong):
        assert wrong in wrongs(lambda: load(text))

    def test_what_a_type_stands_for_is_bounded(self, load):
        doubling = " ".join(f"type T{n} = [T{n + 1}, T{n + 1}]" for n in range(20)) + " type T20 = Text"
        assert wrongs(lambda: load(doubling))[0] == "a type has at most 1000 parts and 32 names within names"
        chain = " ".join(f"type T{n} = T{n + 1}" for n in range(50)) + " type T50 = Text"
        assert wrongs(lambda: load(chain))[0] == "a type has at most 1000 parts and 32 names within names"
        wrong = f"{doubling} policy object f : Flow {{ type State = T0 {FLOW} }}"
        assert wrongs(lambda: load(wrong)).count("a type has at most 1000 parts and 32 names within names") > 1


class TestModules:
    def test_the_modules_of_the_language_are_always_there(self, load):
        modules = " ".join(
            f"use nk.{name}._" for name in ("base", "basic", "regex", "hashmap", "staticmap", "flow", "mic")
        )
        policy = load(f"{modules} {modules} request {{ grant () }}")
        assert ([source.name for source in policy.sources], policy.warnings) == (["security.psl"], ())

    def test_nonsecurity_allows_everything(self, engine, write):
        module = engine("use nonsecurity._")
        assert module.decide(write()).granted
        assert module.policy.sources[1].name == "nonsecurity.psl"

    def test_a_file_of_ones_own_counts_before_that_of_the_language(self, lab, head, tmp_path):
        (tmp_path / "nonsecurity.psl").write_text("execute { grant () }")
        (tmp_path / "p.psl").write_text(f"{head} use nonsecurity._")
        assert len(load_policy(tmp_path / "p.psl", lab).bindings) == 1

    def test_the_object_re_is_there_where_it_is_spoken_of(self, load):
        assert set(load("request { grant () }").objects) == {"base"}
        text = 'request method=Set { assert (re.match {text : message.text, pattern : "a"}) }'
        assert set(load(text).objects) == {"base", "re"}
        assert set(load(f"policy object re : Regex {{ }} {text}").objects) == {"base", "re"}

    def test_the_execute_line_may_stand_in_another_file_and_in_several(self, lab, head, tmp_path):
        (tmp_path / "a.psl").write_text("execute: kl.core.Execute")
        (tmp_path / "p.psl").write_text(f"{head} use a._")
        assert load_policy(tmp_path / "p.psl", lab).warnings == ()
        (tmp_path / "p.psl").write_text("use a._ use EDL Einit")
        assert load_policy(tmp_path / "p.psl", lab).warnings == ()


class TestTests:
    def test_they_are_kept_in_text_order(self, load):
        policy = load(
            """assert "one" { finally { request src=p dst=lab.Driver endpoint=outputs method=Write { session : 1 } }
                setup { p <- execute src=Einit dst=lab.Client }
                sequence { q <- execute dst=lab.Driver p ~> q:outputs.Write { tags : ["a"] }
                    any security src=q method=Report } }
            assert { sequence { deny response src=lab.Driver dst=lab.Client method=Put { } } }"""
        )
        assert [tests.name for tests in policy.tests] == ["one", ""]

    @pytest.mark.parametrize(
        ("case", "wrong"),
        [
            ("request src=p", "unknown class `p`; if it exists, add `use EDL p`"),
            ("p <- request dst=lab.Driver", "`p <-` names the process that an `execute` with `dst` starts"),
            ("p <- execute src=Einit", "`p <-` names the process that an `execute` with `dst` starts"),
            ("request dst=lab.Driver method=Writ", "unknown method `Writ` in dst=lab.Driver; did you mean `Write`?"),
            (
                "lab.Client ~> lab.Driver:outputs.Write { tag : [] }",
                "no message that is meant here has a field `tag`; did you mean `tags`?",
            ),
        ],
    )
    def test_their_names_are_checked(self, load, case, wrong):
        assert wrongs(lambda: load(f"assert {{ sequence {{ {case} }} }}")) == [wrong]

    def test_a_process_belongs_to_its_sequence(self, load):
        text = "assert { sequence { p <- execute dst=lab.Client } sequence { execute src=p dst=lab.Driver } }"
        assert wrongs(lambda: load(text)) == ["unknown class `p`; if it exists, add `use EDL p`"]

    def test_what_every_sequence_starts_is_known_in_finally(self, load):
        starts = (
            "sequence { p <- execute dst=lab.Client } sequence { q <- execute dst=lab.Driver p <- execute dst=Einit }"
        )
        assert load(f"assert {{ {starts} finally {{ execute src=p dst=lab.Driver }} }}").tests
        wrong = "unknown class `q`; if it exists, add `use EDL q`"
        assert wrongs(lambda: load(f"assert {{ finally {{ execute src=q dst=Einit }} {starts} }}")) == [wrong]
        alone = "setup { s <- execute dst=Einit } finally { execute src=s dst=lab.Driver }"
        assert load(f"assert {{ {alone} }}").tests


def test_the_states_of_a_flow_have_two_names(load):
    assert "f" in load(f'policy object f : Flow {{ type States = "a" | "b" {FLOW} }}').objects
    wrong = f'policy object f : Flow {{ type State = "a" | "b" type States = "a" | "b" {FLOW} }}'
    assert wrongs(lambda: load(wrong)) == ["type `State` is given twice"]


def test_a_class_without_messages_may_be_named_as_a_server(engine, write):
    module = engine("request dst=Einit { match src=lab.Client { grant () } } response src=lab.Client { grant () }")
    assert not module.decide(write()).granted


def test_the_start_method_may_be_named(engine):
    from secureos.policy import Event

    module = engine("execute src=Einit method=main interface=kl.core.Execute { match dst=lab.Driver { grant () } }")
    assert module.decide(Event("execute", 0, 1, 2, "Einit", "lab.Driver")).granted
    assert not module.decide(Event("execute", 0, 1, 2, "Einit", "lab.Client")).granted


WORDS = """request execute security { } { grant () } ( ) [ ] , : . = src=lab.Client dst=lab.Driver method=Set method=Put
endpoint=outputs match assert deny choice _ audit p message message.rpm message.heads.[0] src_sid dst_sid < == && ! ~ &
+ 1 -1 0x10 "a" true bool.any math.sum size pred.empty re.select re.match {text : pattern : type T = T | Set<T> policy
object f : Flow Regex {sid : use EDL kl.core.Core nk.base._ x.y._ default profile assert sequence ~> <-"""


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join), st.sampled_from(["error", "opaque"]))
def test_no_text_crashes_the_loading(lab, head, text, missing):
    source = source_from_text(f"{head} request dst=lab.Driver method=Set {{ {text} }} {text}")
    with contextlib.suppress(PolicyError):
        compile_policy(source, lab, missing=missing)
    with contextlib.suppress(PolicyError):
        compile_policy(source_from_text(f"{head} request dst=lab.Driver method=Set {{ assert ({text}) }}"), lab)


def test_a_class_may_be_named_as_a_task_class(load):
    assert "lab.Other" in load("task class lab.Other : lab.Other execute dst=lab.Other { grant () }").classes
    wrong = "class `lab.Other` keeps its name; write `use EDL lab.Other`"
    assert wrongs(lambda: load("task class Alias : lab.Other")) == [wrong]
    assert "task" in load("policy object task : Base { } request { task.grant () }").objects


def test_a_dictionary_type_may_be_empty_or_end_in_a_comma(load):
    assert load("type None = { } type Both = { a : UInt8, b : Text, } | { }").bindings == ()
