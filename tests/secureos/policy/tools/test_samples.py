"""Messages made up by type fit their description."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from secureos.policy.samples import default_message, default_value, random_message
from secureos.xdl import (
    ArrayType,
    Catalogue,
    IntegerType,
    Parameter,
    SequenceType,
    StringType,
    UnionType,
    check_message,
)


def everything(lab):
    return [method for task in ("lab.Driver", "lab.Other") for method in methods(lab.task_class(task))]


def methods(task):
    return [one for endpoint in task.endpoints.values() for one in endpoint.interface.methods.values()]


@given(st.integers(0, 2**32))
def test_random_messages_fit(lab, seed):
    source = Random(seed)
    for method in everything(lab):
        assert check_message(method.inputs, random_message(method.inputs, source)) is None
        assert check_message(method.outputs, random_message(method.outputs, source)) is None


def test_the_same_seed_gives_the_same_message(lab):
    for method in everything(lab):
        assert random_message(method.inputs, Random(7)) == random_message(method.inputs, Random(7))


def test_defaults_fit_and_hold_nothing(lab):
    for method in everything(lab):
        assert check_message(method.inputs, default_message(method.inputs)) is None
    assert default_value(IntegerType("above", 3, 9)) == 3
    assert default_value(StringType(5)) == ""
    assert default_value(SequenceType(StringType(5), 4)) == []
    assert default_value(ArrayType(IntegerType("UInt8", 0, 255), 3)) == [0, 0, 0]
    byte = Parameter("a", IntegerType("UInt8", 0, 255))
    assert default_value(UnionType("U", (byte, Parameter("b", StringType(2))))) == {"a": 0}


def test_what_is_not_described_may_be_anything(tmp_path):
    (tmp_path / "Dark.idl").write_text("package Dark import no.Such interface { Do(in no.Such.Thing thing); }")
    fields = Catalogue([tmp_path], missing="opaque").interface("Dark").methods["Do"].inputs
    assert default_message(fields) == random_message(fields, Random(1)) == {"thing": 0}
    assert check_message(fields, default_message(fields)) is None
