"""What an image rests on, counted a second way; what each task could do, held against the policy's own verdicts."""

import re

import pytest

from secureos.kernel import Kernel, load_image
from secureos.kernel.boot_checks import Checked
from secureos.kernel.inspection import Device, Hosted, as_json, inspect_image
from secureos.kernel.sources import source_of
from secureos.policy import load_policy
from tests.secureos.kernel.images import POLICY, Other, Program, write_image

HOSTED = {
    "Server": Hosted(Program, (Device("wire", acts=True),)),
    "Client": Hosted(Other, (Device("port", acts=False),)),
}

SPOKEN = {
    "Server.edl": "entity Server\nendpoints { door : parts.Door }\n",
    "Client.edl": "entity Client\nsecurity parts.Report\n",
    "parts/Door.idl": "package parts.Door\ninterface { Open(in UInt8 number); Shut(); Break(); Look(); }\n",
    "parts/Report.idl": "package parts.Report\ninterface { Tell(in UInt8 number); }\n",
}

WEIGHED = """execute: kl.core.Execute
use nk.flow._
use EDL kl.core.Core
use EDL Einit
use EDL Server
use EDL Client
policy object door : Flow { type State = "a" | "b" config = { states : ["a", "b"], initial : "a", transitions : {} } }
execute { grant () }
request dst=Server method=Open { assert (message.number == 3) }
request dst=Server method=Shut { grant () }
request dst=Server method=Break { grant () deny () }
security src=Client { choice (door.query { sid : src_sid }) { "a" : grant () _ : deny () } }
"""


@pytest.fixture
def look(tmp_path):
    def made(policies, files=SPOKEN):
        folder = write_image(tmp_path, {**files, **policies})
        image = load_image(folder)
        read = [load_policy(folder / name, image.catalogue, include=(folder,)) for name in policies]
        return inspect_image(image, read, HOSTED)

    return made


def count(text):
    """Lines that hold code, counted line by line: no tokens, no trees."""
    lines, inside = 0, None
    for line in text.splitlines():
        stripped = line.strip()
        if inside is None and re.match(r'r?"""', stripped):
            inside = None if stripped.count('"""') == 2 else '"""'
        elif inside is not None:
            inside = None if inside in stripped else inside
        elif stripped and not stripped.startswith("#"):
            lines += 1
    return lines


@pytest.mark.parametrize("program", [Kernel, Checked])
def test_lines_are_those_that_another_count_finds(program):
    for module in source_of(program).modules:
        assert module.lines == count(module.content.decode()), module.name


def test_the_total_counts_what_is_shared_once(look):
    seen = look({"house.psl": POLICY})
    names = {module.name: module for program in (Kernel, Checked, Program) for module in source_of(program).modules}
    assert seen.total.modules == len(names)
    assert seen.total.lines == sum(module.lines for module in names.values())
    assert seen.total.bytes == sum(len(module.content) for module in names.values())
    assert set(seen.base) == {"audit", "kernel", "policy", "xdl"}


def test_who_is_trusted_and_why(look):
    server, client = look({"house.psl": POLICY}).tasks
    assert (server.trusted, client.trusted) == (True, True)
    assert server.because == ("holds `wire`, by which it acts with no verdict",)
    assert client.because == ("reports what the policy takes for true",)
    assert client.channels == {"door": "Server"}
    assert client.devices == ("port",)


def test_who_is_not_trusted(look):
    client = look({"house.psl": POLICY}, {}).tasks[1]
    assert not client.trusted
    assert client.because == ()


def test_what_each_could_do_under_each_policy(look):
    seen = look({"weighed.psl": WEIGHED, "house.psl": POLICY})
    weighed = {one.called: one for one in seen.powers["weighed.psl"]}
    assert {name: one.condition for name, one in weighed.items()} == {
        "door.Open": "under rules",
        "door.Shut": "anything",
        "door.Break": "never",
        "door.Look": "never",
        "Tell": "under rules",
    }
    assert weighed["door.Open"].rules == ("assert (weighed.psl:9)",)
    assert weighed["Tell"].rules == ("choice (weighed.psl:12)",)
    assert (weighed["Tell"].task, weighed["Tell"].to) == ("Client", "")
    assert {one.task for one in weighed.values()} == {"Client"}
    house = {one.called: one.condition for one in seen.powers["house.psl"]}
    assert house == dict.fromkeys(["door.Open", "door.Shut", "door.Break", "door.Look"], "anything") | {"Tell": "never"}


def test_a_class_that_a_policy_does_not_know_may_send_nothing(look):
    text = POLICY.replace("use EDL Client\n", "")
    assert look({"house.psl": text}, {}).powers["house.psl"] == ()


def test_as_plain_values(look):
    tree = as_json(look({"house.psl": POLICY}, {}))
    assert tree["schema"] == 1
    assert tree["trusted_computing_base"]["total"]["lines"] > 0
    assert [task["task"] for task in tree["tasks"]] == ["Server", "Client"]
    assert tree["if_hostile"]["house.psl"][0] == {
        "task": "Client",
        "to": "Server",
        "called": "door.Open",
        "condition": "anything",
        "rules": (),
    }


def test_the_hash_is_that_of_the_image(look, tmp_path):
    image = load_image(write_image(tmp_path))
    assert look({"house.psl": POLICY}, {}).image_sha256 == image.sha256
