"""Handles: their return codes, their travels in messages, and what becomes of them."""

import json

import pytest

from secureos.kernel import HandleError, Notice, ReturnCode
from secureos.kernel.handles import MOST_HANDLES
from secureos.kernel.rights import ALL as EVERY_RIGHT
from secureos.kernel.rights import CALL, GET_SID, TRANSFER
from tests.secureos.kernel.conftest import ManualClock
from tests.secureos.kernel.peers import Peers, write

OWN = 1 << 20
PASSED_ON = TRANSFER | GET_SID | OWN


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write(tmp_path_factory.mktemp("peers"))


@pytest.fixture
def peers(world):
    return Peers(world[0], world[1][0])


def pair(number, rights):
    return {"handle": number, "rights": rights}


def give(peers, task, channel, number, rights):
    return peers.system(task).call(channel, "post", "Give", {"item": pair(number, rights)})


def refusal(operation, *args):
    with pytest.raises(HandleError) as caught:
        operation(*args)
    return caught.value.code


def last(peers):
    record = peers.kernel.audit.records[-1]
    return record.event, record.decision, record.rule, record.src, record.method


@pytest.fixture
def shared(peers):
    """A thing of c's, which b holds as 1 and a as 1, a's being made of b's."""
    root = peers.system("c").create(PASSED_ON, "c's own")
    assert give(peers, "c", "to_b", root, PASSED_ON).fields == {"number": 1}
    assert give(peers, "b", "to_a", 1, PASSED_ON).fields == {"number": 1}
    return root


# ---- each misuse has its own code, and a record


@pytest.mark.parametrize("operation", ["rights", "sid", "close", "revoke", "dereference"])
@pytest.mark.parametrize("number", [0, 1, 7, -1, 2**64, "1", None, 1.0, True, [], object()])
def test_a_forged_handle(peers, operation, number):
    assert refusal(getattr(peers.system("a"), operation), number) is ReturnCode.BAD_HANDLE
    assert last(peers) == ("handle", "denied", "capability", "a", operation)


def test_a_stale_handle(peers):
    system = peers.system("a")
    number = system.create(EVERY_RIGHT, 1)
    system.close(number)
    assert refusal(system.rights, number) is ReturnCode.HANDLE_CLOSED
    assert system.create(EVERY_RIGHT, 2) != number
    assert peers.system("b").call("to_a", "post", "Poke").ok


def test_a_number_of_another_task_is_nothing_here(peers, shared):
    assert refusal(peers.system("a").rights, 2) is ReturnCode.BAD_HANDLE
    for _ in range(3):
        peers.system("c").create(OWN, "more")
    assert refusal(peers.system("a").rights, 2) is ReturnCode.BAD_HANDLE


def test_a_revoked_handle_stays_open_and_does_nothing(peers, shared):
    peers.system("c").revoke(shared)
    for task in "ab":
        assert refusal(peers.system(task).rights, 1) is ReturnCode.HANDLE_REVOKED
        assert peers.system(task).notices() == [Notice("revoked", 1)]
        peers.system(task).close(1)
        assert refusal(peers.system(task).rights, 1) is ReturnCode.HANDLE_CLOSED
    assert peers.system("c").rights(shared) == PASSED_ON
    assert peers.system("c").notices() == [Notice("released", shared)]
    assert peers.system("c").notices() == []


def test_a_handle_to_what_another_provides(peers, shared):
    assert peers.system("c").dereference(shared) == "c's own"
    assert refusal(peers.system("b").dereference, 1) is ReturnCode.HANDLE_FOREIGN
    assert refusal(peers.system("b").dereference, peers.system("b").locate("to_a")) is ReturnCode.HANDLE_FOREIGN


def test_a_right_that_is_lacking(peers):
    number = peers.system("b").locate("to_a")
    assert refusal(peers.system("b").sid, number) is ReturnCode.NO_RIGHT
    plain = peers.system("c").create(OWN, 0)
    assert give(peers, "c", "to_b", plain, OWN).code is ReturnCode.NO_RIGHT
    assert last(peers) == ("request", "denied", "capability", "c", "Give")


def test_rights_only_dwindle(peers):
    root = peers.system("c").create(TRANSFER | OWN, 0)
    assert give(peers, "c", "to_b", root, TRANSFER | OWN | 1 << 21).code is ReturnCode.NO_RIGHT
    assert give(peers, "c", "to_b", root, OWN).ok
    assert peers.system("b").rights(1) == OWN
    assert give(peers, "b", "to_a", 1, OWN).code is ReturnCode.NO_RIGHT
    assert peers.programs["a"].got == []


@pytest.mark.parametrize(
    ("rights", "context"), [(-1, 0), (2**32, 0), (True, 0), ("all", 0), (0, None), (0, []), (0, 1.5)]
)
def test_a_resource_needs_a_mask_and_a_plain_context(peers, rights, context):
    assert refusal(peers.system("a").create, rights, context) is ReturnCode.INVALID_ARGUMENT


def test_a_table_has_an_end(peers):
    system = peers.system("b")
    made = [system.create(EVERY_RIGHT, number) for number in range(MOST_HANDLES)]
    assert refusal(system.create, EVERY_RIGHT, "one more") is ReturnCode.TABLE_FULL
    assert refusal(system.locate, "to_a") is ReturnCode.TABLE_FULL
    root = peers.system("c").create(PASSED_ON, 0)
    assert give(peers, "c", "to_b", root, PASSED_ON).code is ReturnCode.TABLE_FULL
    assert give(peers, "c", "to_b", 0, 0).ok  # no handle takes no room
    system.close(made[0])
    assert give(peers, "c", "to_b", root, PASSED_ON).ok


def test_notices_that_nobody_fetches_are_counted_out(peers):
    system = peers.system("c")
    for _ in range(MOST_HANDLES + 1):
        root = system.create(PASSED_ON, 0)
        got = give(peers, "c", "to_b", root, OWN).fields["number"]
        system.revoke(root)
        system.close(root)
        peers.system("b").close(got)
    assert peers.system("b").notices()[-1] == Notice("lost", 0)
    assert peers.system("b").notices() == []


# ---- channels


def test_static_channels_are_found_by_name_and_called_by_number(peers):
    system = peers.system("c")
    number = system.locate("to_a")
    assert system.locate("to_a") == number
    assert system.rights(number) == CALL
    assert system.call(number, "post", "Poke").ok
    assert refusal(system.locate, "to_c") is ReturnCode.NOT_CONNECTED
    assert refusal(system.locate, ["to_a"]) is ReturnCode.NOT_CONNECTED


def test_a_static_channel_is_passed_on_only_where_the_image_says_so(peers):
    assert give(peers, "c", "to_b", peers.system("c").locate("to_a"), CALL).code is ReturnCode.NO_RIGHT
    number = peers.system("b").locate("to_a")
    peers.programs["b"].reply = {"item": pair(number, CALL)}
    got = peers.system("c").call("to_b", "post", "Take").fields["item"]["handle"]
    assert peers.system("c").call(got, "post", "Poke").ok
    assert [name for name, _ in peers.programs["a"].got] == ["Poke"]


def test_what_is_no_channel_cannot_be_called(peers, shared):
    assert peers.system("c").call(shared, "post", "Poke").code is ReturnCode.NO_RIGHT
    thing = peers.system("c").create(EVERY_RIGHT, 0)
    assert peers.system("c").call(thing, "post", "Poke").code is ReturnCode.HANDLE_FOREIGN
    assert peers.system("c").call(99, "post", "Poke").code is ReturnCode.BAD_HANDLE
    assert last(peers) == ("request", "denied", "capability", "c", "Poke")


def test_a_channel_that_was_closed_is_gone(peers):
    system = peers.system("c")
    number = system.locate("to_a")
    system.close(number)
    assert system.call(number, "post", "Poke").code is ReturnCode.HANDLE_CLOSED
    assert system.call("to_a", "post", "Poke").code is ReturnCode.NOT_CONNECTED


def test_a_task_that_is_at_work_cannot_be_called_by_its_own_chain(peers):
    inner = []
    a, b = peers.programs["a"], peers.programs["b"]
    number = b.system.locate("to_a")
    b.reply = {"item": pair(number, CALL)}
    got = peers.system("c").call("to_b", "post", "Take").fields["item"]["handle"]
    assert give(peers, "c", "to_a", got, CALL).code is ReturnCode.NO_RIGHT
    own = give(peers, "b", "to_a", number, CALL).fields["number"]  # a's way to itself
    served = a.serve

    def serve(request):
        inner.append(a.system.call(own, "post", "Poke").code)
        return served(request)

    a.serve = serve
    assert peers.system("c").call("to_a", "post", "Poke").ok
    assert inner == [ReturnCode.BUSY]


# ---- handles in messages


def test_the_policy_sees_identities_and_rights_and_the_receiver_numbers_of_its_own(peers, monkeypatch):
    seen = []
    decide = type(peers.kernel._module).decide
    monkeypatch.setattr(
        type(peers.kernel._module), "decide", lambda self, event: seen.append(event) or decide(self, event)
    )
    system = peers.system("c")
    first, second = system.create(PASSED_ON, "first"), system.create(PASSED_ON, "second")
    items = [pair(second, OWN), pair(0, 0), pair(first, TRANSFER)]
    fields = {"items": items, "pair": {"one": pair(first, GET_SID), "number": 5}, "either": {"item": pair(second, 0)}}
    assert system.call("to_b", "post", "Many", {**fields, "last": 9}).ok
    sids = system.sid(first), system.sid(second)
    assert seen[0].message == {
        "items": (pair(sids[1], OWN), pair(0, 0), pair(sids[0], TRANSFER)),
        "pair": {"one": pair(sids[0], GET_SID), "number": 5},
        "either": {"item": pair(sids[1], 0)},
        "last": 9,
    }
    assert peers.programs["b"].got[-1][1] == {
        "items": (pair(1, OWN), pair(0, 0), pair(2, TRANSFER)),
        "pair": {"one": pair(3, GET_SID), "number": 5},
        "either": {"item": pair(4, 0)},
        "last": 9,
    }
    assert [peers.system("b").rights(number) for number in (1, 2, 3, 4)] == [OWN, TRANSFER, GET_SID, 0]


def test_a_union_without_its_handle(peers):
    fields = {"items": [], "pair": {"one": pair(0, 0), "number": 5}, "either": {"number": 3}, "last": 9}
    assert peers.system("c").call("to_b", "post", "Many", fields).ok


def test_a_refused_message_hands_nothing_over(world):
    text = world[1][0]
    peers = Peers(world[0], text)
    root = peers.system("c").create(PASSED_ON, 0)
    peers.kernel._module.decide = lambda event: type(
        "No", (), {"granted": False, "rule": "r", "reason": "no", "audited": False}
    )
    assert give(peers, "c", "to_b", root, OWN).code is ReturnCode.SECURITY_DISALLOW
    assert peers.kernel.tasks["b"].table.open == {}


def test_the_provider_gets_its_own_back(peers, shared):
    peers.programs["b"].reply = {"item": pair(1, OWN)}
    back = peers.system("c").call("to_b", "post", "Take").fields["item"]["handle"]
    assert back != shared
    assert peers.system("c").dereference(back) == "c's own"


def test_an_error_carries_handles_too(peers, shared):
    peers.programs["b"].reply = {"item": pair(1, OWN)}
    answer = peers.system("c").call("to_b", "post", "Fail")
    assert answer.error
    assert peers.system("c").rights(answer.fields["item"]["handle"]) == OWN


def test_a_server_cannot_answer_with_what_it_does_not_hold(peers):
    peers.programs["b"].reply = {"item": pair(77, OWN)}
    assert peers.system("c").call("to_b", "post", "Take").code is ReturnCode.BAD_HANDLE
    assert last(peers) == ("response", "denied", "capability", "b", "Take")


# ---- the tree


def test_revoking_in_the_middle_leaves_what_is_above(peers, shared):
    peers.system("b").revoke(1)
    assert refusal(peers.system("a").rights, 1) is ReturnCode.HANDLE_REVOKED
    assert peers.system("b").rights(1) == PASSED_ON
    assert peers.system("c").notices() == []


def test_what_a_closed_handle_passed_on_is_still_taken_back_from_above(peers, shared):
    peers.system("b").close(1)
    assert peers.system("a").rights(1) == PASSED_ON
    peers.system("c").revoke(shared)
    assert refusal(peers.system("a").rights, 1) is ReturnCode.HANDLE_REVOKED


def test_a_resource_is_freed_with_its_last_handle(peers, shared):
    peers.system("c").close(shared)
    assert len(peers.kernel.snapshot()["handles"]["resources"]) == 4  # three channels and the thing
    peers.system("b").close(1)
    assert peers.system("c").notices() == []
    peers.system("a").close(1)
    assert peers.system("c").notices() == [Notice("released", shared)]
    assert len(peers.kernel.snapshot()["handles"]["resources"]) == 3


def test_passing_to_and_fro_leaves_nothing_behind(peers):
    number = peers.system("c").create(PASSED_ON, 0)
    for _ in range(200):
        got = give(peers, "c", "to_b", number, PASSED_ON).fields["number"]
        peers.system("c").close(number)
        peers.programs["b"].reply = {"item": pair(got, PASSED_ON)}
        number = peers.system("c").call("to_b", "post", "Take").fields["item"]["handle"]
        peers.system("b").close(got)
    assert len(peers.kernel.snapshot()["handles"]["handles"]) <= 8


def test_handles_go_on_in_a_fresh_kernel(world, peers, shared):
    peers.system("c").locate("to_a")
    state = json.loads(json.dumps(peers.kernel.snapshot()))
    fresh = Peers(world[0], world[1][0], ManualClock())
    fresh.system("a").create(EVERY_RIGHT, "forgotten")
    fresh.kernel.restore(state)
    assert json.loads(json.dumps(fresh.kernel.snapshot())) == state
    assert fresh.system("c").dereference(shared) == "c's own"
    fresh.system("c").revoke(shared)
    assert fresh.system("a").notices() == [Notice("revoked", 1)]
    assert fresh.system("c").call("to_b", "post", "Poke").ok
