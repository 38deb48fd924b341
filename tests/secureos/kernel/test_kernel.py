"""Messages: every one passes capability, structure and verdict, and every refusal says which and why."""

import json
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.kernel import ImageError, ReturnCode, StartRefused
from tests.secureos.kernel.conftest import ALL, USES

OPEN = {"number": 1, "who": "me"}
LEAST = USES + "request src=Client dst=Server endpoint=door method=Open { grant () }\nresponse { grant () }\n"


def open_door(house, **fields):
    return house.client.system.call("server", "door", "Open", {**OPEN, **fields})


def test_a_granted_call_goes_there_and_back(house):
    booted = house()
    answer = open_door(booted)
    assert answer.ok
    assert answer.fields == {"count": 1}
    assert booted.server.seen[0].fields == OPEN
    assert [(r.event, r.decision) for r in booted.kernel.audit.records[-2:]] == [
        ("request", "granted"),
        ("response", "granted"),
    ]


def test_the_servers_error_comes_back_as_such(house):
    answer = open_door(house(), number=13)
    assert answer.code is ReturnCode.OK
    assert answer.error
    assert not answer.ok
    assert answer.fields == {"code": 7}


def test_what_no_rule_grants_is_refused_and_never_arrives(house):
    booted = house(USES)
    answer = open_door(booted)
    assert answer.code is ReturnCode.SECURITY_DISALLOW
    assert answer.reason
    assert booted.server.seen == []
    assert (booted.last.event, booted.last.decision, booted.last.rule) == ("request", "denied", "default")
    assert booted.last.message == OPEN


def test_a_method_that_is_not_granted_is_refused_beside_one_that_is(house):
    booted = house(LEAST)
    assert open_door(booted).ok
    assert booted.client.system.call("server", "door", "Count").code is ReturnCode.SECURITY_DISALLOW


def test_a_refused_response_hides_the_servers_answer(house):
    booted = house(USES + "request { grant () }\n")
    answer = open_door(booted)
    assert answer.code is ReturnCode.SECURITY_DISALLOW
    assert answer.fields == {}
    assert booted.server.count == 1
    assert (booted.last.event, booted.last.src, booted.last.dst) == ("response", "Server", "Client")


def test_a_refused_error_hides_it_too(house):
    booted = house(USES + "request { grant () }\nresponse { grant () }\n")
    answer = open_door(booted, number=13)
    assert answer.code is ReturnCode.SECURITY_DISALLOW
    assert not answer.error
    assert booted.last.event == "error"


def test_without_a_channel_nothing_is_reached_whatever_the_policy(house):
    booted = house()
    answer = booted.bystander.system.call("server", "door", "Open", OPEN)
    assert answer.code is ReturnCode.NOT_CONNECTED
    assert (booted.last.decision, booted.last.rule) == ("denied", "capability")
    assert booted.server.seen == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"number": 256, "who": "me"}, "number"),
        ({"number": -1, "who": "me"}, "number"),
        ({"number": True, "who": "me"}, "number"),
        ({"number": 1.0, "who": "me"}, "number"),
        ({"number": 1, "who": "123456789"}, "who"),
        ({"number": 1, "who": b"me"}, "who"),
        ({"number": 1}, "who"),
        ({"number": 1, "who": "me", "more": 1}, "more"),
        ({}, "number"),
        (None, "message"),
        ([1], "message"),
    ],
)
def test_malformed_messages_are_refused_under_a_policy_that_grants_everything(house, fields, says):
    booted = house()
    answer = booted.client.system.call("server", "door", "Open", fields)
    assert answer.code is ReturnCode.INVALID_ARGUMENT
    assert says in answer.reason
    assert (booted.last.decision, booted.last.rule) == ("denied", "structure")
    assert booted.server.seen == []
    json.dumps(list(booted.kernel.audit.lines()))


@pytest.mark.parametrize(("endpoint", "method"), [("door", "Shut"), ("window", "Open"), ("", "")])
def test_undeclared_methods_and_endpoints_are_refused(house, endpoint, method):
    booted = house()
    answer = booted.client.system.call("server", endpoint, method, OPEN)
    assert answer.code is ReturnCode.INVALID_ARGUMENT
    assert "has no method" in answer.reason


def test_a_server_that_lies_about_its_answer_is_caught(house):
    booted = house()
    answer = booted.client.system.call("server", "door", "Lie")
    assert answer.code is ReturnCode.INVALID_ARGUMENT
    assert (booted.last.event, booted.last.src, booted.last.rule) == ("response", "Server", "structure")


def test_a_server_that_crashes_fails_its_caller_and_nobody_else(house):
    booted = house()
    answer = booted.client.system.call("server", "door", "Crash")
    assert answer.code is ReturnCode.INTERRUPTED
    assert (booted.last.event, booted.last.src, booted.last.rule) == ("fault", "Server", "kernel")
    assert "random software error" in booted.last.reason
    assert open_door(booted).code is ReturnCode.FAILED
    booted.clock.now_ns = 100_000_000
    booted.kernel.tick()
    assert open_door(booted).ok


def test_a_server_that_is_asked_by_its_own_call_chain_is_busy(house, monkeypatch):
    booted = house()
    inner = []

    def serve(request):
        inner.append(open_door(booted))
        return type(booted.server).serve(booted.server, request)

    monkeypatch.setattr(booted.server, "serve", serve)
    assert open_door(booted).ok
    assert [answer.code for answer in inner] == [ReturnCode.BUSY]


def test_security_reports_reach_the_policy_and_are_checked(house):
    booted = house()
    report = booted.client.system.report
    assert report("Report", {"values": (1, 2)}).ok
    assert report("Report", {"values": array("i", [1, 2])}).ok
    assert report("Report", {"values": (1, 2, 3, 4, 5)}).code is ReturnCode.INVALID_ARGUMENT
    assert report("Other", {}).code is ReturnCode.INVALID_ARGUMENT
    assert booted.bystander.system.report("Report", {"values": ()}).code is ReturnCode.INVALID_ARGUMENT
    refused = house(USES).client.system.report("Report", {"values": ()})
    assert refused.code is ReturnCode.SECURITY_DISALLOW


def test_one_chain_ties_what_one_request_caused(house):
    booted = house()
    open_door(booted)
    open_door(booted)
    chains = [(r.event, r.chain) for r in booted.kernel.audit.records if r.event not in ("policy", "execute")]
    assert chains == [("request", 1), ("response", 1), ("request", 2), ("response", 2)]


def test_tasks_start_in_order_each_with_a_verdict(house):
    started = [r for r in house().kernel.audit.records if r.event == "execute"]
    assert [(r.src, r.dst) for r in started] == [
        ("kl.core.Core", "kl.core.Core"),
        ("kl.core.Core", "Einit"),
        ("Einit", "Server"),
        ("Einit", "Bystander"),
        ("Einit", "Client"),
    ]


def test_a_task_that_may_not_start_does_not(unbooted):
    house = unbooted(ALL.replace("execute { grant () }", "execute src=kl.core.Core { grant () }"))
    with pytest.raises(StartRefused, match="task `Server` of class `Server` may not start"):
        house.boot()
    assert house.kernel.audit.records[-1].decision == "denied"


def test_programs_and_tasks_must_match(unbooted):
    house = unbooted()
    with pytest.raises(ImageError, match="no program is registered for task `Server`"):
        house.kernel.boot({name: house.programs[name] for name in ("Client", "Bystander")})
    with pytest.raises(ImageError, match="the image declares no task `Intruder`"):
        house.kernel.boot({**house.programs, "Intruder": house.programs["Bystander"]})


def test_an_engine_that_fails_refuses(house, monkeypatch):
    booted = house()

    def fail(self, event):
        raise ZeroDivisionError("engine fault")

    monkeypatch.setattr("secureos.policy.Engine.decide", fail)
    answer = open_door(booted)
    assert answer.code is ReturnCode.SECURITY_DISALLOW
    assert "failed while deciding" in answer.reason
    assert booted.server.seen == []


def test_the_policy_says_what_is_recorded_and_all_is_counted(house):
    booted = house(ALL.replace("audit default = all 1", "audit default = all 0"))
    before = len(booted.kernel.audit.records), booted.kernel.audit.granted
    assert open_door(booted).ok
    assert (len(booted.kernel.audit.records), booted.kernel.audit.granted) == (before[0], before[1] + 2)
    assert open_door(booted, number=999).code is ReturnCode.INVALID_ARGUMENT
    assert booted.last.decision == "denied"


def test_a_program_reaches_its_arguments_devices_and_time_and_no_more(folder, unbooted):
    text = (folder / "init.yaml").read_text().replace("  - name: Bystander", "  - name: Bystander\n    args: [a, 1]")
    (folder / "init.yaml").write_text(text)
    house = unbooted()
    house.kernel.boot(house.programs, {"Bystander": {"lamp": "the lamp"}})
    house.clock.now_ns = 42
    system = house.bystander.system
    assert (system.task, system.args, system.now_ns, system.device("lamp")) == ("Bystander", ("a", "1"), 42, "the lamp")
    with pytest.raises(KeyError):
        system.device("heater")
    assert [name for name in dir(system) if not name.startswith("_")] == [
        "args",
        "call",
        "close",
        "create",
        "dereference",
        "device",
        "locate",
        "notices",
        "now_ns",
        "report",
        "revoke",
        "rights",
        "sid",
        "spend",
        "task",
    ]


def test_a_restored_kernel_goes_on(house):
    whole, first, second = house(), house(), house()
    for booted in (whole, first):
        open_door(booted)
    second.kernel.restore(json.loads(json.dumps(first.kernel.snapshot())))
    for booted in (whole, second):
        open_door(booted, number=13)
        open_door(booted)
    assert list(second.kernel.audit.lines()) == list(whole.kernel.audit.lines())
    assert second.server.count == whole.server.count == 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(fields=values | st.fixed_dictionaries({"number": values, "who": values}), names=st.tuples(values, values))
def test_no_message_crashes_the_kernel_and_the_audit_can_hold_all(house_once, fields, names):
    for endpoint, method in (("door", "Open"), names):
        answer = house_once.client.system.call("server", endpoint, method, fields)
        assert answer.code in (ReturnCode.OK, ReturnCode.INVALID_ARGUMENT)
    assert house_once.client.system.report(names[0], fields).code is ReturnCode.INVALID_ARGUMENT
    unreachable = ReturnCode.BAD_HANDLE if type(names[0]) is int else ReturnCode.NOT_CONNECTED
    assert house_once.client.system.call(names[0], "door", "Count").code is unreachable
    json.dumps([r.message for r in house_once.kernel.audit.records[-4:]], allow_nan=False)


@pytest.fixture(scope="module")
def house_once(tmp_path_factory):
    from tests.secureos.kernel.conftest import FILES, INIT, House

    folder = tmp_path_factory.mktemp("house")
    for name, text in {**FILES, "init.yaml": INIT}.items():
        (folder / name).write_text(text)
    return House(folder, ALL).boot()
