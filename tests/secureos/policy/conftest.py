from __future__ import annotations

from pathlib import Path

import pytest

from secureos.policy import Engine, Event, compile_policy
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text

FILES = {
    "lab/Outputs.idl": """package lab.Outputs
struct Head { UInt8 kind; SInt32 code; }
union Either { UInt8 a; }
interface {
    Write(in sequence<string<32>,64> tags, in sequence<SInt32,64> values, in UInt32 session, error UInt16 code);
    Set(in SInt32 rpm, in UInt64 big, in Head head, in array<UInt8,3> bits, in sequence<Head,2> heads,
        in bytes<8> raw, in string<16> text, in Either either, in Handle handle);
    Read(out sequence<UInt16,2048> words, out UInt64 atNs);
}""",
    "lab/Reports.idl": """package lab.Reports
interface { Report(in sequence<string<32>,64> tags, in sequence<SInt32,64> values, in sequence<UInt8,64> quality); }""",
    "lab/Log.idl": "package lab.Log interface { Put(in UInt32 session, in UInt8 level); }",
    "lab/Valve.cdl": "component lab.Valve endpoints { log : lab.Log }",
    "lab/Client.edl": "task class lab.Client",
    "lab/Driver.edl": """task class lab.Driver security lab.Reports
endpoints { outputs : lab.Outputs }
components { valve : lab.Valve }""",
    "lab/Other.edl": "task class lab.Other endpoints { log : lab.Log }",
}

HEAD = """execute: kl.core.Execute
use EDL kl.core.Core
use EDL Einit
use EDL lab.Client
use EDL lab.Driver
"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("descriptions")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return Catalogue([folder])


@pytest.fixture(scope="session")
def load(lab):
    def compile_text(text, **more):
        return compile_policy(source_from_text(HEAD + text, name="security.psl"), lab, **more)

    return compile_text


@pytest.fixture(scope="session")
def engine(load):
    return lambda text, **more: Engine(load(text, **more))


@pytest.fixture(scope="session")
def write():
    def make(tags=(), values=None, at_ns=0, **more):
        message = {"tags": list(tags), "values": [1] * len(tags) if values is None else values, "session": 7}
        return Event("request", at_ns, 5, 6, "lab.Client", "lab.Driver", "outputs", "Write", message | more)

    return make


@pytest.fixture(scope="session")
def put():
    def make(level=0, at_ns=0, src_sid=5):
        message = {"session": 7, "level": level}
        return Event("request", at_ns, src_sid, 6, "lab.Client", "lab.Driver", "valve.log", "Put", message)

    return make


@pytest.fixture(scope="session")
def set_event():
    def make(**fields):
        return Event("request", 0, 5, 6, "lab.Client", "lab.Driver", "outputs", "Set", fields)

    return make


@pytest.fixture(scope="session")
def report():
    def make(rows, at_ns=0):
        tags, values, quality = ([row[i] for row in rows] for i in range(3))
        message = {"tags": tags, "values": values, "quality": quality}
        return Event("security", at_ns, 6, None, "lab.Driver", None, "", "Report", message)

    return make


@pytest.fixture(scope="session")
def head():
    return HEAD
