"""The task's end of the link, run in a thread so that it can be looked at."""

import asyncio
import socket
import threading
import time

import pytest

from secureos.kernel import ReturnCode
from secureos.kernel.isolation.child import TaskSide
from secureos.kernel.isolation.frames import FrameReader, Kind, pack

PROGRAMS = "tests.secureos.kernel.isolation.programs"


class Link:
    """The kernel's end, which says and expects frames."""

    def __init__(self, connected):
        self.connected, self._reader, self._frames, self._numbers = connected, FrameReader(), [], 0

    def say(self, kind, value, number=None):
        self._numbers += 1
        told = value if kind is Kind.DEVICE else [9, value]
        self.connected.sendall(pack(kind, self._numbers if number is None else number, told))

    def hear(self):
        while not self._frames:
            self._frames += self._reader.feed(self.connected.recv(65536))
        return self._frames.pop(0)

    def ask(self, kind, value):
        self.say(kind, value)
        return self.hear()


@pytest.fixture
def link():
    opened = []

    def start(builder):
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        loop = asyncio.new_event_loop()

        def run():
            side = TaskSide(theirs, loop, f"{PROGRAMS}:{builder}")
            try:
                side.run()
            except SystemExit:
                pass
            finally:
                loop.close()
                theirs.close()

        thread = threading.Thread(target=run)
        thread.start()
        opened.append((ours, thread))
        one = Link(ours)
        assert one.ask(Kind.START, ["subject", ("a",), {"colour": "red"}]).kind is Kind.DONE
        return one

    yield start
    for ours, thread in opened:
        ours.close()
        thread.join(10)
        assert not thread.is_alive()


def test_requests_are_answered(link):
    one = link("honest")
    assert one.ask(Kind.SERVE, ["end", "Echo", {"x": 1}]).value == [{"x": 1}, False]
    assert one.ask(Kind.SERVE, ["end", "About", {}]).value[0]["now"] == 9
    assert one.ask(Kind.SNAPSHOT, None).value == {"beats": 0}
    assert one.ask(Kind.RESTORE, {"beats": 3}).kind is Kind.DONE
    assert one.ask(Kind.SNAPSHOT, None).value == {"beats": 3}
    failed = one.ask(Kind.SERVE, ["end", "Nothing", {}])
    assert (failed.kind, failed.value[0]) == (Kind.FAILED, "AttributeError")


def test_every_operation_travels(link):
    one = link("asking")
    operations = {
        "call": (["rcOk", {"x": 1}, False, ""], "rcOk"),
        "report": (["rcSecurityDisallow", {}, False, "no"], "rcSecurityDisallow"),
        "locate": (3, 3),
        "create": (4, 4),
        "dereference": ("mine", "mine"),
        "rights": (255, 255),
        "sid": (12, 12),
        "close": (None, None),
        "revoke": (None, None),
        "notices": ([["revoked", 5]], [["revoked", 5]]),
        "spend": (None, None),
    }
    for operation, (answer, expected) in operations.items():
        one.say(Kind.SERVE, ["end", operation, {}], number=50)
        called = one.hear()
        assert called.kind is Kind.CALL
        assert called.value[:2] == [50, operation]
        one.say(Kind.ANSWER, answer, number=called.number)
        assert one.hear().value == [{"result": expected}, False]


def test_a_device_is_found_by_name(link):
    assert link("asking").ask(Kind.SERVE, ["end", "device", {}]).value == [{"result": "blank"}, False]


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("HandleError", "rcHandleRevoked", ["HandleError", ReturnCode.HANDLE_REVOKED.value]),
        ("QuotaExceeded", "", ["QuotaExceeded", ""]),
        ("KeyError", "", ["LookupError", ""]),
    ],
)
def test_refusals_are_raised(link, kind, code, expected):
    one = link("asking")
    one.say(Kind.SERVE, ["end", "caught", {}])
    called = one.hear()
    one.connected.sendall(pack(Kind.REFUSED, called.number, [kind, code, "why"]))
    assert one.hear().value == [{"result": expected}, False]


def test_what_the_kernel_asks_meanwhile_is_done_within_the_wait(link):
    one = link("chatty")
    one.say(Kind.DEVICE, ["port", "call", False], number=0)
    own = one.hear()
    assert own.value[:2] == [0, "call"]
    one.say(Kind.ACTIVATE, "ask", number=70)
    during = one.hear()
    assert during.value[:2] == [70, "call"]
    one.say(Kind.ANSWER, ["rcOk", {}, False, ""], number=during.number)
    assert one.hear().kind is Kind.DONE
    one.say(Kind.ANSWER, ["rcOk", {}, False, ""], number=own.number)
    assert one.hear().value == ["port", "rcOk"]
    one.say(Kind.DEVICE, ["port", "now", False], number=0)
    asked = one.hear()
    assert asked.value == [0, "now", []]
    one.say(Kind.ANSWER, None, number=asked.number)
    assert one.hear().value == ["port", 9]


def test_an_activation_that_waits_goes_on_beside_others(link):
    one = link("waiting")
    one.say(Kind.ACTIVATE, "wait", number=80)
    reported = one.hear()
    assert reported.value[:2] == [80, "report"]
    one.say(Kind.ANSWER, ["rcOk", {}, False, ""], number=reported.number)
    assert one.ask(Kind.SERVE, ["end", "Echo", {}]).value == [{}, False]
    one.say(Kind.DEVICE, ["port", "go on", False], number=0)
    assert (done := one.hear()).number == 80
    assert done.kind is Kind.DONE
    assert one.ask(Kind.ACTIVATE, "dance").kind is Kind.FAILED


def test_what_comes_along_with_an_answer_is_not_forgotten(link):
    one = link("waiting")
    one.say(Kind.ACTIVATE, "wait", number=80)
    answer = pack(Kind.ANSWER, one.hear().number, [9, ["rcOk", {}, False, ""]])
    one.connected.sendall(answer + pack(Kind.DEVICE, 0, ["port", "go on", False]))
    assert one.hear().kind is Kind.DONE


def test_an_activation_that_waits_unannounced_fails(link):
    one = link("waiting_unannounced")
    one.say(Kind.ACTIVATE, "wait", number=80)
    one.say(Kind.ANSWER, ["rcOk", {}, False, ""], number=one.hear().number)
    assert "its builder said" in one.hear().value[1]


def test_a_passed_descriptor_arrives(link):
    one = link("waiting")
    near, far = socket.socketpair()
    one.say(Kind.ACTIVATE, "wait", number=80)
    one.say(Kind.ANSWER, ["rcOk", {}, False, ""], number=one.hear().number)
    with near, far:
        socket.send_fds(one.connected, [pack(Kind.DEVICE, 0, ["port", "socket", True])], [far.fileno()])
        assert one.hear().kind is Kind.DONE
        far.close()
        time.sleep(0.05)
        assert near.recv(1) == b"x"
