"""A tiny image: a client that holds a channel to a server, and a bystander that holds none."""

import pytest

from secureos.kernel import Kernel, Reply, load_image
from secureos.policy import load_policy

INIT = """
entities:
  - name: Server
  - name: Client
    connections: [{target: Server, id: server}]
  - name: Bystander
"""

FILES = {
    "Server.edl": "entity Server\nendpoints { door : Door }\n",
    "Client.edl": "entity Client\nsecurity Reports\n",
    "Bystander.edl": "entity Bystander\n",
    "Door.idl": """package Door
interface {
    Open(in UInt8 number, in string<8> who, out UInt32 count, error UInt16 code);
    Count(out UInt32 count);
    Crash();
    Lie(out UInt8 small);
}
""",
    "Reports.idl": "package Reports\ninterface { Report(in sequence<SInt32, 4> values); }\n",
}

USES = """execute: kl.core.Execute
use EDL kl.core.Core
use EDL Einit
use EDL Server
use EDL Client
use EDL Bystander
audit profile all = { 1 : { base : { kss : ["granted", "denied"] } } }
audit default = all 1
execute { grant () }
"""

ALL = USES + "request { grant () }\nresponse { grant () }\nerror { grant () }\nsecurity { grant () }\n"


class ManualClock:
    """The host's time, moved by hand."""

    def __init__(self):
        self.now_ns = 0


class Server:
    """Counts how often its door was opened; refuses number 13; can crash, lie and call back."""

    def __init__(self):
        self.count = 0
        self.seen = []

    def start(self, system):
        self.system = system

    def serve(self, request):
        self.seen.append(request)
        if request.method == "Open" and request.fields["number"] == 13:
            return Reply({"code": 7}, error=True)
        if request.method == "Open":
            self.count += 1
        if request.method == "Crash":
            raise RuntimeError("a random software error")
        if request.method == "Lie":
            return Reply({"small": 4711})
        return Reply({"count": self.count})

    def snapshot(self):
        return {"count": self.count}

    def restore(self, state):
        self.count = state["count"]


class Caller:
    """Does nothing by itself; tests call through its `system`."""

    def start(self, system):
        self.system = system

    def serve(self, request):
        raise AssertionError("nobody can reach it")

    def snapshot(self):
        return {}

    def restore(self, state):
        assert state == {}


class House:
    """A booted kernel with handles on its programs."""

    def __init__(self, folder, policy_text):
        path = folder / "house.psl"
        path.write_text(policy_text)
        self.clock = ManualClock()
        self.image = load_image(folder)
        self.kernel = Kernel(self.image, load_policy(path, self.image.catalogue), self.clock)
        self.server, self.client, self.bystander = Server(), Caller(), Caller()
        self.programs = {
            "Server": lambda: self.server,
            "Client": lambda: self.client,
            "Bystander": lambda: self.bystander,
        }

    def boot(self):
        self.kernel.boot(self.programs)
        return self

    @property
    def last(self):
        return self.kernel.audit.records[-1]


@pytest.fixture
def folder(tmp_path):
    for name, text in {**FILES, "init.yaml": INIT}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def house(folder):
    return lambda policy=ALL: House(folder, policy).boot()


@pytest.fixture
def unbooted(folder):
    return lambda policy=ALL: House(folder, policy)
