"""What nobody declared does not happen."""

from secureos.kernel import ReturnCode
from secureos.kernel.rights import CALL
from secureos.kernel.system import TaskSystem


def test_an_undeclared_call_never_arrives(substation):
    """The gateway passes writes on to the control logic, and the control logic alone speaks to field I/O.

    Nobody declared that the gateway may speak to field I/O. So there is no channel by that name, and where somebody
    had laid one by mistake, the policy would still say no. Both refusals are on record, with a reason.
    """
    station = substation()
    gateway = TaskSystem(station.twin.controller.kernel, station.task("gateway"))
    hospital_off = {"tags": ("F6.open",), "values": (1,), "session": 1}

    answer = gateway.call("outputs", "outputs", "Write", hospital_off)

    assert answer.code is ReturnCode.NOT_CONNECTED
    assert station.last_denial.reason == "task `gateway` holds no channel `outputs`"

    # An integrator's mistake: a channel that leads past the control logic.
    kernel, field_io = station.twin.controller.kernel, station.task("field_io")
    kernel._handles.connect(station.task("gateway").table, "outputs", field_io.name, rights=CALL)
    answer = gateway.call("outputs", "outputs", "Write", hospital_off)

    assert answer.code is ReturnCode.SECURITY_DISALLOW
    assert "no rule speaks of request `outputs.Write` from `holdfast.Gateway`" in station.last_denial.reason

    station.passes(1)
    assert station.all_closed()
