"""The operator is no attacker, and makes mistakes."""


def test_a_slip_is_refused_and_the_right_action_goes_through_at_once(substation):
    """The operator means to open feeder F5 for maintenance, and hits F6: the hospital.

    The answer comes at once, as the protocol's own error, and the record says in a sentence what was wrong with it.
    Nobody is locked out: the right command, sent next, is carried out within half a second.
    """
    station = substation()

    assert station.operator_writes("F6.open") == "exception 01"
    assert "The hospital feeder F6 is never opened by remote command" in station.last_denial.reason
    assert station.closed("F6")

    assert station.operator_writes("F5.open") == "done"
    station.passes(0.5)
    assert not station.closed("F5")
    assert station.operator_sees("F5.closed") is False
    assert station.closed("F6")


def test_too_much_at_once_is_refused_and_putting_it_back_never_is(substation):
    """Told to shed load, the operator opens one feeder after another, and does not stop in time.

    What goes beyond 12 MW in a minute is refused. Closing what was opened takes from nobody, and is never refused.
    """
    station = substation()
    answers = {}
    for feeder in ("F5", "F4", "F1", "F8", "F7"):
        answers[feeder] = station.operator_writes(f"{feeder}.open")
        station.passes(0.5)

    assert answers["F5"] == answers["F4"] == "done"
    assert "exception 01" in answers.values()
    assert station.lost_mw <= 12
    assert "At most 12 MW remotely disconnected in any 60 seconds" in station.last_denial.reason

    for feeder, answer in answers.items():
        if answer == "done":
            assert station.operator_writes(f"{feeder}.close") == "done"
    station.passes(1)
    assert station.all_closed()


def test_an_emergency_stop_is_no_mistake_to_be_refused(substation):
    """Whatever was refused before, and while not even the record can be written: the generator's stop is served."""
    station = substation()
    audit = station.twin.controller.kernel.audit
    audit.fail("the disk is full")

    assert station.operator_writes("F5.open") == "exception 01"  # no command without a record
    assert "nothing can be recorded: the disk is full" in station.last_denial.reason
    assert station.operator_writes("G1.estop") == "done"

    station.passes(0.5)
    assert not station.closed("G1")
    assert station.closed("F5")
