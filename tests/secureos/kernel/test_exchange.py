"""Another policy while an image runs: what is offered has passed every check, and is in force whole or not at all."""

from dataclasses import replace

import pytest

from secureos.kernel import ExchangeRefused, KernelError, ReturnCode, refusals
from secureos.kernel.boot_checks import Trust, boot_checks
from secureos.kernel.exchange import offered
from secureos.kernel.floors import policy_floor, raise_floor
from secureos.kernel.keys import trust
from secureos.policy import PolicyError, load_policy
from tests.secureos.kernel.conftest import ALL
from tests.secureos.kernel.images import POLICY, PROGRAMS, TODAY, Signed, write_image

ANYBODY = Trust(TODAY)
PASSES = 'assert "the door" { sequence "it opens" { grant Client ~> Server:door.Open { number : 1 } } }\n'
FAILS = PASSES.replace("grant Client", "deny Client")
TURNS = "policy object turns : Rate { config = { count : 1, per_ms : 60000, burst : 2, subjects : 4 } }\n"


# ---- what may be offered -------------------------------------------------------------------------------------------


@pytest.fixture
def running(home, tmp_path):
    folder = write_image(tmp_path / "image")
    return boot_checks(folder, folder / "house.psl", name="house", programs=PROGRAMS, trust=ANYBODY)


def offer(running, text, *, suite=None, beside=None, name="house.psl"):
    """An offer of a policy in a folder of its own, with a suite in the image, or beside it."""
    place = running.image.folder.parent / "new"
    place.mkdir(exist_ok=True)
    (place / name).write_text(text)
    for folder, tests in ((running.image.folder, suite), (place, beside)):
        if tests is not None:
            (folder / name.replace(".psl", ".pal.psl")).write_text(f"use house._\n{tests}")
    return offered(place / name, running, trust=ANYBODY)


def test_a_policy_that_passes_its_tests_is_offered(running):
    found = offer(running, POLICY + "// another\n" + PASSES)
    assert (found.sequences, found.version) == (1, 0)
    assert found.policy.sha256 != running.policy.sha256
    assert found.checked.image is running.image


def test_the_images_suite_is_run_against_the_offered_policy(running):
    closed = POLICY.replace("request { grant () }", "")
    assert offer(running, POLICY, suite=PASSES).sequences == 1
    with pytest.raises(ExchangeRefused, match=r"fails 1 of 1 test sequences: house\.pal\.psl:2: .*Open"):
        offer(running, closed, suite=PASSES)
    assert offer(running, closed, suite=PASSES, beside=FAILS).sequences == 1  # what stands beside it counts first


def test_of_many_failures_the_first_are_told(running):
    with pytest.raises(ExchangeRefused, match=r"fails 5 of 6 test sequences: .*; and 2 more"):
        offer(running, POLICY + FAILS * 5 + PASSES)


@pytest.mark.parametrize("name", ["house.psl", "elsewhere.psl"])
def test_a_policy_without_tests_is_not_offered(running, name):
    with pytest.raises(ExchangeRefused, match="has no tests"):
        offer(running, POLICY, name=name)


@pytest.mark.parametrize(
    ("text", "suite"),
    [
        ("request { grant ( }\n", None),
        (POLICY + "request dst=Nobody { grant () }\n", None),
        ("", None),
        ("\0" * 1000, None),
        (POLICY, "assert {"),
        (POLICY, PASSES.replace("number", "colour")),
    ],
)
def test_what_is_malformed_is_not_offered(running, text, suite):
    with pytest.raises((PolicyError, ExchangeRefused)):
        offer(running, text, suite=suite)


def test_a_file_that_is_gone_is_not_offered(running):
    with pytest.raises(PolicyError):
        offered(running.image.folder / "gone.psl", running, trust=ANYBODY)


def test_for_a_signed_image_the_policy_must_be_signed_too(home, tmp_path):
    made = Signed(tmp_path / "image")
    trust(made.signer.public)
    path = made.folder / "house.psl"
    running = boot_checks(made.folder, path, name="house", programs=PROGRAMS, trust=ANYBODY)
    path.write_text(POLICY + PASSES)
    with pytest.raises(refusals.PolicyChanged):
        offered(path, running, trust=ANYBODY)
    policy = load_policy(path, running.image.catalogue)
    made.sign_policy(version=7, policy_sha256=policy.sha256)
    assert offered(path, running, trust=ANYBODY).version == 7
    raise_floor(policy_floor("house", "house.psl"), 8)
    with pytest.raises(refusals.Downgraded):
        offered(path, running, trust=ANYBODY)
    # An image whose manifest is taken away after its start is signed for all that.
    for name in ("manifest.json", "manifest.sig", "house.psl.sig"):
        (made.folder / name).unlink()
    with pytest.raises(refusals.Unsigned):
        offered(path, running, trust=ANYBODY)


# ---- what is put in force ------------------------------------------------------------------------------------------


def policies(house):
    return [(r.decision, r.reason, r.message) for r in house.kernel.audit.records if r.event == "policy"]


def other(house, text):
    path = house.image.folder / "other.psl"
    path.write_text(text)
    return load_policy(path, house.image.catalogue)


def opened(house):
    return house.client.system.call("server", "door", "Open", {"number": 1, "who": "me"}).code


def test_the_start_records_what_is_in_force(house):
    booted = house()
    first = booted.kernel.audit.records[0]
    about = {"image_sha256": booted.image.sha256, "policy_sha256": booted.kernel.policy.sha256, "policy_version": 0}
    assert (first.event, first.decision, first.message) == ("policy", "granted", about)


def test_an_exchanged_policy_decides_from_then_on_and_is_on_record(house):
    booted = house()
    assert opened(booted) is ReturnCode.OK
    new = other(booted, ALL + "request method=Open { deny () }\n")
    booted.kernel.exchange_policy(new, version=4)
    assert opened(booted) is ReturnCode.SECURITY_DISALLOW
    assert (booted.kernel.policy, booted.kernel.in_force.policy_version) == (new, 4)
    decision, reason, message = policies(booted)[-1]
    assert (decision, reason) == ("granted", "policy `other.psl` is put in force in place of another")
    assert (message["policy_sha256"], message["policy_version"]) == (new.sha256, 4)
    assert booted.server.count == 1  # its programs never noticed


def test_objects_that_are_declared_alike_keep_their_state(house):
    text = (
        ALL.replace("execute { grant", f"{TURNS}execute {{ grant")
        + "request method=Open { turns.take {sid : src_sid, n : 1} }\n"
    )
    booted = house(text)
    assert [opened(booted) for _ in range(3)] == [ReturnCode.OK, ReturnCode.OK, ReturnCode.SECURITY_DISALLOW]
    booted.kernel.exchange_policy(other(booted, text + "// changed\n"))
    assert opened(booted) is ReturnCode.SECURITY_DISALLOW
    booted.kernel.exchange_policy(other(booted, text.replace("burst : 2", "burst : 3")))
    assert opened(booted) is ReturnCode.OK  # declared otherwise, it begins anew


def test_while_the_audit_cannot_be_written_nothing_is_exchanged(house):
    booted = house()
    before = booted.kernel.policy
    booted.kernel.audit.fail("no space left")
    with pytest.raises(ExchangeRefused, match="nobody could know of the change afterwards: no space left"):
        booted.kernel.exchange_policy(other(booted, ALL + "// changed\n"))
    assert booted.kernel.policy is before
    assert opened(booted) is ReturnCode.OK  # without a declared reaction, messages go on
    booted.kernel.audit.fail(None)
    booted.kernel.exchange_policy(other(booted, ALL + "// changed\n"))
    assert [decision for decision, *_ in policies(booted)] == ["granted", "denied", "granted"]


def broken(*_):
    raise ValueError("this object cannot be made")


def test_a_policy_that_cannot_be_put_in_force_leaves_the_old_one_whole(house):
    booted = house()
    before, state = booted.kernel.policy, booted.kernel.snapshot()["module"]
    new = other(booted, ALL + "request method=Open { deny () }\n")
    with pytest.raises(ExchangeRefused, match=r"`other\.psl` cannot be put in force: ValueError: this object"):
        booted.kernel.exchange_policy(replace(new, objects={**new.objects, "more": broken}), version=9)
    assert (booted.kernel.policy, booted.kernel.in_force.policy_version) == (before, 0)
    assert booted.kernel.snapshot()["module"] == state
    assert opened(booted) is ReturnCode.OK
    decision, _, message = policies(booted)[-1]
    assert (decision, message["policy_version"]) == ("denied", 9)


def test_what_was_not_even_an_offer_is_recorded_within_bounds(house):
    booted = house()
    booted.kernel.keep_policy("x" * 10_000)
    decision, reason, message = policies(booted)[-1]
    assert (decision, message) == ("denied", None)
    assert len(reason) < 300


def test_an_exchange_refused_is_an_error_for_a_person():
    assert issubclass(ExchangeRefused, KernelError)
