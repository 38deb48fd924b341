from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.xdl import (
    ArrayType,
    BytesType,
    Catalogue,
    HandleType,
    IntegerType,
    Parameter,
    PolicyError,
    SequenceType,
    StringType,
    StructType,
    UnionType,
)
from secureos.xdl.grammar import MAX_DEPTH, xdl_grammar
from secureos.xdl.model import may_be
from secureos.xdl.source import MAX_BYTES, read_source, source_from_bytes, source_from_text

OUTPUTS = """package holdfast.Outputs
const UInt32 Points = 1 << 6;
interface {
    Write(in sequence<string<32>, Points> tags, in sequence<SInt32,64> values, in UInt32 session, error UInt16 code);
    Read(out sequence<UInt16,2048> words, out UInt64 atNs);
}
"""


def write(folder: Path, **files: str) -> Catalogue:
    for name, text in files.items():
        path = folder / name.replace("__", ".").replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Catalogue([folder])


def messages(work) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        work()
    return [diagnostic.message for diagnostic in caught.value.diagnostics]


def test_a_class_with_components_numbers_its_endpoints_in_text_order_depth_first(tmp_path):
    catalogue = write(
        tmp_path,
        holdfast_Outputs__idl=OUTPUTS,
        holdfast_CPump__cdl="component holdfast.CPump components { sub : CSub } endpoints { speed : holdfast.Outputs }",
        CSub__cdl="component CSub interfaces { a : holdfast.Outputs }",
        holdfast_FieldIo__edl="""entity holdfast.FieldIo
            endpoints { outputs : holdfast.Outputs }
            components { pump : holdfast.CPump }""",
    )
    found = catalogue.task_class("holdfast.FieldIo")
    assert [(e.path, e.number, e.component) for e in found.endpoints.values()] == [
        ("outputs", 0, None),
        ("pump.sub.a", 1, "CSub"),
        ("pump.speed", 2, "holdfast.CPump"),
    ]
    methods = found.endpoints["outputs"].interface.methods
    assert [(m.name, m.number, m.qualified_name) for m in methods.values()] == [
        ("Write", 0, "holdfast.Outputs.Write"),
        ("Read", 1, "holdfast.Outputs.Read"),
    ]
    assert methods["Write"].inputs[0] == Parameter("tags", SequenceType(StringType(32), 64))
    assert methods["Write"].errors == (Parameter("code", IntegerType("UInt16", 0, 65535)),)
    assert found.security is None
    assert catalogue.task_class("holdfast.FieldIo") is found


def test_the_kernels_own_classes_are_always_there():
    catalogue = Catalogue()
    core = catalogue.task_class("kl.core.Core")
    assert core.endpoints["sync.Sync"].interface.package == "kl.core.Sync"
    assert {"Create", "Exit", "Terminate"} <= core.endpoints["task.Task"].interface.methods.keys()
    assert catalogue.task_class("Einit").name == "Einit"
    assert list(catalogue.interface("kl.core.Execute").methods) == ["main"]


def test_every_type_and_operator(tmp_path):
    catalogue = write(
        tmp_path,
        t_Base__idl="package t.Base const UInt8 N = 3; typedef string<8> Short; struct P { UInt8 x; SInt16 y; }",
        t_All__idl="""package t.All import t.Base
            const SInt32 A = -(7 / 2) + 7 % 4 * 2 ** 3 - (1 << 4 >> 2 & 6 | 1);
            const UInt64 B = 0X10 + 0o4 + 0O4;
            const SInt8 C = -7 / 2;
            typedef Short Name;
            union U { UInt8 a; t.Base.P b; }
            interface Named { Do(in bytes<N> a, in array<P, t.Base.N> b, in U c, in Name d, in Handle e,
                                 in handle<t.Base> f, out UIntSize g); }""",
    )
    package = catalogue.package("t.All")
    assert package.constants["A"] == -3 + 24 - 5
    assert package.constants["B"] == 24
    assert package.constants["C"] == -3
    point = StructType("t.Base.P", (Parameter("x", package.types["UInt8"]), Parameter("y", package.types["SInt16"])))
    assert package.interface is not None
    assert [parameter.type for parameter in package.interface.methods["Do"].inputs] == [
        BytesType(3),
        ArrayType(point, 3),
        UnionType("t.All.U", (Parameter("a", package.types["UInt8"]), Parameter("b", point))),
        StringType(8),
        HandleType(),
        HandleType("t.Base"),
    ]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("const UInt8 N = 256;", "256 is outside 0 to 255 (UInt8)"),
        ("const UInt8 N = 1 / 0;", "this cannot be computed: the divisor is zero"),
        ("const UInt8 N = 1 << 65;", "this cannot be computed: 65 is outside 0 to 64"),
        ("const UInt64 N = 2 ** 64;", "the value does not fit 64 bits"),
        ("const UInt64 N = 99999999999999999999999;", "`99999999999999999999999` does not fit 64 bits"),
        ("const UInt8 N = M;", "unknown constant `M`"),
        ("const UInt8 Points = 1; const UInt8 N = Point;", "unknown constant `Point`; did you mean `Points`?"),
        ("const string<4> N = 1;", "a constant is an integer, not string<4>"),
        ("const UInt8 N = 1; const UInt8 N = 1;", "`N` is declared already"),
        ("typedef Uint8 T;", "unknown type `Uint8`; did you mean `UInt8`?"),
        ("typedef UInt8 UInt16;", "`UInt16` is declared already"),
        ("struct S { UInt8 a; UInt8 a; }", "field `a` is declared twice"),
        ("union U { }", "`U` has no fields, so it could hold nothing"),
        (
            "struct S { } typedef array<S, 16000000> T; typedef array<T, 2> V;",
            "this takes more than 16777216 bytes; no message holds more",
        ),
        ("typedef bytes<0> T;", "a length of 0 is outside 1 to 16777216"),
        ("interface { A(); A(); }", "method `A` is declared twice"),
        ("interface { A_b(); }", "the name `A_b` may not contain `_`"),
        ("interface { A(in UInt8 a, in UInt8 a); }", "parameter `a` is declared twice"),
        ("interface { A(out UInt8 a, in UInt8 b); }", "an `in` parameter stands behind an `out` parameter"),
        ("interface { } interface { }", "a package has at most one interface"),
        ("interface { A(in UInt8); }", "unexpected `)`; expected a name, `.`"),
        ("const UInt8 N = ;", "unexpected `;`; expected a name, a number, `(`, `-`"),
        ("/* open", "this comment is never closed; write `*/` where it ends"),
        ("interface {", "unexpected the end of the file; expected a name, `}`"),
        ("\x01", "unexpected U+0001; this character has no meaning here"),
    ],
)
def test_mistakes_in_a_package_are_told(tmp_path, body, wrong):
    catalogue = write(tmp_path, t_T__idl=f"package t.T\n{body}")
    (message,) = messages(lambda: catalogue.package("t.T"))
    assert message == wrong


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    catalogue = write(tmp_path, T__idl="package T const UInt8 A = 300; typedef Nope B; struct C { UInt8 a; UInt8 a; }")
    assert len(messages(lambda: catalogue.package("T"))) == 3


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("endpoints { a_b : holdfast.Outputs }", "the name `a_b` may not contain `_`"),
        ("endpoints { a : holdfast.Outputs a : holdfast.Outputs }", "endpoint `a` is declared twice"),
        (
            "endpoints { a : holdfast.Output }",
            "unknown package `holdfast.Output`: no folder holds `holdfast/Output.idl`; "
            "did you mean `holdfast.Outputs`?",
        ),
        ("endpoints { a : Types }", "package `Types` declares no interface"),
        ("components { a : Nope }", "unknown component `Nope`: no folder holds `Nope.cdl`"),
        ("components { a : Loop }", "`Loop` contains itself: Loop → Loop"),
        (
            "security holdfast.Outputs",
            "`holdfast.Outputs.Write` has `out` or `error` parameters; a security interface has none",
        ),
        ("security S1 security S2", "a class has at most one security interface, its components included"),
        (
            "security S1 endpoint",
            "unexpected `endpoint`; expected the end of the file, `components`, `endpoints`, `interfaces`, `security`",
        ),
    ],
)
def test_mistakes_in_a_class_are_told(tmp_path, body, wrong):
    catalogue = write(
        tmp_path,
        holdfast_Outputs__idl=OUTPUTS,
        Types__idl="package Types",
        S1__idl="package S1 interface { A(in UInt8 a); }",
        S2__idl="package S2 interface { }",
        Loop__cdl="component Loop components { again : Loop }",
        T__edl=f"task class T\n{body}",
    )
    (message,) = messages(lambda: catalogue.task_class("T"))
    assert message == wrong


def test_a_security_interface_may_come_from_a_component(tmp_path):
    catalogue = write(
        tmp_path,
        S1__idl="package S1 interface { A(in UInt8 a); }",
        C__cdl="component C security S1",
        T__edl="task class T security S1 components { a : C }",
    )
    security = catalogue.task_class("T").security
    assert security is not None
    assert security.package == "S1"


def test_files_in_the_wrong_place_circles_and_strange_names_are_refused(tmp_path):
    catalogue = write(
        tmp_path,
        A__idl="package A import B",
        B__idl="package B import A",
        x_Y__edl="task class x.Z",
        **{f"N{i}__idl": f"package N{i} import N{i + 1}" for i in range(40)},
    )
    assert messages(lambda: catalogue.package("A")) == ["`A` contains itself: A → B → A"]
    assert messages(lambda: catalogue.task_class("x.Y")) == [
        "this file declares `x.Z`, but its place is that of `x.Y`",
    ]
    assert messages(lambda: catalogue.task_class("../x")) == ["`../x` is no name of a description"]
    assert messages(lambda: catalogue.package("N0")) == ["descriptions refer to one another more than 32 levels deep"]


def test_a_class_has_a_bounded_number_of_endpoints(tmp_path):
    rows = " ".join(f"e{i} : S" for i in range(1025))
    catalogue = write(tmp_path, S__idl="package S interface { }", T__edl=f"task class T endpoints {{ {rows} }}")
    assert messages(lambda: catalogue.task_class("T")) == ["a class has at most 1024 endpoints"]


def test_an_error_points_at_its_place(tmp_path):
    source = source_from_text("package T\n\ttypedef Uint8 Byte;\n", name="T.idl")
    (tmp_path / "T.idl").write_text(source.text)
    with pytest.raises(PolicyError) as caught:
        Catalogue([tmp_path]).package("T")
    expected = """T.idl:2:10: unknown type `Uint8`; did you mean `UInt8`?
    \ttypedef Uint8 Byte;
    \t        ^~~~~"""
    assert str(caught.value) == f"{tmp_path}/{expected}"


def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path):
    with pytest.raises(PolicyError, match=r"^p:2:2: byte 0xff is not UTF-8"):
        source_from_bytes(b"a\r\nb\xff\r\n", name="n", path="p")
    with pytest.raises(PolicyError, match="at most 4194304 are read"):
        source_from_bytes(b" " * (MAX_BYTES + 1), name="n", path="p")
    with pytest.raises(PolicyError, match="the file cannot be read: Is a directory"):
        read_source(tmp_path)
    source = source_from_bytes("\ufeffpackage T\r\nimport\rU".encode(), name="n", path="p")
    assert source.text == "package T\nimport\nU"
    assert source.span(9).text == ""
    assert source.span(1, 9, end_line=2, end_column=4).text == "T\nimp"


@pytest.mark.parametrize("start", ["edl", "cdl", "idl"])
def test_arbitrary_text_never_crashes_the_parser(start):
    @settings(deadline=None)
    @given(st.text(alphabet='abT{}()<>:;,.=*-+/ \n0123456789|&%"\u00e9\x00', max_size=60) | st.text(max_size=60))
    def check(text):
        with contextlib.suppress(PolicyError):
            xdl_grammar().parse(source_from_text(text), start)

    check()


def test_nesting_is_bounded():
    text = f"package T const UInt8 N = {'-' * (MAX_DEPTH + 5)}1;"
    with pytest.raises(PolicyError, match="nested more than 100 levels"):
        xdl_grammar().parse(source_from_text(text), "idl")


def test_the_kernels_endpoints_and_their_methods_are_described():
    core = Catalogue().task_class("kl.core.Core")
    assert {path: endpoint.interface.package for path, endpoint in core.endpoints.items()} == {
        f"{name.lower()}.{name}": f"kl.core.{name}"
        for name in (
            *("Audit", "CM", "FS", "HAL", "Handle", "Hypervisor", "IO", "IOMMU", "IPC", "Notice", "PM", "Profiler"),
            *("Sync", "Task", "Thread", "Time", "VMM", "XHCIDBG"),
        )
    }
    for endpoint in core.endpoints.values():
        assert endpoint.interface.methods
        assert all(method.opaque for method in endpoint.interface.methods.values())


def test_common_types_can_be_imported_and_hidden(tmp_path):
    catalogue = write(
        tmp_path,
        T__idl="""package T import kl.core.Types typedef UInt16 Retcode;
            interface { A(in Char c, in kl.core.Types.Retcode long, error Retcode rc, error Boolean flag); }""",
    )
    method = catalogue.interface("T").methods["A"]
    assert [str(parameter.type) for parameter in (*method.inputs, *method.errors)] == [
        *("SInt8", "SInt32", "UInt16", "UInt8"),
    ]


@pytest.mark.parametrize("imports", ["import Passing import Own", "import Own import Passing"])
def test_what_a_package_declares_comes_before_what_another_passes_on(tmp_path, imports):
    catalogue = write(
        tmp_path,
        Deep__idl="package Deep const UInt8 Most = 1; typedef UInt8 Level;",
        Passing__idl="package Passing import Deep typedef UInt16 Other;",
        Own__idl="package Own const UInt8 Most = 2; typedef UInt32 Level;",
        User__idl=f"package User {imports} interface {{ Do(in sequence<Level,Most> a, in Deep.Level b, in Other c); }}",
    )
    run, deep, other = (field.type for field in catalogue.interface("User").methods["Do"].inputs)
    assert (str(run), str(deep), str(other)) == ("sequence<UInt32, 2>", "UInt8", "UInt16")


def test_a_file_of_another_name_in_a_flat_folder_does_not_hide_the_right_one(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, Log__idl="package other.Log interface { }")
    write(second, own_Log__idl="package own.Log interface { A(); }")
    assert list(Catalogue([first, second]).interface("own.Log").methods) == ["A"]
    assert messages(lambda: Catalogue([first]).interface("own.Log")) == [
        "this file declares `other.Log`, but its place is that of `own.Log`",
    ]


def test_what_a_few_lines_describe_is_bounded(tmp_path):
    doubling = "".join(f"struct S{n + 1} {{ S{n} a; S{n} b; }}\n" for n in range(40))
    deep = "".join(f"typedef sequence<T{n}, 1> T{n + 1};\n" for n in range(40))
    wide = " ".join(f"UInt8 a{n};" for n in range(2100))
    names = {
        "A__idl": f"package A typedef UInt8 S0;\n{doubling}",
        "B__idl": f"package B typedef UInt8 T0;\n{deep}",
        "C__idl": f"package C struct S {{ {wide} }}",
        "K0__cdl": "component K0",
        "D__edl": "task class D components { a : K20 }",
        **{f"K{n + 1}__cdl": f"component K{n + 1} components {{ a : K{n} b : K{n} }}" for n in range(20)},
    }
    catalogue = write(tmp_path, **names)
    for package in "ABC":
        assert "a type has at most 32 levels and 2000 parts" in messages(lambda name=package: catalogue.package(name))
    assert "a class has at most 1024 component instances" in messages(lambda: catalogue.task_class("D"))


def test_no_type_and_no_message_takes_more_than_16_mib(tmp_path):
    arrays = "".join(f"typedef array<T{n}, 100> T{n + 1};\n" for n in range(20))
    pair = "struct Pair { array<UInt64, 1048576> a; array<UInt64, 1048576> b; }"
    fields = ", ".join(f"in array<SInt32, 1048576> a{n}" for n in range(5))
    catalogue = write(
        tmp_path,
        A__idl=f"package A typedef UInt8 T0;\n{arrays}",
        B__idl=f"package B {pair} struct Four {{ Pair a; Pair b; }}",
        C__idl=f"package C interface {{ Send({fields}); }}",
        D__idl=f"package D {pair} union Either {{ Pair a; UInt8 b; }}\ntypedef array<UInt8, 16777216> Whole;\n"
        "typedef sequence<array<Either, 1>, 16777216> Many; struct S { Handle a; bytes<16777216> b; }",
    )
    for package in "ABC":
        told = messages(lambda name=package: catalogue.package(name))
        assert told[0] == "this takes more than 16777216 bytes; no message holds more"
    assert catalogue.package("D").types.keys() >= {"Either", "Whole", "Many", "S"}


def test_many_imports_of_one_another_stay_small(tmp_path):
    files = {f"P{n}__idl": f"package P{n} import P{n + 1} typedef UInt8 T{n};" for n in range(25)}
    catalogue = write(tmp_path, P25__idl="package P25 typedef UInt8 T25;", **files)
    assert len(catalogue.package("P0").types) < 1000


def test_opaque_packages_still_tell_what_is_wrong_otherwise(tmp_path):
    write(
        tmp_path,
        T__idl="package T import sdk.X const UInt8 A = Far; const UInt8 B = 300; typedef string<Far> S; typedef Far F;",
        U__idl="package U import sdk.X",
    )
    catalogue = Catalogue([tmp_path], missing="opaque")
    assert messages(lambda: catalogue.package("T")) == ["300 is outside 0 to 255 (UInt8)"]
    assert catalogue.interface("U").opaque
    assert catalogue.tolerant().missing == "opaque"
    assert [str(warning) for warning in catalogue.warnings] == [
        f"{tmp_path}/T.idl:1:18: package `sdk.X` is taken as it is named: no folder holds `sdk/X.idl`\n"
        f"    {(tmp_path / 'T.idl').read_text()}\n    {' ' * 17}^~~~~",
    ]


@pytest.mark.parametrize(
    ("described", "name", "can_be"),
    [
        ("a", "a", True),
        ("a", "b", False),
        (None, "a", False),
        ("*", "a", True),
        ("a.*", "a.b", True),
        ("a.*", "ab", False),
    ],
)
def test_a_described_name_may_be_open(described, name, can_be):
    assert may_be(described, name) is can_be
