from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.values import LiteralType
from secureos.xdl import StringType

ROLES = """ "viewer" : { may : ["look"] }, "operator" : { may : ["operate"], inherits : ["viewer"] },
    "chief" : { may : ["reset"], inherits : ["operator"] }, "auditor" : { may : ["audit"], inherits : ["viewer"] } """


def declare(roles=ROLES, users='"ann" : ["chief", "auditor"], "bob" : ["viewer"]', apart="", sessions=2):
    more = f", apart : {{ {apart} }}" if apart else ""
    config = f"roles : {{ {roles} }}, users : {{ {users} }}, sessions : {sessions}{more}"
    return f"policy object p : Rbac {{ config = {{ {config} }} }}"


APART = 'sessions : [["operator", "auditor"]]'
ABOVE = {
    "viewer": {"viewer"},
    "operator": {"operator", "viewer"},
    "chief": {"chief", "operator", "viewer"},
    "auditor": {"auditor", "viewer"},
}
MAY = {"viewer": "look", "operator": "operate", "chief": "reset", "auditor": "audit"}
HAS = {"ann": ABOVE["chief"] | ABOVE["auditor"], "bob": ABOVE["viewer"]}
SESSIONS, ROLE = st.integers(1, 3), st.sampled_from(sorted(ABOVE))
STEPS = st.lists(
    st.tuples(st.just("open"), SESSIONS, st.sampled_from(["ann", "ann", "bob", "eve"]))
    | st.tuples(st.just("close"), SESSIONS)
    | st.tuples(st.sampled_from(["activate", "activate", "deactivate"]), SESSIONS, ROLE),
    min_size=10,
    max_size=30,
)


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_it_agrees_with_plain_sets(lab, steps):
    real, open_now = lab(declare(apart=APART)), {}
    for what, session, *rest in steps:
        user, active = open_now.get(session, (None, set()))
        if what == "open":
            good = session not in open_now and rest[0] in HAS and len(open_now) < 2
            after = (rest[0], set())
        elif what == "activate":
            united = set().union(*(ABOVE[role] for role in active | {rest[0]}))
            good = user is not None and rest[0] in HAS[user] and not {"operator", "auditor"} <= united
            after = (user, active | {rest[0]})
        else:
            good = user is not None
            after = (user, active - set(rest))
        key = {"open": "user"}.get(what, "role")
        assert (real.ask(what, session=session, **({key: rest[0]} if rest else {})) is None) == good
        if good and what == "close":
            del open_now[session]
        elif good:
            open_now[session] = after
        for each in (1, 2, 3):
            roles = open_now.get(each, (None, set()))[1]
            given_now = {MAY[one] for role in roles for one in ABOVE[role]}
            for permission in MAY.values():
                assert real.value("may", session=each, permission=permission) == (permission in given_now)
                assert (real.ask("check", session=each, permission=permission) is None) == (permission in given_now)
            for role in ABOVE:
                assert real.value("active", session=each, role=role) == (role in roles)


def test_reasons(lab):
    real = lab(declare(apart=APART, sessions=1))
    for rule, more in (
        ("close", {}),
        ("activate", {"role": "viewer"}),
        ("deactivate", {"role": "viewer"}),
        ("check", {"permission": "look"}),
    ):
        assert real.ask(rule, session=1, **more) == "`p`: session 1 is not open"
    assert real.ask("open", session=1, user="anne") == "`p`: there is no user `anne`; did you mean `ann`?"
    real.ask("open", session=1, user="ann")
    assert real.ask("open", session=1, user="ann") == "`p`: session 1 is open already"
    assert real.ask("open", session=2, user="ann") == "`p`: 1 sessions are open already"
    assert real.ask("check", session=1, permission="look") == "`p`: user `ann` may not `look`; active roles: none"
    real.ask("activate", session=1, role="chief")
    assert real.ask("activate", session=1, role="auditor") == (
        "`p`: `auditor` and `operator` must not be active in one session"
    )
    assert real.ask("check", session=1, permission="audit") == "`p`: user `ann` may not `audit`; active roles: chief"
    real.ask("close", session=1)
    real.ask("open", session=1, user="bob")
    assert real.ask("activate", session=1, role="chief") == "`p`: user `bob` does not have the role `chief`"


def test_names_in_the_policy_are_checked_at_load(lab, refuses):
    real = lab(declare())
    assert refuses(real, "check", "permission", LiteralType("look")) is None
    assert refuses(real, "check", "permission", StringType(9)) is None
    assert "did you mean `look`?" in refuses(real, "check", "permission", LiteralType("lok"))
    assert "did you mean `chief`?" in refuses(real, "activate", "role", LiteralType("chef"))
    assert refuses(real, "activate", "role", LiteralType(5)) is not None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(users='"ann" : ["cheif"]'), "unknown role `cheif`; did you mean `chief`?"),
        (declare(roles='"a" : { may : [], inherits : ["b"] }', users=""), "unknown role `b`"),
        (
            declare(roles='"a" : { may : [], inherits : ["b"] }, "b" : { may : [], inherits : ["a"] }', users=""),
            "role `a` inherits itself",
        ),
        (declare(roles='"a" : { may : [], inherits : ["a"] }', users=""), "role `a` inherits itself"),
        (
            declare(apart='users : [["operator", "auditor"]]'),
            "user `ann` would unite `auditor` and `operator`, which must be apart",
        ),
        (
            declare(apart='sessions : [["operator", "viewer"]]'),
            "role `operator` would unite `operator` and `viewer`, which must be apart",
        ),
        (declare(apart='sessions : [["operator", "viewr"]]'), "unknown role `viewr`"),
        (declare(apart="session : []"), "unknown key `session`; did you mean `sessions`?"),
        (declare(sessions=0), "0 is outside 1 to 65536"),
        (declare(roles='"a" : { mya : [] }', users=""), "unknown key `mya`"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in "\n".join(mistakes(text))
