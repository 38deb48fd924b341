"""Three tasks of one class that hand each other handles: b calls a, and c calls b and a."""

from secureos.kernel import Kernel, Reply, load_image
from secureos.policy import load_policy
from tests.secureos.kernel.conftest import ManualClock

QUOTA = "quota: {calls: 100000, restarts: 3, backoff_ms: 100}"
INIT = f"""
entities:
  - {{name: Peer, task: a, {QUOTA}}}
  - {{name: Peer, task: b, {QUOTA}, connections: [{{target: a, id: to_a, transfer: true}}]}}
  - {{name: Peer, task: c, {QUOTA}, connections: [{{target: b, id: to_b}}, {{target: a, id: to_a}}]}}
"""
FILES = {
    "Peer.edl": "entity Peer\nendpoints { post : Post }\n",
    "Post.idl": """package Post
struct Pair { Handle one; UInt8 number; }
union Either { Handle item; UInt8 number; }
interface {
    Poke();
    Crash();
    Give(in Handle item, out UInt32 number);
    Take(out Handle item);
    Fail(error Handle item);
    Many(in sequence<Handle, 4> items, in Pair pair, in Either either, in UInt8 last);
    Keep(in sequence<UInt16, 8> values, in bytes<8> raw, out sequence<UInt16, 8> values);
}
""",
}
USES = """execute: kl.core.Execute
use EDL kl.core.Core
use EDL Einit
use EDL Peer
audit profile all = { 1 : { base : { kss : ["granted", "denied"] } } }
audit default = all 1
execute { grant () }
response { grant () }
error { grant () }
"""
ALL = USES + "request { grant () }\n"
NO_POKE = ALL + "request method=Poke { deny () }\n"


class Peer:
    """Keeps what it is handed, answers what `reply` says, and crashes when it is told to."""

    def __init__(self):
        self.got = []
        self.reply = {}

    def start(self, system):
        self.system = system

    def serve(self, request):
        self.got.append((request.method, request.fields))
        if request.method == "Crash":
            raise RuntimeError("told to crash")
        if request.method == "Give":
            return Reply({"number": request.fields["item"]["handle"]})
        if request.method in ("Poke", "Many"):
            return Reply({})
        return Reply(self.reply, error=request.method == "Fail")

    async def activate(self, phase):
        if phase == "crash":
            raise RuntimeError("told to crash")

    def snapshot(self):
        return {}

    def restore(self, state):
        assert state == {}


class Peers:
    """A booted kernel; `programs` are those that run now, `made` counts how many there were."""

    def __init__(self, image, policy, clock=None, names="abc"):
        self.clock = clock or ManualClock()
        self.kernel = Kernel(image, policy, self.clock)
        self.programs, self.failed = {}, []
        self.kernel.on_failed = self.failed.append
        self.kernel.boot({name: lambda name=name: self._make(name) for name in names})

    def _make(self, name):
        self.programs[name] = Peer()
        return self.programs[name]

    def system(self, name):
        return self.programs[name].system


def write(folder, init=INIT):
    """The image and two policies for it: one grants all, the other all but `Poke`."""
    for name, text in {**FILES, "init.yaml": init}.items():
        (folder / name).write_text(text)
    image = load_image(folder)
    policies = []
    for name, text in (("all", ALL), ("no_poke", NO_POKE)):
        path = folder / f"{name}.psl"
        path.write_text(text)
        policies.append(load_policy(path, image.catalogue))
    return image, policies
