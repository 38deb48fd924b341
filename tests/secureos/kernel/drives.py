"""A panel that sets drives within a window that the drives' task reports; and what its `safety.toml` may say."""

from secureos.kernel import Kernel, Reply, load_image
from secureos.policy import load_policy
from tests.secureos.kernel.conftest import ManualClock

INIT = """
entities:
  - {name: Panel, task: panel, connections: [{target: drive, id: drive}], quota: {restarts: 1, backoff_ms: 100}}
  - {name: Drive, task: drive, quota: {restarts: 1, backoff_ms: 100}}
  - {name: Logger, task: logger}
"""
FILES = {
    "init.yaml": INIT,
    "Panel.edl": "entity Panel\n",
    "Logger.edl": "entity Logger\n",
    "Drive.edl": "entity Drive\nsecurity Reports\nendpoints { drive : Motion }\n",
    "Motion.idl": """package Motion
struct Pair { UInt8 a; UInt8 b; }
interface {
    Set(in string<8> unit, in SInt32 rpm, out SInt32 was, error UInt16 code);
    Shut(in string<8> unit);
    Stop(in string<8> unit, error UInt16 code);
    Reset(in string<8> unit);
    Read(out SInt32 rpm);
    Many(in sequence<UInt8, 4> steps, in Pair pair);
    Pass(in Handle item);
}
""",
    "Reports.idl": "package Reports\ninterface { Report(in string<8> bound, in SInt32 value); }\n",
}
USES = """execute: kl.core.Execute
use EDL kl.core.Core
use EDL Einit
use EDL Panel
use EDL Drive
use EDL Logger
audit profile all = { 1 : { base : { kss : ["granted", "denied"] } } }
audit default = all 1
policy object window : StaticMap {
    type Value = SInt32
    config = { keys : { "low" : 0, "high" : 100 }, pool_size : 2 }
}
execute { grant () }
execute dst=Drive { window.init { sid : dst_sid } }
response { grant () }
error { grant () }
security {
    window.set { sid : src_sid, key : message.bound, value : message.value }
    window.commit { sid : src_sid }
}
"""
SET = """request method=Set {
    assert (message.rpm >= window.get { sid : dst_sid, key : "low" })
    assert (message.rpm <= window.get { sid : dst_sid, key : "high" })
}
"""
OTHERS = "".join(f"request method={name} {{ grant () }}\n" for name in ("Shut", "Reset", "Read", "Many", "Pass"))
STOP = 'request method=Stop { choice (message.unit) { "M1" : grant () } }\n'
POLICY = USES + SET + OTHERS + STOP

NEVER = """
[classes]
gateways = ["Panel"]

[[never_block]]
purpose = "emergency-stop"
src = "Panel"
dst = "Drive"
endpoint = "drive"
method = "Stop"
where = { unit = "M1" }

[[never_block]]
purpose = "read"
src = "Panel"
dst = "Drive"
endpoint = "drive"
method = "Read"
"""


def denial(act, *lines, method="Set"):
    """One entry of what a denial does."""
    head = f'[[denial]]\ndst = "Drive"\nendpoint = "drive"\nmethod = "{method}"\nact = "{act}"\n'
    return head + "\n".join(lines) + "\n"


class Drive:
    """Turns as it is told, knows what it was told, and crashes when told unit `boom`."""

    def __init__(self):
        self.got = []
        self.rpm = 0

    def start(self, system):
        self.system = system

    def serve(self, request):
        self.got.append((request.method, dict(request.fields)))
        if request.fields.get("unit") == "boom":
            raise RuntimeError("told to crash")
        if request.fields.get("unit") == "error":
            return Reply({"code": 7}, error=True)
        if request.fields.get("unit") == "tell":
            self.told = self.system.report("Report", {"bound": "high", "value": 7})
        was = self.rpm
        if request.method == "Set":
            self.rpm = request.fields["rpm"]
            return Reply({"was": was})
        return Reply({"rpm": self.rpm} if request.method == "Read" else {})

    async def activate(self, phase):
        raise RuntimeError("told to crash")

    def snapshot(self):
        return {}

    def restore(self, state):
        pass


class Plant:
    """A booted kernel; each restart makes a fresh program."""

    def __init__(self, folder, safety="", policy=POLICY, *, today=None):
        for name, text in {**FILES, "safety.toml": safety, "plant.psl": policy}.items():
            (folder / name).write_text(text)
        self.image = load_image(folder)
        if today is not None:
            object.__setattr__(self.image, "safety", self.image.safety.on(today))
        self.policy = load_policy(folder / "plant.psl", self.image.catalogue)
        self.clock = ManualClock()
        self.kernel = Kernel(self.image, self.policy, self.clock)
        self.programs = {}
        self.kernel.boot({name: lambda name=name: self._make(name) for name in ("panel", "drive", "logger")})

    def _make(self, name):
        self.programs[name] = Drive()
        return self.programs[name]

    @property
    def got(self):
        return self.programs["drive"].got

    def call(self, method, **fields):
        return self.programs["panel"].system.call("drive", "drive", method, fields)

    def set(self, rpm, unit="M1"):
        return self.call("Set", unit=unit, rpm=rpm)

    def report(self, **bounds):
        for bound, value in bounds.items():
            assert self.programs["drive"].system.report("Report", {"bound": bound, "value": value}).ok

    def wait(self, milliseconds):
        self.clock.now_ns += milliseconds * 1_000_000
        self.kernel.tick()

    def records(self, event="disposition"):
        return [(r.decision, r.rule, r.reason) for r in self.kernel.audit.records if r.event == event]
