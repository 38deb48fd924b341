from __future__ import annotations

import pytest

from secureos.policy import Engine, Event, PolicyError, compile_policy
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text

FILES = {
    "own/Io.idl": """package own.Io
        import kl.core.Types
        import sdk.Missing
        const UInt32 Most = SdkMost * 2;
        const SdkNumber One = 1;
        typedef SInt32 Retcode;
        interface { Put(in string<SdkMost> text, in sequence<SdkThing, Most> things, in UInt8 one, error Retcode rc,
                        error Boolean flag); }""",
    "own/App.edl": "entity own.App components { disk : sdk.Disk } endpoints { io : own.Io net : sdk.Net }",
    "own/Tool.edl": "task class own.Tool",
}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    folder = tmp_path_factory.mktemp("descriptions")
    (folder / "own").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)

    def read(text, missing="opaque"):
        source = source_from_text(f"execute: kl.core.Execute\n{text}", name="p.psl")
        return compile_policy(source, Catalogue([folder]), missing=missing)

    return read


USES = "use EDL kl.core.Core use EDL own.App use EDL own.Tool use EDL sdk.Vfs\n"


def test_what_is_not_at_hand_is_taken_as_named_with_one_warning_each(load):
    policy = load(
        USES
        + """use EDL sdk.Vfs use sdk.driver._
        request dst=sdk.Vfs endpoint=files.fs method=Open { assert (message.path.[3].mode == 7) }
        request dst=sdk.Vfs component=sdk.Any interface=sdk.Files { grant () }
        response src=sdk.Vfs { grant () }
        security src=sdk.Vfs method=Register { assert (message.port < 3 && !message.flag) }
        request dst=own.App endpoint=disk.raw.block method=Read { deny (pred.empty (message.name)) }
        request dst=own.App endpoint=net method=Dial { assert (message.host.handle == 1) }
        request dst=own.App interface=sdk.Net { grant () }
        request dst=own.App method=Put { assert (message.one == 1 && message.things.[0].x == 2) }
        error src=own.App method=Put { assert (message.rc == 0 && message.flag == 0) }
        request dst=kl.core.Core endpoint=task.Task method=NoSuchMethod { assert (message.whatever > 1) }
        request dst=kl.core.Core endpoint=new.New { grant () }
        execute src=sdk.driver.Usb { grant () }"""
    )
    shown = [str(warning).split("\n")[0].partition(": ")[2] for warning in policy.warnings]
    assert sorted(shown) == [
        "class `sdk.Vfs` is taken as it is named: no folder holds `sdk/Vfs.edl`",
        "class `sdk.driver.Usb` is taken as it is named: no folder holds `sdk/driver/Usb.edl`",
        "component `sdk.Disk` is taken as it is named: no folder holds `sdk/Disk.cdl`",
        "package `sdk.Missing` is taken as it is named: no folder holds `sdk/Missing.idl`",
        "package `sdk.Net` is taken as it is named: no folder holds `sdk/Net.idl`",
        "policy file `sdk.driver` is passed over: no folder holds `sdk/driver.psl`",
        "the methods of `kl.core.Core` are listed here in part: others are taken as they are named",
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("use EDL sdk.Vfs", "unknown class `sdk.Vfs`: no folder holds `sdk/Vfs.edl`"),
        ("use EDL own.App", "unknown component `sdk.Disk`: no folder holds `sdk/Disk.cdl`"),
        ("use sdk.driver._", "unknown policy file `sdk.driver`: no folder holds `sdk/driver.psl`"),
        (
            "use EDL kl.core.Core request dst=kl.core.Core endpoint=task.Task method=Exi { }",
            "unknown method `Exi` in dst=kl.core.Core endpoint=task.Task; did you mean `Exit`?",
        ),
    ],
)
def test_otherwise_it_is_an_error(load, text, wrong):
    with pytest.raises(PolicyError) as caught:
        load(text, "error")
    assert caught.value.diagnostics[0].message == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("request dst=sdk.Other { }", "unknown class `sdk.Other`"),
        ("request dst=own.App endpoint=nope { }", "unknown endpoint `nope` in dst=own.App"),
        (
            "request dst=own.App endpoint=io method=Putt { }",
            "unknown method `Putt` in dst=own.App endpoint=io; did you",
        ),
        (
            "request dst=own.App method=Put { assert (message.two == 1) }",
            "the request of `own.Io.Put` has no field `two`",
        ),
        (
            "request dst=own.App endpoint=io method=Put { assert (message.one) }",
            "the argument of `assert` must be a Bool",
        ),
    ],
)
def test_what_is_at_hand_is_checked_all_the_same(load, text, wrong):
    with pytest.raises(PolicyError) as caught:
        load(USES + text)
    assert caught.value.diagnostics[0].message.startswith(wrong)


def test_events_of_opaque_classes_are_decided(load):
    module = Engine(
        load(
            USES
            + """request dst=sdk.Vfs method=Open { assert (message.mode == 7) }
            request dst=kl.core.Core endpoint=task.Task method=NoSuch { assert ((~message.x) == 0) }"""
        )
    )

    def ask(dst, endpoint, method, **message):
        return module.decide(Event("request", 0, 1, 2, "own.Tool", dst, endpoint, method, message))

    assert ask("sdk.Vfs", "any.path", "Open", mode=7).granted
    assert not ask("sdk.Vfs", "any.path", "Open", mode=8).granted
    assert not ask("sdk.Vfs", "any.path", "Open").granted
    assert not ask("sdk.Vfs", "any.path", "Close").granted
    assert "needs the width of a value" in ask("kl.core.Core", "task.Task", "NoSuch", x=1).reason


def test_a_kernels_method_does_not_make_a_field_ambiguous(load):
    text = "use EDL kl.core.Core use EDL own.Tool request method=Write { assert (message.anything == 1) }"
    assert len(load(text, "error").bindings) == 1


def test_an_opaque_message_fits_always_and_has_no_numbers(load):
    policy = load(USES)
    vfs, app = policy.classes["sdk.Vfs"], policy.classes["own.App"]
    method = vfs.endpoints["a.b"].interface.methods["C"]
    assert (method.number, vfs.endpoints["a.b"].number, method.check_inputs({"x": 1})) == (-1, -1, None)
    assert (list(vfs.endpoints), len(app.endpoints), "disk.x" in app.endpoints, "x" in app.endpoints) == (
        [],
        2,
        True,
        False,
    )
    assert app.endpoints["io"].interface.methods["Put"].check_inputs(
        {"text": "t", "things": [object()], "one": 1}
    ) is None  # fmt: skip
    with pytest.raises(KeyError):
        app.endpoints["x"]


def test_tests_of_opaque_classes_may_name_anything(load):
    policy = load(
        USES
        + """assert { sequence { a <- execute dst=sdk.Vfs request src=own.Tool dst=a endpoint=x.y method=Z { any : [1] }
        request src=own.Tool dst=own.App method=Put { one : 1 } } }"""
    )
    assert len(policy.tests) == 1
    with pytest.raises(PolicyError, match="no message that is meant here has a field `tow`"):
        load(USES + "assert { sequence { request src=own.Tool dst=own.App endpoint=io method=Put { tow : 1 } } }")


def test_classes_that_a_missing_module_may_bring_are_found_wherever_they_are_named(load):
    policy = load(
        """use sdk.all._ use EDL own.Tool
        request src=m.A { match dst=m.B { choice (src_sid) { 1 : { match method=X { grant () } } } } }
        request src=m.A { choice (src_sid) { 1 : { match dst=m.C { grant () } } } }
        assert { sequence { v <- execute dst=m.D request src=v dst=m.E endpoint=e method=f } }"""
    )
    assert sorted(policy.classes) == ["m.A", "m.B", "m.C", "m.D", "m.E", "own.Tool"]


# ---- parts of a policy ---------------------------------------------------------------------------------------------

WHOLE = "use EDL kl.core.Core "
PART = """use EDL own.Tool
    audit default = trace 1
    request src=own.Tool dst=kl.core.Core { audit quiet grant () match method=Exit { users.check { sid : src_sid } } }
    request src=m.A dst=own.App method=Put {
        assert (message.one == 1 && users.contains { sid : src_sid, entry : message.one })
        choice (words.select { text : message.text }) { "a" : grant () _ : deny () }
        choice (message.one) { 1 : users.go () _ : grant () }
    }
    execute src=Einit dst=m.A { grant () }
    audit profile own = { 1 : { base : { kss : ["denied"] }, users : { kss : [], emit : ["match"] } }, 2 : {} }
"""


def messages(policy):
    return [warning.message for warning in policy.warnings]


def test_a_part_of_a_policy_leaves_classes_objects_and_profiles_to_others(load):
    policy = load(PART)
    assert {"own.Tool", "own.App", "kl.core.Core", "Einit", "m.A"} == set(policy.classes)
    assert {one for one in messages(policy) if "declared" in one} == {
        "policy object `users` is declared in no file at hand: what asks it denies",
        "policy object `words` is declared in no file at hand: what asks it denies",
        "audit profile `trace` is declared in no file at hand: it records nothing",
        "audit profile `quiet` is declared in no file at hand: it records nothing",
    }
    assert (policy.default_profile, list(policy.profiles["own"][1]), policy.profiles["own"][2]) == (
        "empty",
        ["base"],
        {},
    )


def test_what_asks_an_absent_object_denies(load):
    module = Engine(load(PART))

    def ask(dst, endpoint, method, src="own.Tool", **message):
        return module.decide(Event("request", 0, 1, 2, src, dst, endpoint, method, message))

    assert ask("kl.core.Core", "task.Task", "Sleep").granted
    assert not ask("kl.core.Core", "task.Task", "Exit").granted
    assert not ask("own.App", "io", "Put", src="m.A", text="a", things=[], one=1).granted


@pytest.mark.parametrize(
    "more", ["use sdk.more._", "@MORE@", '{% if BOARD == "X" %}\nuse sdk.more._\n{% endif %}', "use EDL sdk.@MORE@"]
)
def test_what_is_not_at_hand_may_bring_the_same(load, more):
    assert len(load(f"{WHOLE}\n{more}\n{PART}").bindings) == 3


def test_a_whole_policy_may_leave_out_to_name_the_vendors_classes(load):
    text = f"{WHOLE} request src=kl.drivers.Disk dst=kl.Net {{ grant () }}"
    assert {"kl.drivers.Disk", "kl.Net"} <= set(load(text).classes)
    with pytest.raises(PolicyError, match="unknown class `kl"):
        load(text, "error")
    with pytest.raises(PolicyError, match=r"unknown class .*; did you mean"):
        load(f"{WHOLE} request dst=kl.core.Croe {{ grant () }}")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (WHOLE + "request src=m.A { grant () }", "unknown class `m.A`; if it exists, add `use EDL m.A`"),
        (WHOLE + "use EDL own.Tool request src=own.Tool { users.check () }", "unknown object `users`"),
        ("use EDL own.Tool request src=own.Tol { grant () }", "unknown class `own.Tol`; did you mean `own.Tool`?"),
        ("use EDL own.Tool request src=own.Tolo { grant () }", "unknown class `own.Tolo`; did you mean `own.Tool`?"),
        ("use EDL own.Tool request src=own.TOOL { grant () }", "unknown class `own.TOOL`; did you mean `own.Tool`?"),
        ("request { bsae.grant () }", "unknown object `bsae`; did you mean `base`?"),
        ("request { audit emty grant () }", "unknown audit profile `emty`; did you mean `empty`?"),
        ("audit default = emptyy 1", "unknown audit profile `emptyy`; did you mean `empty`?"),
        ("audit profile p = { 1 : { bsae : { } } }", "unknown object `bsae`; did you mean `base`?"),
        ("audit profile p = { 1 : [] }", "a dictionary `{…}` is due here"),
    ],
)
def test_in_a_whole_policy_it_is_an_error_and_so_is_a_slip_in_a_part(load, text, wrong):
    with pytest.raises(PolicyError) as caught:
        load(text)
    assert caught.value.diagnostics[0].message == wrong


def test_names_that_differ_by_a_digit_are_two(load):
    policy = load("use EDL own.Tool request src=own.Tool1 { grant () } request src=m.A dst=m.B { grant () }")
    assert {"own.Tool", "own.Tool1", "m.A", "m.B"} <= set(policy.classes)


def test_another_projects_file_in_the_same_folder_is_not_the_class(tmp_path):
    (tmp_path / "Tool.edl").write_text("entity other.Tool")
    source = source_from_text("use EDL kl.core.Core use EDL own.Tool", name="p.psl")
    assert "own.Tool" in compile_policy(source, Catalogue([tmp_path]), missing="opaque").classes
    with pytest.raises(PolicyError, match="this file declares `other"):
        compile_policy(source, Catalogue([tmp_path]))
