# ruff: noqa: PTH102, PTH108, PTH111, PTH116, PTH208
"""Programs that the tests run in processes of their own: an honest one, and one for each thing that may not be done."""

import asyncio
import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path

from secureos.kernel import HandleError, Reply
from secureos.kernel.isolation import Built


class Honest:
    def __init__(self, place):
        self.place = place
        self.state = {"beats": 0}

    def start(self, system):
        self.system = system
        if "fail" in system.args:
            raise ValueError("shall fail")

    def serve(self, request):
        return getattr(self, request.method)(request.fields)

    async def activate(self, phase):
        if phase == "ask":
            self.answer = self.system.call("next", "end", "Do", {"values": array("H", [1, 2, 3])})
        elif phase == "report":
            self.system.report("Report", {"tags": ("a", "b")})
        else:
            raise LookupError(phase)
        self.state["beats"] += 1

    def snapshot(self):
        return self.state

    def restore(self, state):
        self.state = state

    def Echo(self, fields):
        return Reply(fields)

    def Refuse(self, fields):
        return Reply({"code": 3}, error=True)

    def Ask(self, fields):
        answer = self.system.call("next", "end", "Do", fields)
        return Reply({"code": answer.code.value, "fields": dict(answer.fields), "reason": answer.reason})

    def About(self, fields):
        return Reply(
            {
                "task": self.system.task,
                "args": self.system.args,
                "now": self.system.now_ns,
                "settings": dict(self.place.settings),
            }
        )


def honest(place):
    return Built(Honest(place))


class Chatty(Honest):
    """Begins things by itself when its device is told to."""

    def hear(self, word, descriptor):
        getattr(self, f"on_{word}", lambda: None)()

    def on_call(self):
        self.place.tell("port", self.system.call("next", "end", "Do", {}).code.value)

    def on_now(self):
        self.place.tell("port", self.system.now_ns)

    def on_exit(self):
        os._exit(3)

    def on_nonsense(self):
        self.place.tell("port", "nonsense")

    def on_flood(self):
        for _ in range(1000):
            self.place.tell("port", "more")

    def on_steal(self):
        self.place.tell.__self__.ask("steal")

    def on_burn(self):
        began = time.process_time()
        while time.process_time() - began < 1.5:
            pass

    def on_sleep(self):
        time.sleep(3600)


def chatty(place):
    program = Chatty(place)
    place.heard["port"] = program.hear
    return Built(program)


class Waiting(Honest):
    """Waits within an activation for a word of its device."""

    async def activate(self, phase):
        if phase != "wait":
            raise LookupError(phase)
        self.system.report("Report", {})
        self.word = asyncio.get_running_loop().create_future()
        await self.word

    def hear(self, word, descriptor):
        if descriptor is not None:
            with socket.socket(fileno=descriptor) as passed:
                passed.send(b"x")
        self.word.set_result(word)


def waiting(place):
    program = Waiting(place)
    place.heard["port"] = program.hear
    return Built(program, waits=True)


def waiting_unannounced(place):
    return Built(Waiting(place))


def _library():
    return ctypes.CDLL(None, use_errno=True)


def _outcome(attempt):
    """What became of an attempt: the name of its error, or `done`, which no test wants to see."""
    try:
        result = attempt()
    except BaseException as failure:
        return type(failure).__name__
    return "done" if result is None or result is True else f"done: {str(result)[:80]}"


def _checked(name, *arguments):
    result = getattr(_library(), name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def _connect(family, kind, address):
    with socket.socket(family, kind) as one:
        one.connect(address)


def _make_executable():
    import mmap

    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def _thread():
    one = threading.Thread(target=time.sleep, args=(0,))
    one.start()
    one.join()


def _duplicate_forever():
    held = []
    while len(held) < 100_000:
        held.append(os.dup(0))


def _read_memory(pid):
    local = ctypes.create_string_buffer(64)
    vector = struct.pack("PN", ctypes.addressof(local), 64)
    return _checked("process_vm_readv", pid, vector, 1, vector, 1, 0)


# What a hostile program tries; each says what it was and what became of it. `{pid}` is the host's process.
ATTEMPTS = {
    "read /etc/passwd": lambda host: Path("/etc/passwd").read_text(),
    "list the root": lambda host: os.listdir("/"),
    "list home": lambda host: os.listdir(os.path.expanduser("~")),
    "stat a file": lambda host: os.stat("/etc/passwd"),
    "write a file": lambda host: Path("/tmp/leak").write_text("x"),
    "write into the package": lambda host: Path(__file__).write_text("x"),
    "read the package": lambda host: Path(__file__).read_text(),
    "import a module": lambda host: __import__("wave"),
    "make a folder": lambda host: os.mkdir("/tmp/leak"),
    "unlink": lambda host: os.unlink(__file__),
    "change folder": lambda host: os.chdir("/"),
    "change root": lambda host: os.chroot("/"),
    "mount": lambda host: _checked("mount", b"none", b"/", b"tmpfs", 0, None),
    "tcp": lambda host: _connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 22)),
    "udp": lambda host: _connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 53)),
    "unix socket": lambda host: _connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0somewhere"),
    "raw socket": lambda host: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "netlink": lambda host: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "socket pair": lambda host: socket.socketpair(),
    "open host memory": lambda host: os.open(f"/proc/{host}/mem", os.O_RDWR),
    "open own memory": lambda host: os.open("/proc/self/mem", os.O_RDWR),
    "trace the host": lambda host: _checked("ptrace", 16, host, 0, 0),
    "read host memory": _read_memory,
    "descriptor of the host": os.pidfd_open,
    "kill the host": lambda host: os.kill(host, signal.SIGKILL),
    "kill all": lambda host: os.kill(-1, signal.SIGKILL),
    "catch a signal": lambda host: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "set a timer": lambda host: signal.setitimer(signal.ITIMER_REAL, 10),
    "fork": lambda host: os.fork(),
    "spawn": lambda host: subprocess.run(["/bin/true"], check=True),
    "execute": lambda host: os.execv(sys.executable, [sys.executable]),
    "thread": lambda host: _thread(),
    "name spaces": lambda host: _checked("unshare", 0x10000000),
    "become root": lambda host: os.setuid(0),
    "raise a limit": lambda host: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)),
    "lower its priority": lambda host: os.nice(5),
    "choose a processor": lambda host: os.sched_setaffinity(0, {0}),
    "executable memory": lambda host: _make_executable(),
    "duplicate descriptors": lambda host: _duplicate_forever(),
    "pipe": lambda host: os.pipe(),
    "event descriptor": lambda host: os.eventfd(0),
    "memory file": lambda host: os.memfd_create("x"),
    "kernel log": lambda host: _checked("klogctl", 3, ctypes.create_string_buffer(64), 64),
    "host name": lambda host: socket.sethostname("x"),
    "load code": lambda host: ctypes.CDLL("libBrokenLocale.so.1"),
}


class Hostile(Honest):
    """Does as it is told by the test: tries one forbidden thing, or misbehaves towards the kernel."""

    def __init__(self, place, side):
        super().__init__(place)
        self.side = side

    def Try(self, fields):
        return Reply({"outcome": _outcome(lambda: ATTEMPTS[fields["what"]](fields["host"]))})

    def Attempts(self, fields):
        return Reply({"names": list(ATTEMPTS)})

    def Descriptors(self, fields):
        return Reply(
            {
                "open": [
                    number
                    for number in range(256)
                    if _outcome(lambda n=number: fcntl.fcntl(n, fcntl.F_GETFD) and None) != "OSError"
                ]
            }
        )

    def Environment(self, fields):
        return Reply({"names": list(os.environ), "loaded": sorted(sys.modules)})

    def Speak(self, fields):
        print("leaked", flush=True)
        for number in (1, 2):
            os.write(number, b"leaked")
        return Reply()

    def Memory(self, fields):
        held = []
        while True:
            held.append(bytearray(16 * 2**20))

    def Burn(self, fields):
        while True:
            pass

    def Sleep(self, fields):
        time.sleep(3600)

    def Exit(self, fields):
        os._exit(3)

    def Leave(self, fields):
        raise SystemExit

    def Crash(self, fields):
        ctypes.string_at(0)

    def Raw(self, fields):
        os.write(self.side, fields["bytes"])
        time.sleep(3600)

    def Flood(self, fields):
        while True:
            os.write(self.side, fields["bytes"] * 100)

    def NoReply(self, fields):
        return Reply({"value": object()})

    def Calls(self, fields):
        for _ in range(fields["count"]):
            self.system.call("next", "end", "Do", {})
        return Reply()

    def Handles(self, fields):
        tried = {}
        for number in (0, 1, 7, 2**31, 2**63 - 1, -1):
            tried[str(number)] = _outcome(lambda handle=number: self.system.revoke(handle))
            tried[f"call {number}"] = self.system.call(number, "end", "Do", {}).code.value
        return Reply(tried)

    async def activate(self, phase):
        getattr(self, self.place.settings["deed"])({"bytes": b"\xff" * 64})


def hostile(place):
    place.heard["modbus"] = lambda *_: None  # whatever the host tells it
    link = place.tell.__self__._kernel.fileno()  # nothing is hidden from a program within its own process
    return Built(Hostile(place, link))


class Asking(Honest):
    """Uses every operation of its system."""

    def serve(self, request):
        return Reply({"result": getattr(self, request.method)()})

    def call(self):
        return self.system.call("next", "end", "Do", {}).code.value

    def report(self):
        return self.system.report("Report", {}).code.value

    def locate(self):
        return self.system.locate("next")

    def create(self):
        return self.system.create(1, "mine")

    def dereference(self):
        return self.system.dereference(1)

    def rights(self):
        return self.system.rights(1)

    def sid(self):
        return self.system.sid(1)

    def close(self):
        return self.system.close(1)

    def revoke(self):
        return self.system.revoke(1)

    def notices(self):
        return [[notice.kind, notice.handle] for notice in self.system.notices()]

    def spend(self):
        return self.system.spend(5)

    def device(self):
        return self.system.device("paper")

    def caught(self):
        try:
            self.system.revoke(1)
        except Exception as failure:
            return [type(failure).__name__, failure.code.value if isinstance(failure, HandleError) else ""]


def asking(place):
    return Built(Asking(place), {"paper": "blank"})
