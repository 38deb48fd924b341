"""A policy that can refuse what is never blocked is not put in force; the mistake names the rule and the entry."""

from datetime import date

import pytest

from secureos.kernel import load_image
from secureos.kernel.boot_checks import Trust, boot_checks
from secureos.kernel.errors import ExchangeRefused, ImageError
from secureos.kernel.safety_check import check_safety
from secureos.kernel.safety_file import read_safety
from secureos.policy import PolicyError, compile_policy
from secureos.xdl.source import source_from_text
from tests.secureos.kernel.drives import FILES, NEVER, POLICY, STOP, USES, Plant, denial
from tests.secureos.kernel.images import Other, Program

ALL = USES + "request { grant () }\n"
REPORTS = """
[[never_block]]
purpose = "read"
src = "Drive"
method = "Report"
where = { bound = "high" }
"""
NOT_REPORTS = USES[: USES.index("security {")]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return load_image(folder)


@pytest.fixture(scope="module")
def check(image):
    def mistakes(policy, safety=NEVER):
        listed = read_safety(source_from_text(safety, name="safety.toml"), image.tasks)
        policy = compile_policy(source_from_text(policy, name="plant.psl"), image.catalogue)
        return [(one.span.place, one.span.text.partition("\n")[0], one.message) for one in check_safety(policy, listed)]

    return mistakes


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        ALL,
        ALL + "request src=Logger { deny () }\n",
        ALL + "request method=Shut { deny () }\n",
        ALL.replace("request { grant () }", "request { assert (true) deny (false) }"),
        USES
        + "request { choice (message.unit) { _ : grant () } }\n".replace("request", "request method=Stop")
        + "request method=Read { grant () }\n",
        POLICY.replace('"M1" : grant ()', '"M1" : { audit all grant () } "M2" : deny ()'),
        POLICY.replace('"M1" : grant ()', '"M1" : match method=Stop { grant () }'),
        POLICY.replace('"M1" : grant ()', '"M1" : { match src=Logger { deny () } grant () }'),
        POLICY.replace('"M1" : grant ()', '"M1" : choice (message.unit) { "M2" : deny () "M1" : grant () }'),
    ],
)
def test_constant_grants_are_all_that_reaches_it(check, policy):
    assert check(policy) == []


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("request { deny () }", "rule `deny ()` denies"),
        ("request src=Panel { assert (false) }", "rule `assert (false)` denies"),
        ("request { assert (src_sid == 7) }", "can deny"),
        ('request dst=Drive method=Stop { assert (window.get { sid : dst_sid, key : "low" } == 0) }', "can deny"),
        ("request endpoint=drive { match method=Stop { deny () } }", "denies"),
        ('request method=Stop { choice (message.unit) { "M2" : grant () } }', "no case of this choice fits"),
        ('request method=Stop { choice (message.unit) { "M1" : deny () } }', "denies"),
        ('request method=Stop { choice (message.unit) { "M1" : assert (src_sid == 7) } }', "can deny"),
        (
            'request method=Stop { choice (message.unit) { "M1" : match src=Logger { grant () } } }',
            "has no rule for it",
        ),
        ('request method=Stop { choice (message.unit) { "M1" : {} } }', "has no rule for it"),
        ("request method=Stop { choice (src_sid) { _ : grant () } }", "this choice can deny"),
        ('request method=Stop { choice (window.get { sid : dst_sid, key : "low" }) { _ : grant () } }', "can deny"),
    ],
)
def test_whatever_could_refuse_it_is_a_mistake(check, rule, says):
    found = check(ALL + rule)
    line = (ALL + rule).count("\n") + 1
    assert found
    for place, text, message in found:
        assert place == f"plant.psl:{line}"
        assert text in rule
        assert says in message
        assert "safety.toml:" in message
        assert "never blocked" in message


@pytest.mark.parametrize(
    ("cases", "says"),
    [
        ('"M1" : grant ()', "no case `_`"),
        ('"M1" : grant () _ : deny ()', "denies"),
        ('"M1" : {} _ : grant ()', "has no rule for it"),
        ("", "no case `_`"),
    ],
)
def test_of_a_choice_on_a_free_field_every_case_is_held_against_it(check, cases, says):
    free = NEVER.replace('where = { unit = "M1" }', "").replace('["Panel"]', "[]")
    assert check(ALL, free) == []
    found = check(f"{ALL}request method=Stop {{ choice (message.unit) {{ {cases} }} }}", free)
    assert any(says in message for _, _, message in found), found


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (POLICY.replace(STOP, ""), "grants `Panel → Drive drive.Stop"),
        (POLICY.replace("request method=Read { grant () }", ""), "grants `Panel → Drive drive.Read"),
        (POLICY.replace("response { grant () }", ""), "grants the response to `Panel → Drive drive."),
        (POLICY.replace("error { grant () }", ""), "grants the error to `Panel → Drive drive."),
    ],
)
def test_what_nothing_grants_is_a_mistake_at_the_entry(check, policy, what):
    found = check(policy)
    assert found
    for place, _, message in found:
        assert place.startswith("safety.toml:")
        assert what in message


def test_replies_must_come_back_unweighed(check):
    found = check(ALL + "response method=Read { assert (message.rpm < 100) }\nerror method=Stop { deny () }\n")
    assert [place for place, _, _ in found] == [f"plant.psl:{ALL.count(chr(10)) + n}" for n in (2, 1)]
    assert "the error to `Panel → Drive drive.Stop" in found[0][2]
    assert "the response to `Panel → Drive drive.Read" in found[1][2]


def test_a_class_that_the_policy_does_not_name_is_a_mistake(check):
    found = check(
        "execute: kl.core.Execute\nuse EDL kl.core.Core\nuse EDL Einit\nuse EDL Panel\nrequest { grant () }\n"
    )
    assert any("does not know `Panel → Drive drive.Stop" in message for _, _, message in found)


def test_messages_to_the_security_module_are_held_to_it_too(check):
    weighed = check(ALL, REPORTS)
    assert {text for _, text, _ in weighed} >= {"window.commit { sid : src_sid }"}
    plain = NOT_REPORTS + "request { grant () }\n"
    assert check(plain + "security { grant () }\n", REPORTS) == []
    assert "no rule that grants `Drive Report" in check(plain, REPORTS)[0][2]


def test_a_kernel_neither_boots_nor_takes_over_such_a_policy(tmp_path):
    with pytest.raises(PolicyError, match="never blocked"):
        Plant(tmp_path, NEVER, POLICY + "request { deny () }\n")
    plant = Plant(tmp_path, NEVER)
    bad = compile_policy(source_from_text(POLICY + "request { deny () }\n"), plant.image.catalogue)
    with pytest.raises(ExchangeRefused, match="never blocked"):
        plant.kernel.exchange_policy(bad)
    assert plant.call("Read").ok
    plant.kernel.exchange_policy(compile_policy(source_from_text(ALL), plant.image.catalogue))
    assert plant.set(5000).ok


class Third(Program):
    """Of the same source as the others."""


@pytest.fixture
def started(tmp_path, monkeypatch):
    def start(policy, safety):
        for name, text in {**FILES, "safety.toml": safety, "plant.psl": policy}.items():
            (tmp_path / name).write_text(text)
        monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "state"))
        programs = {"panel": Program, "drive": Other, "logger": Third}
        trust = Trust(date(2030, 6, 15))
        return boot_checks(tmp_path, tmp_path / "plant.psl", name="plant", programs=programs, trust=trust)

    return start


def test_nothing_is_verified_for_a_start_that_must_not_be(started):
    with pytest.raises(PolicyError, match="never blocked"):
        started(POLICY + "request { deny () }\n", NEVER)
    with pytest.raises(ImageError, match="until 2030-06-14 only"):
        started(POLICY, denial("observe", "until = 2030-06-14"))


def test_a_start_says_which_day_it_is(started):
    assert started(POLICY, denial("observe", "until = 2030-06-15")).image.safety.today == date(2030, 6, 15)
