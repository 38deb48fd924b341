"""Whatever a remote client sends, and whenever, no more than 12 MW are cut off in 60 s and the hospital stays live."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.scada import CommandRefused

FEEDERS = ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "X1", "X2")
# A pause is some scans and a bit: before, at and after the instant at which field I/O writes.
pauses = st.tuples(st.integers(0, 40), st.sampled_from([0.0, 0.001, 0.05, 0.07, 0.099])).map(lambda p: p[0] / 10 + p[1])
commands = st.tuples(st.sampled_from(FEEDERS), st.sampled_from(["open", "close"]), pauses)
trains = st.lists(commands, max_size=40)


async def send(twin, tag):
    try:
        await twin.operator.write(tag, 1)
    except CommandRefused:
        return False
    return True


def envelope(twin):
    return {limit.name: limit for limit in twin.plant.envelope()}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=trains, start=st.sampled_from(["18:00", "12:00", "03:00"]))
def test_no_train_of_openings_and_closings_gets_round_the_budget(twin_session, train, start):
    async def session(twin, advance):
        await advance(2)
        for feeder, act, pause_s in train:
            await send(twin, f"{feeder}.{act}")
            await advance(pause_s)
        await advance(2)
        return envelope(twin)

    limits = twin_session(session, start=start)
    assert limits["remote_disconnection"].worst <= 12
    assert limits["f6_live"].first_violation_s is None


def test_a_feeder_just_closed_is_not_opened_again_as_if_it_carried_nothing(twin_session):
    async def session(twin, advance):
        await advance(5.05)
        answers = [await send(twin, "F1.open")]
        await advance(5)
        answers.append(await send(twin, "F1.close"))
        for _ in range(6):
            await advance(0.1)
            answers.append(await send(twin, "F1.open"))
        await advance(2)
        return answers, envelope(twin)["remote_disconnection"].worst

    answers, worst = twin_session(session)
    assert answers == [True, True] + [False] * 6
    assert worst <= 12


def test_opening_what_is_open_already_costs_nothing(twin_session):
    async def session(twin, advance):
        await advance(2)
        answers = []
        for _ in range(5):
            answers.append(await send(twin, "F7.open"))
            await advance(5)
        answers.append(await send(twin, "F1.open"))
        return answers

    assert twin_session(session) == [True] * 6


def test_a_flood_of_commands_is_taken_within_the_scan(twin_session):
    async def session(twin, advance):
        await advance(2)
        for _ in range(200):
            for feeder in FEEDERS[:5]:
                await send(twin, f"{feeder}.close")
        await send(twin, "CA2.close")
        await advance(0.5)
        return (await twin.operator.poll())["CA2.closed"]

    assert twin_session(session) is True


def test_a_point_that_the_policy_does_not_name_is_refused(twin_session, monkeypatch, tmp_path):
    from twin.core import find_plant

    text = (find_plant("substation").image / "security.psl").read_text()
    policy = tmp_path / "security.psl"
    policy.write_text(text.replace('"CA2.close", ', ""))

    async def session(twin, advance):
        await advance(2)
        return await send(twin, "CA1.close"), await send(twin, "CA2.close")

    assert twin_session(session, policy=policy) == (True, False)
