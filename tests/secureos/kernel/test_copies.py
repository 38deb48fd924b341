"""Messages are copied once, before anything looks at them."""

from array import array

import pytest

from secureos.kernel import Reply, ReturnCode
from secureos.kernel.copies import NoMessageError, own_copy
from secureos.kernel.records import shown, told
from tests.secureos.kernel.peers import Peers, write


class Sly(str):
    __slots__ = ()
    looks = 0

    def __eq__(self, other):
        raise AssertionError("asked")

    __hash__ = str.__hash__

    def __str__(self):
        return "another"

    def isascii(self):
        raise AssertionError("asked")


class SlyBytes(bytes):
    def __getitem__(self, _):
        return b"another"


class SlyList(list):
    def __iter__(self):
        return iter([9, 9])


class SlyTuple(tuple):
    __slots__ = ()

    def __iter__(self):
        return iter([9, 9])


class SlyDict(dict):
    def items(self):
        return [("number", 9)]


class SlyArray(array):
    def __getitem__(self, _):
        return 9


class Nameless(type):
    @property
    def __name__(cls):
        raise AssertionError("asked")


class Odd(metaclass=Nameless):
    pass


@pytest.mark.parametrize(
    ("value", "copy"),
    [
        (1, 1),
        ("text", "text"),
        ([1, 2], (1, 2)),
        ((1, [2, {"a": b"b"}]), (1, (2, {"a": b"b"}))),
        (array("H", [1, 2]), array("H", [1, 2])),
        (SlyArray("H", [1, 2]), array("H", [1, 2])),
        (Sly("text"), "text"),
        (SlyBytes(b"raw"), b"raw"),
        (SlyList([1, 2]), (1, 2)),
        (SlyTuple((1, 2)), (1, 2)),
        (SlyDict({"number": 1}), {"number": 1}),
    ],
)
def test_copies_are_plain_and_their_own(value, copy):
    taken = own_copy({"it": value})["it"]
    assert taken == copy
    assert type(taken) is type(copy)
    assert taken is not value or isinstance(value, int | str)


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (None, "a message is a mapping of fields, not a `NoneType`"),
        (Odd(), "a message is a mapping of fields, not a `Odd`"),
        ({Sly("it"): 1}, "the name of a field is a text, not a `Sly`"),
        ({"it": Odd()}, "a message cannot carry a `Odd`"),
        ({"it": [object()]}, "a message cannot carry a `object`"),
        ({"it": {1}}, "a message cannot carry a `set`"),
        ({"it": {"inner": {2: 3}}}, "the name of a field is a text, not a `int`"),
        ({"it": nested(100)}, "at most 40 levels"),
    ],
)
def test_what_is_no_message(message, says):
    with pytest.raises(NoMessageError, match=says):
        own_copy(message)
    assert isinstance(shown(message), dict)


class Rude(Exception):
    def __str__(self):
        raise RuntimeError


def test_exceptions_are_told_whatever_they_are():
    assert told(ValueError("x" * 1000)) == f"ValueError: {'x' * 188}"
    assert told(Rude()) == "a `Rude`"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write(tmp_path_factory.mktemp("peers"))


def test_nobody_changes_a_message_on_its_way_or_later(world):
    peers = Peers(world[0], world[1][0])
    sent, kept = {"values": array("H", [1, 2]), "raw": b"x"}, array("H", [3, 4])
    peers.programs["a"].reply = {"values": kept}
    answer = peers.system("b").call("to_a", "post", "Keep", sent)
    sent["values"][0] = kept[0] = 99
    got = peers.programs["a"].got[-1][1]
    assert got == {"values": array("H", [1, 2]), "raw": b"x"}
    assert answer.fields == {"values": array("H", [3, 4])}
    got["values"][1] = answer.fields["values"][1] = 99
    assert sent["values"][1] == 2
    assert kept[1] == 4


@pytest.mark.parametrize(
    "reply", [None, Reply(None), Reply({"item": object()}), Reply({}, error=1), Reply({}, error=None)]
)
def test_a_reply_that_is_none(world, reply):
    peers = Peers(world[0], world[1][0])
    peers.programs["a"].serve = lambda request: reply
    code = peers.system("b").call("to_a", "post", "Poke").code
    well_formed = type(reply) is Reply and reply.error is False
    assert code is (ReturnCode.INVALID_ARGUMENT if well_formed else ReturnCode.INTERRUPTED)
    assert (peers.kernel.tasks["a"].state.value == "running") == well_formed
