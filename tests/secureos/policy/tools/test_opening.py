"""Finding and opening what a person names."""

from importlib.metadata import EntryPoint

import pytest

from secureos.policy import PolicyError
from secureos.policy.opening import (
    FileCheck,
    Search,
    check_file,
    files_in,
    open_policy,
    parsed_files,
    registered_folders,
)

GRANT = "request src=lab.Client dst=lab.Driver method=Put { assert (message.level < 5) }\n"
TESTS = 'assert "t" { sequence { lab.Client ~> lab.Driver:valve.log.Put } }\n'


def error_of(path, search=None, *, syntax_only=False):
    with pytest.raises(PolicyError) as failure:
        check_file(path, search or Search(), syntax_only=syntax_only)
    return str(failure.value)


def test_tests_may_stand_in_the_policy_itself(write_file, head):
    policy = open_policy(write_file("p.psl", head + GRANT + TESTS), Search())
    assert [one.name for one in policy.tests] == ["t"]


def test_tests_may_stand_in_a_file_that_includes_the_policy(write_file, head, tmp_path):
    write_file("policies/a/p.psl", head + GRANT + TESTS)
    suite = write_file("tests/p.pal.psl", "use a.p._\n" + TESTS.replace('"t"', '"u"'))
    policy = open_policy(suite, Search(include=(tmp_path, tmp_path / "policies")))
    assert [one.name for one in policy.tests] == ["t", "u"]
    assert [source.name for source in policy.sources] == ["p.pal.psl", "a/p.psl"]


def test_templates_are_expanded(write_file, head):
    search = Search(definitions={"EXTRA": "lab.Other", "BOARD": "a"})
    text = head + '{% if BOARD == "b" %}\nnonsense\n{% endif %}\nuse EDL @EXTRA@\n' + GRANT
    path = write_file("p.psl.in", text)
    assert "lab.Other" in check_file(path, search, syntax_only=False).policy.classes
    assert check_file(path, search, syntax_only=True) == FileCheck()
    (file,) = parsed_files(open_policy(path, search), search)
    assert len(file.declarations) == 7
    assert "@EXTRA@" in error_of(path)


def test_installed_packages_offer_descriptions(monkeypatch, write_file, head):
    entry = EntryPoint("offered", "secureos.xdl:builtin", "holdfast.interfaces")
    monkeypatch.setattr("secureos.policy.opening.entry_points", lambda group: [entry])
    (folder,) = registered_folders()
    assert (folder / "Einit.edl").is_file()
    gone = EntryPoint("gone", "no_such_package_at_all:x", "holdfast.interfaces")
    plain = EntryPoint("plain", "json.tool:x", "holdfast.interfaces")
    monkeypatch.setattr("secureos.policy.opening.entry_points", lambda group: [gone, plain])
    assert registered_folders() == ()
    assert open_policy(write_file("p.psl", head + GRANT), Search()).name == "p.psl"


# ---- checking by kind ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lab/Outputs.idl", "lab/Valve.cdl", "lab/Driver.edl"])
def test_descriptions_are_checked(write_file, tmp_path, name):
    write_file("unused.txt", "")
    assert check_file(tmp_path / name, Search(), syntax_only=False) == FileCheck()
    assert check_file(tmp_path / name, Search(), syntax_only=True) == FileCheck()


def test_a_policy_is_loaded(write_file, head):
    path = write_file("p.psl", head + GRANT)
    assert check_file(path, Search(), syntax_only=False).policy.name == "p.psl"
    assert check_file(path, Search(), syntax_only=True) == FileCheck()


def test_syntax_alone_looks_nothing_up(write_file):
    assert check_file(write_file("p.psl", "use EDL no.Such"), Search(), syntax_only=True) == FileCheck()
    assert "no.Such" in error_of(write_file("p.psl", "use EDL no.Such"))
    path = write_file("a/X.edl", "task class a.X endpoints { e : no.Such }")
    assert check_file(path, Search(), syntax_only=True) == FileCheck()
    assert "unexpected" in error_of(write_file("a/X.edl", "task a.X"), syntax_only=True)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a/X.edl", "task class a.X endpoints { e : no.Such }", "unknown package `no.Such`"),
        ("a/X.idl", "package a.X import no.Such", "unknown package `no.Such`"),
        ("a/X.cdl", "component a.X endpoints { e : no.Such f : no.Such2 }", "unknown package `no.Such2`"),
        ("a/X.cdl", "component a.X components { c : a.X }", "`a.X` contains itself: a.X → a.X"),
        ("a/X.cdl", "component a.X components { c : no.Such }", "unknown component `no.Such`"),
        ("a/X.cdl", "component a.X security no.Such", "unknown package `no.Such`"),
    ],
)
def test_wrong_descriptions(write_file, name, text, message):
    assert message in error_of(write_file(name, text))


def test_what_is_not_at_hand_may_be_opaque(write_file):
    path = write_file("a/X.cdl", "component a.X components { c : no.Such } endpoints { e : no.Such }")
    found = check_file(path, Search(missing="opaque"), syntax_only=False)
    assert found.policy is None
    assert [one.message for one in found.warnings] == [
        "component `no.Such` is taken as it is named: no folder holds `no/Such.cdl`",
        "package `no.Such` is taken as it is named: no folder holds `no/Such.idl`",
    ]


def test_components_inside_components(write_file):
    write_file("a/In.cdl", "component a.In endpoints { e : lab.Log }")
    path = write_file("a/X.cdl", "component a.X components { one : a.In two : a.In } security lab.Reports")
    assert check_file(path, Search(), syntax_only=False) == FileCheck()


def test_a_description_outside_its_packages_folder(write_file):
    assert check_file(write_file("Y.idl", "package a.b.Y"), Search(), syntax_only=False) == FileCheck()


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("a/X.cdl", "component a.Y endpoints { e : lab.Log }", "Y.cdl"),
        ("copy of X.edl", "entity a.Y components { v : lab.Valve }", "Y.edl"),
        ("a/y.idl", "package a.Y interface { Put(in UInt8 n); }", "Y.idl"),
    ],
)
def test_a_description_by_another_name_is_checked_all_the_same(write_file, name, text, wanted):
    path = write_file(name, text)
    (warning,) = check_file(path, Search(include=(path.parent.parent, path.parent)), syntax_only=False).warnings
    assert warning.message == f"this file declares `a.Y`; it is found by that name only when it is called `{wanted}`"
    assert "unexpected" in error_of(write_file(name, text + "}"))


def test_the_file_itself_is_checked_not_one_found_by_its_name(write_file):
    write_file("a/Y.idl", "package a.Y")
    path = write_file("a/other/Y.idl", "package a.Y typedef NoType T;")
    assert "unknown type `NoType`" in error_of(path)


def test_a_folder_stands_for_what_is_in_it(write_file, tmp_path):
    inside = tmp_path / "only"
    for name in ("b.psl", "deep/a.psl.in", "deep/C.edl", "D.cdl", "E.idl"):
        write_file(f"only/{name}", "")
    write_file("only/readme.md", "")
    assert files_in(inside) == sorted(
        inside / name for name in ("b.psl", "deep/a.psl.in", "deep/C.edl", "D.cdl", "E.idl")
    )
    assert files_in(inside / "none.psl") == [inside / "none.psl"]


def test_a_file_that_is_not_there(tmp_path):
    assert "none.psl" in error_of(tmp_path / "none.psl")
