"""The gateway is in the attacker's hands, and reaches for the actuator."""

from itertools import product

import pytest

from secureos.kernel import HandleError
from tests.gallery.substation import FEEDERS, HOSPITAL

NAMES = ("commands", "outputs", "field_io", "plant", "control_logic", "gateway", "kl.core.Core", "Einit", "")
HANDLES = (*range(-1, 64), 2**31, 2**63)
METHODS = tuple(product(("outputs", "commands", ""), ("Write", "Stop", "Beat", "Read", "Image", "Report")))


class HostileGateway:
    """In place of the gateway: once per scan it tries everything that a task can try."""

    def __init__(self, fields):
        self.fields = fields
        self.reached = set()
        self.scans = 0

    def start(self, system):
        self.system = system

    async def activate(self, phase):
        self.scans += 1
        self.own = self.system.locate("commands")
        for channel, (endpoint, method) in product((*NAMES, *HANDLES), METHODS):
            if self.system.call(channel, endpoint, method, self.fields.get(method, {})).ok:
                self.reached.add((channel, endpoint, method))
        self.system.report("Report", {"tags": ("F1.P",), "values": (0,), "quality": (0,)})
        for deed in (self.system.locate, self.system.rights, self.system.sid, self.system.close, self.system.revoke):
            for target in ("outputs", "field_io", 2**31):
                with pytest.raises(HandleError):
                    deed(target)


FIELDS = {
    "Write": {"tags": (f"{HOSPITAL}.open",), "values": (1,), "session": 1, "address": "127.0.1.10"},
    "Stop": {"tag": f"{HOSPITAL}.open", "session": 1, "address": "127.0.1.10"},
    "Beat": {"tag": "STATION.heartbeat", "count": 7},
}


def test_it_reaches_what_was_declared_and_nothing_else(substation):
    """A hostile program stands in the gateway's place, with the gateway's handles, and knows the whole image.

    It tries every name, every handle, every method, forges the operator's address, calls the hospital's feeder an
    emergency stop, and reports false measurements. All that answers is what was declared: the image of the process,
    over the one channel that the gateway holds. The hospital stays lit, and every attempt has its record.
    """
    station = substation()
    hostile = HostileGateway(FIELDS)
    before = station.twin.controller.kernel.audit.denied
    station.puts_in_place("gateway", hostile)

    station.passes(1)

    assert hostile.reached == {("commands", "commands", "Image"), (hostile.own, "commands", "Image")}
    assert hostile.scans == 10
    assert station.task("gateway").restarts.count == 0
    assert station.twin.controller.kernel.audit.denied - before > hostile.scans * len(HANDLES) * len(METHODS)
    assert station.all_closed()
    assert not station.controller_is_missed


class Switcher(HostileGateway):
    """It asks, scan by scan, for what the gateway may ask for: to open feeders."""

    async def activate(self, phase):
        for feeder in FEEDERS:
            self.system.call("commands", "commands", "Write", {**FIELDS["Write"], "tags": (f"{feeder}.open",)})


def test_what_it_may_ask_for_does_no_more_harm_than_the_policy_allows(substation):
    """It can still ask for what any client may ask for. The policy cannot know that the gateway lies about who asks.

    So it opens feeders: never the hospital's, and of the others no more than 12 MW in a minute. Where nothing is
    checked, the same program darkens the whole town.
    """
    station, unprotected = substation(), substation("permissive.psl")
    for one in (station, unprotected):
        one.puts_in_place("gateway", Switcher(FIELDS))
        one.passes(20)

    assert station.closed(HOSPITAL)
    assert 0 < station.lost_mw <= 12
    assert not any(map(unprotected.closed, FEEDERS))
    assert unprotected.lost_mw > 30
