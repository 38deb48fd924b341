"""Programs: what is refused, and that no program leaves its bounds, whatever is asked of it."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

built = pytest.importorskip("secureos.policy.native._decisions", reason="the back end was not built")

LESS, EQUAL, ADD, MULTIPLY, LOAD, AMONG, IN_STATE, WITHIN, TAKE, PUT_NUMBER, PUT_OBJECT = 0, 2, 6, 8, *range(11, 18)
MOST = 2**63 - 1


def program(*steps, arguments=3, temporaries=1, constants=2, objects=2, start=0):
    return built.Program(
        arguments=arguments, temporaries=temporaries, constants=constants, objects=objects, start=start, steps=steps
    )


def asked_of_plain(*arguments, **named):
    return arguments, named


def decision(*steps, constants=(5, 7), objects=(None, None), plain=asked_of_plain, **sizes):
    return built.Decision(
        program(*steps, constants=len(constants), objects=len(objects), **sizes), constants, objects, plain
    )


class TestRefusals:
    @pytest.mark.parametrize(
        "step",
        [
            (18, 0, 0, 0, 0, 0, -1, -2),  # an operation that there is not
            (LESS, 2, 0, 0, 0, 0, -1, -2),  # neither slot nor constant
            (LESS, 0, 4, 0, 0, 0, -1, -2),  # left beyond the slots
            (LESS, 0, 0, 4, 0, 0, -1, -2),  # right beyond the slots
            (LESS, 1, 0, 2, 0, 0, -1, -2),  # right beyond the constants
            (LESS, 0, 0, 0, 0, 0, 0, -2),  # back to itself
            (LESS, 0, 0, 0, 0, 0, -1, 1),  # beyond the last step
            (LESS, 0, 0, 0, 0, 0, -1, -2000),  # a reason that there is not
            (ADD, 0, 0, 0, 2, 0, -1, -1),  # into an argument
            (ADD, 0, 0, 0, 4, 0, -1, -1),  # into no slot
            (LOAD, 0, 0, 0, 3, 0, -1, -1),  # from a slot
            (AMONG, 0, 3, 0, 0, 0, -1, -1),  # a temporary has no object
            (AMONG, 0, 0, 0, 0, 2, -1, -1),  # beyond the objects
            (IN_STATE, 0, 0, 0, 0, 0, -1, -1),  # one object both dictionary and set
            (WITHIN, 1, 0, 0, 0, 1, -1, -1),  # right is no argument
            (WITHIN, 0, 0, 3, 0, 1, -1, -1),
            (TAKE, 1, 0, 1, 3, 0, -1, -1),  # no tolerance behind the cost
            (TAKE, 1, 0, 0, 3, 1, -1, -1),  # no time behind the arrivals
            (TAKE, 0, 0, 0, 3, 0, -1, -1),
            (PUT_NUMBER, 0, 0, 0, 0, 0, -1, -1),  # what is put was not computed
            (PUT_NUMBER, 0, 0, 0, 3, 0, -2, -1),  # denied after a write
            (PUT_OBJECT, 0, 0, 0, 2, 0, -1, -1),
        ],
    )
    def test_a_step_beyond_its_bounds(self, step):
        with pytest.raises(ValueError, match="leaves its bounds"):
            program(step)

    def test_a_test_after_a_write(self):
        with pytest.raises(ValueError, match="leaves its bounds"):
            program((PUT_OBJECT, 0, 0, 0, 1, 0, 1, -1), (LESS, 0, 0, 0, 0, 0, -1, -2))
        assert program((PUT_OBJECT, 0, 0, 0, 1, 0, 1, -1), (PUT_OBJECT, 0, 0, 0, 1, 0, -1, -1))

    @pytest.mark.parametrize("step", [(1, 2), [0] * 8, ("a",) * 8, (0, 0, -1, 0, 0, 0, 0, 0), (2**70, *[0] * 7), None])
    def test_what_is_no_step(self, step):
        with pytest.raises(ValueError, match="a step is a tuple of eight small integers"):
            program(step)

    @pytest.mark.parametrize(
        "sizes",
        [
            {"arguments": 0},
            {"arguments": 33},
            {"temporaries": 33},
            {"constants": 1025},
            {"objects": 65},
            {"start": 2**15},
        ],
    )
    def test_sizes(self, sizes):
        with pytest.raises(ValueError, match="a program of this size"):
            program(**{"start": -1, **sizes})

    def test_a_start_beyond_the_steps(self):
        with pytest.raises(ValueError, match="leaves its bounds"):
            program(start=0)

    def test_too_many_steps(self):
        with pytest.raises(ValueError, match="a program of this size"):
            program(*[(LESS, 0, 0, 0, 0, 0, -1, -1)] * 4097)

    @pytest.mark.parametrize(
        ("constants", "objects"),
        [((1,), (frozenset(), {})), ((1, 2, 3), (frozenset(), {})), ((1, 2), (frozenset(),)), ((1, 2), ({}, {}))],
    )
    def test_a_decision_with_other_constants_or_objects(self, constants, objects):
        code = program((AMONG, 0, 0, 0, 0, 0, -1, -2))
        with pytest.raises(ValueError, match="wants other constants or objects"):
            built.Decision(code, constants, objects, asked_of_plain)

    @pytest.mark.parametrize("constant", [2**63, 1.0, None, "1"])
    def test_a_constant_that_is_no_number_of_64_bits(self, constant):
        with pytest.raises(ValueError, match="a constant is an exact int"):
            decision(start=-1, constants=(constant,))

    def test_a_plain_function_that_cannot_be_called(self):
        with pytest.raises(ValueError, match="cannot be called"):
            decision(start=-1, plain=3)

    def test_nobody_derives_from_them(self):
        with pytest.raises(TypeError):
            type("Mine", (built.Decision,), {})
        with pytest.raises(TypeError):
            built.Program()
        with pytest.raises(TypeError):
            built.Decision()


class Sly(int):
    """An int that lies."""

    def __lt__(self, _other):
        return True


class TestCalls:
    """Only what is plain and small is decided here."""

    @pytest.fixture
    def less(self):
        return decision((LESS, 1, 2, 0, 0, 0, -1, -4))

    @pytest.mark.parametrize(
        ("value", "answer"), [(4, 0), (5, 3), (True, 0), (-MOST - 1, 0), (MOST, 3), (0, 0), (2**30, 3), (-(2**30), 0)]
    )
    def test_whole_numbers(self, less, value, answer):
        assert less(1, 2, value) == answer

    @pytest.mark.parametrize("value", [MOST + 1, -MOST - 2, 4.0, "4", None, Sly(9), [4], object()])
    def test_what_is_out_of_the_ordinary_is_asked_of_the_plain_function(self, less, value):
        assert less(1, 2, value) == ((1, 2, value), {})

    @pytest.mark.parametrize("arguments", [(), (1, 2), (1, 2, 3, 4), tuple(range(50))])
    def test_another_number_of_arguments(self, less, arguments):
        assert less(*arguments) == (arguments, {})

    def test_named_arguments(self, less):
        assert less(1, 2, value=3) == ((1, 2), {"value": 3})

    def test_what_is_not_read_may_be_anything(self, less):
        assert less(None, "x", 4) == 0

    def test_errors_of_the_plain_function_come_through(self):
        def fail(*_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            decision((LESS, 1, 2, 0, 0, 0, -1, -4), plain=fail)(1, 2, None)

    @pytest.mark.parametrize("operation", [6, 7, 8, 9, 10])
    @given(first=st.integers(-MOST - 1, MOST), second=st.integers(-MOST - 1, MOST), small=st.booleans())
    def test_arithmetic_never_wraps(self, operation, first, second, small):
        if small:
            second %= 1000
        compute = {6: int.__add__, 7: int.__sub__, 8: int.__mul__, 9: int.__and__, 10: int.__or__}[operation]
        exact = compute(first, second)
        if not -MOST - 1 <= exact <= MOST:
            expected = ((0, first, second), {})
            exact = 0
        else:
            expected = 0
        steps = (operation, 0, 1, 2, 3, 0, 1, -1), (EQUAL, 1, 3, 0, 0, 0, -1, -2)
        assert decision(*steps, constants=(exact,))(0, first, second) == expected

    @pytest.mark.parametrize(("first", "second"), [(-1, -MOST - 1), (-MOST - 1, -1), (MOST, MOST), (-MOST - 1, 2)])
    def test_products_at_the_edge(self, first, second):
        steps = (MULTIPLY, 0, 1, 2, 3, 0, -1, -1)
        assert decision(steps)(0, first, second) == ((0, first, second), {})


class TestObjects:
    def test_a_state(self):
        states = {1: "on", 2: "off"}
        test = decision((IN_STATE, 0, 0, 0, 1, 0, -1, -2), objects=(states, frozenset({"on"})))
        assert [test(sid, 0, 0) for sid in (1, 2, 3)] == [0, 1, 1]
        states[2] = "on"
        assert test(2, 0, 0) == 0
        states[3] = []  # a state that cannot be looked for is nothing that we know
        assert test(3, 0, 0) == ((3, 0, 0), {})

    def test_levels(self):
        levels = {1: (1, 1), 2: (2, 3), 3: (2, 4), 4: "no level", 5: (2**70, 0), 6: (1,)}
        test = decision((WITHIN, 0, 0, 1, 0, 1, -1, -2), objects=(levels, levels))
        assert test(1, 2, 0) == 0
        assert [test(*pair, 0) for pair in ((2, 1), (1, 3), (7, 1), (1, 7))] == [1, 1, 1, 1]
        assert all(test(one, 1, 0) == ((one, 1, 0), {}) for one in (4, 5, 6))

    def test_arrivals(self):
        arrivals, moment = {1: 10, 2: "soon", 3: MOST}, SimpleNamespace(at_ns=20)
        steps = (TAKE, 1, 0, 0, 3, 0, 1, -2), (PUT_NUMBER, 0, 0, 0, 3, 0, -1, -1)
        test = decision(*steps, objects=(arrivals, moment))  # cost 5, tolerance 7
        assert [test(1, 0, 0) for _ in range(2)] == [0, 1]
        assert arrivals[1] == 25
        assert all(test(sid, 0, 0) == ((sid, 0, 0), {}) for sid in (2, 3, 4))
        for odd in (None, 2**64, MOST, 1.5):
            moment.at_ns = odd
            assert test(1, 0, 0) == ((1, 0, 0), {})
        del moment.at_ns
        assert test(1, 0, 0) == ((1, 0, 0), {})
        assert arrivals[1] == 25

    def test_keys_that_run_code(self):
        class Key:
            def __hash__(self):
                return 1

            def __eq__(self, other):
                states.clear()
                raise ValueError

        states = {Key(): "on"}
        test = decision((IN_STATE, 0, 0, 0, 1, 0, -1, -2), objects=(states, frozenset({"on"})))
        assert test(1, 0, 0) == ((1, 0, 0), {})

    def test_a_write_that_fails_denies(self):
        class Key:
            def __hash__(self):
                return 1

            def __eq__(self, other):
                raise ValueError

        kept = {Key(): 0}
        assert decision((PUT_OBJECT, 0, 0, 0, 1, 0, -1, -1), objects=(kept, "x"))(1, 0, 0) == -2
        steps = (LOAD, 1, 0, 0, 3, 0, 1, -1), (PUT_NUMBER, 0, 0, 0, 3, 0, -1, -1)
        assert decision(*steps, objects=(kept, "x"))(1, 0, 0) == -2


small = st.integers(0, 5)
targets = st.integers(-4, 6)
any_step = st.tuples(st.integers(0, 18), st.integers(0, 1), small, small, small, small, targets, targets)
anything = st.one_of(st.integers(-3, 9), st.sampled_from([None, True, MOST, MOST + 1, 1.5, "x", Sly(3)]))


@given(steps=st.lists(any_step, max_size=6), start=targets, calls=st.lists(st.lists(anything, max_size=4), max_size=6))
def test_any_program_is_refused_or_keeps_its_bounds(steps, start, calls):
    kept, levels = {1: 3, 2: "on"}, {1: (1, 0), 2: (2, 0)}
    objects = (kept, SimpleNamespace(at_ns=4), frozenset({"on", 2}), levels)
    try:
        code = program(*steps, start=start, objects=4)
        quick = built.Decision(code, (3, 4), objects, lambda *_: "plain")
    except ValueError:
        return
    for arguments in calls:
        answer = quick(*arguments)
        assert answer == "plain" or -2 <= answer <= 3


class TestMemory:
    def test_a_ring_is_collected(self):
        class Plain:
            def __call__(self, *_):
                return 0

        plain = Plain()
        plain.decision = decision((LESS, 1, 2, 0, 0, 0, -1, -4), plain=plain)
        gone = weakref.ref(plain)
        del plain
        gc.collect()
        assert gone() is None

    def test_who_loses_its_last_holder_while_it_runs_lives_on(self):
        held = []

        def drop(*_):
            held.clear()
            gc.collect()
            return 7

        held.append(decision((LESS, 1, 2, 0, 0, 0, -1, -4), plain=drop))
        del drop
        assert held[0](1, 2, None) == 7

    def test_nothing_is_left_behind(self):
        states, allowed, moment = {1: "on"}, frozenset({"on"}), SimpleNamespace(at_ns=1)
        objects = (states, allowed, {1: 0}, moment)
        steps = (
            (IN_STATE, 0, 0, 0, 1, 0, 1, -2),
            (TAKE, 1, 0, 0, 3, 2, 2, -3),
            (PUT_NUMBER, 0, 0, 0, 3, 2, -1, -1),
        )

        def work(times):
            for _ in range(times):
                quick = decision(*steps, objects=objects, constants=(0, 1000))
                quick(1, 2, 3), quick(None, 2, 3), quick(9, 2, 3)
                with pytest.raises(ValueError, match="bounds"):
                    program((LESS, 0, 9, 0, 0, 0, -1, -1))
                with pytest.raises(ValueError, match="constant"):
                    decision(start=-1, constants=(2**64,))

        work(50)
        things = [asked_of_plain, states, allowed, moment, objects, "on", built.Program, built.Decision]
        before = [sys.getrefcount(thing) for thing in things]
        gc.collect()
        tracemalloc.start()
        try:
            work(10)
            first = tracemalloc.get_traced_memory()[0]
            work(500)
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - first < 5_000
        finally:
            tracemalloc.stop()
        assert [sys.getrefcount(thing) for thing in things] == before
