"""Errors happen. They stay where they are."""

from secureos.kernel import TaskState


class Broken:
    """In place of the control logic: it does one thing wrong whenever it is asked to do its work."""

    def __init__(self, deed):
        self.deed = deed

    def start(self, system):
        self.system = system

    async def activate(self, phase):
        self.deed(self.system)


def crash(system):
    raise ZeroDivisionError("an error that nobody expected")


def hang(system):
    while True:
        system.spend(1)


def plays(station, deed, says):
    """One error of the control logic in the midst of operation, and what follows."""
    station.puts_in_place("control_logic", Broken(deed))
    station.passes(0.1)

    fault = station.records("fault")[-1]
    assert fault.src == "control_logic"
    assert says in fault.reason
    assert station.task("control_logic").state is TaskState.STOPPED
    assert station.operator_writes("F1.open") == "exception 04"  # not carried out, and not pretended
    assert station.all_closed()  # the outputs hold

    station.passes(1)
    assert station.task("control_logic").state is TaskState.RUNNING
    assert not station.controller_is_missed
    assert station.operator_sees("F1.P") > 0
    assert station.operator_writes("F1.open") == "done"  # half a second later, nothing is left of it
    station.passes(0.5)
    assert not station.closed("F1")


def test_a_crash_is_over_before_anybody_misses_anything(substation):
    """A division by zero in the control logic. It is stopped, outputs hold, it starts again, the plant goes on."""
    plays(substation(), crash, "ZeroDivisionError: an error that nobody expected; it is started again")


def test_a_hang_is_ended(substation):
    """A loop without an end. A task has a budget for each piece of its work; beyond that it is a fault like any other.

    (Within one process a loop that never speaks to the kernel cannot be seen. Isolated tasks are ended by the clock.)
    """
    plays(substation(), hang, "used more than its")


def test_a_crash_loop_ends_in_the_declared_safe_state(substation):
    """The control logic crashes each time that it is started. After five restarts it is left stopped.

    The image's `safety.toml` declares what is safe then: breakers hold. The plant's own devices notice within seconds
    that nobody is there, and the operator is told so instead of being shown stale figures as commands that worked.
    """
    station = substation()
    station.puts_in_place("control_logic", Broken(crash), for_good=True)

    station.passes(30)

    assert station.task("control_logic").state is TaskState.FAILED
    assert station.task("control_logic").restarts.count == station.task("control_logic").quota.restarts
    assert "it is not started again" in station.records("fault")[-1].reason
    assert station.controller_is_missed
    assert station.operator_writes("F1.open") == "exception 04"
    assert station.all_closed()
    assert station.lost_mw == 0
