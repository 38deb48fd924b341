from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000
DURING = "during : [{ from_ms : 10, until_ms : 20 }, { from_ms : 18, until_ms : 25 }]"


def declare(windows='"a" : { max_ms : 8 }, "b" : { max_ms : 6, ' + DURING + " }"):
    return f"policy object w : Window {{ config = {{ {windows} }} }}"


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 3, 7]),
        st.sampled_from("ab"),
        st.sampled_from(["open", "open", "close", "require"]),
        st.integers(-1, 9),
    ),
    min_size=10,
    max_size=30,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_plain_intervals(lab, steps):
    real, spans, now = lab(declare()), {"a": (0, 0), "b": (0, 0)}, 0
    for wait, window, what, duration in steps:
        now += wait
        begin, end = spans[window]
        is_open = begin <= now < end
        arguments = {"window": window} | ({"duration_ms": duration} if what == "open" else {})
        good = what == "close" or is_open
        if what == "open":
            most = {"a": 8, "b": 6}[window]
            last = 10**9 if window == "a" else 25 if 18 <= now < 25 else 20 if 10 <= now < 18 else 0
            good = not is_open and 1 <= duration <= most and now < last
            if good:
                spans[window] = (now, min(now + duration, last))
        assert (real.ask(what, now * MS, **arguments) is None) == good
        if what == "close":
            spans[window] = (0, 0)
        for each, (begin, end) in spans.items():
            assert real.value("is_open", now * MS, window=each) == (begin <= now < end)


def test_reasons(lab):
    real = lab(declare())
    assert real.ask("require", window="a") == "`w`: `a` is not open"
    assert real.ask("open", window="a", duration_ms=9) == "`w`: `a` can be open for 1 to 8 ms, not for 9 ms"
    assert real.ask("open", window="b", duration_ms=5) == "`w`: `b` cannot be opened at 0 ms, outside its spans"
    real.ask("open", window="a", duration_ms=8)
    assert real.ask("open", window="a", duration_ms=8) == "`w`: `a` is open already"
    assert real.ask("require", 8 * MS - 1, window="a") is None
    assert real.ask("require", 11 * MS, window="a") == "`w`: `a` closed by itself 3 ms ago"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(""), "there is no window in it"),
        ("policy object w : Window { config = 5 }", "a dictionary `{…}` is due here"),
        (declare('"a" : { max_ms : 0 }'), "0 is outside 1 to 2592000000"),
        (declare('"a" : { }'), "key `max_ms` is missing"),
        (declare('"a" : { max_ms : 1, during : [{ from_ms : 5, until_ms : 5 }] }'), "the span from 5 to 5 is empty"),
        (declare('"a" : { max_ms : 1, during : [{ from_ms : 5 }] }'), "key `until_ms` is missing"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert mistakes(text)[0].endswith(wrong)
