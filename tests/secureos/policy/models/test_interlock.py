from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models import Incorrect

MS = 1_000_000
CONDITIONS = """ "shut" : { point : "door", equals : 1 }, "hot" : { point : "temp", at_least : 50 },
    "cool" : { point : "temp", at_most : 20 }, "mild" : { point : "temp", at_least : 10, at_most : 30 } """
ACTIONS = ' "start" : { needs : ["shut", "mild"], blocked_by : ["heat"] }, "look" : { needs : ["shut"] } '


def declare(conditions=CONDITIONS, actions=ACTIONS, trips='"heat" : { when : "hot", reset_by : ["chief"] }'):
    config = f"max_age_ms : 10, conditions : {{ {conditions} }}, actions : {{ {actions} }}, trips : {{ {trips} }}"
    return f"policy object g : Interlock {{ config = {{ {config} }} }}"


REPORT = st.tuples(
    st.just("observe"),
    st.lists(
        st.tuples(
            st.sampled_from(["door", "temp", "temp", "other"]),
            st.sampled_from([0, 1, 15, 40, 60]),
            st.sampled_from([0, 0, 1]),
        ),
        max_size=3,
    ),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 4, 12]),
        REPORT
        | REPORT
        | st.tuples(st.sampled_from(["start", "look", "trip"]), st.none())
        | st.tuples(st.just("reset"), st.sampled_from(["chief", "chief", "guest"])),
    ),
    min_size=10,
    max_size=30,
)
BOUNDS = {"shut": ("door", 1, 1), "hot": ("temp", 50, 999), "cool": ("temp", -999, 20), "mild": ("temp", 10, 30)}


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_the_whole_history(lab, steps):
    real, log, tripped, now = lab(declare()), [], False, 0

    def known(name):
        point, low, high = BOUNDS[name]
        seen = [row for row in log if row[1] == point]
        if not seen or seen[-1][3] or now - seen[-1][0] > 10 * MS:
            return None
        return low <= seen[-1][2] <= high

    for wait, (what, more) in steps:
        now += wait * MS
        if what == "observe":
            points, values, quality = ([row[i] for row in more] for i in range(3))
            assert real.ask("observe", now, points=points, values=values, quality=quality) is None
            log += [(now, *row) for row in more]
            tripped = tripped or known("hot") is True
        elif what == "trip":
            assert real.ask("trip", now, name="heat") is None
            tripped = True
        elif what == "reset":
            good = more == "chief" and known("hot") is False
            assert (real.ask("reset", now, name="heat", role=more) is None) == good
            tripped = tripped and not good
        else:
            good = known("shut") is True
            if what == "start":
                good = good and known("mild") is True and not tripped and known("hot") is not None
            assert (real.ask("require", now, action=what) is None) == good
        assert real.value("tripped", now, name="heat") == tripped
        for name in BOUNDS:
            if known(name) is None:
                with pytest.raises(Incorrect):
                    real.value("holds", now, condition=name)
            else:
                assert real.value("holds", now, condition=name) == known(name)


def tell(real, at_ns=0, /, **values):
    return real.ask(
        "observe",
        at_ns,
        points=list(values),
        values=[abs(v) for v in values.values()],
        quality=[v < 0 for v in values.values()],
    )


def test_reasons(lab):
    real = lab(declare())
    why = "`g`: `start` is not permitted: "
    assert real.ask("require", action="start") == f"{why}`temp` has not been measured yet"
    tell(real, door=0, temp=15)
    assert real.ask("require", action="start") == f"{why}`shut` does not hold"
    tell(real, door=-1)
    assert real.ask("require", action="look") == "`g`: `look` is not permitted: `door` is marked bad"
    tell(real, door=1)
    assert real.ask("require", action="start") is None
    assert real.ask("require", 11 * MS, action="start") == (
        f"{why}`temp` was measured 11 ms ago, at most 10 ms are allowed"
    )
    tell(real, temp=50)
    assert real.ask("require", action="start") == f"{why}`heat` has tripped and was not reset"
    assert real.ask("reset", name="heat", role="guest") == "`g`: role `guest` may not reset `heat`"
    assert real.ask("reset", name="heat", role="chief") == "`g`: `heat` cannot be reset while `hot` holds"
    tell(real, temp=-1)
    assert real.ask("reset", name="heat", role="chief") == ("`g`: `heat` cannot be reset, because `temp` is marked bad")
    tell(real, temp=15)
    assert real.ask("reset", name="heat", role="chief") is None
    assert real.ask("reset", name="heat", role="chief") is None
    assert real.ask("observe", points=["door"], values=[], quality=[0]) == (
        "`g`: points, values and quality have 1, 0 and 1 items"
    )


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(trips='"heat" : { when : "hott", reset_by : [] }'), "unknown condition `hott`; did you mean `hot`?"),
        (declare(actions='"a" : { needs : ["shutt"] }'), "unknown condition `shutt`; did you mean `shut`?"),
        (declare(actions='"a" : { blocked_by : ["het"] }'), "unknown trip `het`; did you mean `heat`?"),
        (declare(actions='"a" : { }'), "an action needs a condition or is blocked by a trip"),
        (declare('"a" : { point : "p" }'), "a condition has `equals`, or `at_least`, `at_most` or both"),
        (
            declare('"a" : { point : "p", equals : 1, at_most : 2 }'),
            "a condition has `equals`, or `at_least`, `at_most` or both",
        ),
        (declare('"a" : { point : "p", at_least : 3, at_most : 2 }'), "no value is at least 3 and at most 2"),
        (declare('"a" : { equals : 1 }'), "key `point` is missing"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in "\n".join(mistakes(text))
