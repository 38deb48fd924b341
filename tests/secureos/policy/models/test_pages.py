from __future__ import annotations

import re
import runpy

import pytest

from secureos.policy import compile_policy, models
from secureos.policy.models import MODELS, Model
from secureos.policy.models.__main__ import main
from secureos.policy.models.documentation import SECTIONS, example, index, page
from secureos.policy.pal import run_tests
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text

# What all examples speak of.
FILES = {
    "PumpWork.idl": """package PumpWork interface { Set(in SInt32 rpm); Fire(); Arm(); Stop();
        Limit(in string<8> bound, in SInt32 value);
        Write(in sequence<string<32>,8> tags, in sequence<SInt32,8> values); }""",
    "NetWork.idl": """package NetWork interface { Dial(in string<80> host, in UInt16 port); Say(in string<99> line);
        Open(in UInt16 port); }""",
    "DeskWork.idl": """package DeskWork interface { Login(in UInt32 session, in string<9> user, in string<9> role);
        Act(in UInt32 session); Reset(in string<9> role); Open(in UInt32 duration); Close();
        Propose(in string<9> operation, in string<9> user); Approve(in string<9> operation, in string<9> user);
        Carry(in string<9> operation); Load(in string<9> program, in string<64> image, in string<9> signer,
        in UInt32 version, in UInt8 verified); }""",
    "SensorWork.idl": """package SensorWork interface { Burner(in UInt8 fan, in UInt8 flame);
        Report(in sequence<string<32>,8> tags, in sequence<SInt32,8> values, in sequence<UInt8,8> quality); }""",
    "Pump.edl": "task class Pump endpoints { work : PumpWork }",
    "Net.edl": "task class Net endpoints { work : NetWork }",
    "Desk.edl": "task class Desk endpoints { work : DeskWork }",
    "Sensor.edl": "task class Sensor security SensorWork",
    "Panel.edl": "task class Panel",
    "Office.edl": "task class Office",
}
HEAD = "execute: kl.core.Execute\n" + "".join(
    f"use EDL {name}\n" for name in ("kl.core.Core", "Einit", "Pump", "Net", "Desk", "Sensor", "Panel", "Office")
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("descriptions")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return lambda model: compile_policy(
        source_from_text(HEAD + example(model), name=f"{model.kind}.psl"), Catalogue([folder])
    )


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_example_does_what_its_tests_say(policy, model):
    loaded = policy(model)
    result = run_tests(loaded, loaded.tests)
    assert result.passed, [failure for one in result.sequences for failure in one.failures]
    cases = [case.expected for one in result.sequences for case in one.sequence.cases]
    assert {"grant", "deny"} <= set(cases)


def named(text, title):
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    return {found[1]: found[2] for found in re.finditer(r"^- `(\w+) ?([({].*?[)}])`: ", section, re.MULTILINE)}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_page_has_all_sections_and_names_every_operation(policy, model):
    text = page(model)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(SECTIONS)
    assert all(len(part.strip()) > 3 for part in text.split("\n## ")[1:])
    instances = [each() for each in policy(model).objects.values()]
    instance = next(each for each in reversed(instances) if type(each) is model)
    for title, operations in (("Rules", instance.rules), ("Expressions", instance.expressions)):
        told = named(text, title)
        assert told.keys() == operations.keys()
        for name, operation in operations.items():
            if operation.parameters and told[name] != "{…}":
                assert set(told[name].strip("{}").split(", ")) == operation.parameters.keys()
            assert operation.parameters or told[name].startswith(("(", "{…"))


def test_the_pages_are_written(tmp_path, capsys):
    assert main([str(tmp_path / "pages")]) == 0
    assert {path.stem for path in (tmp_path / "pages").iterdir()} == {"README", *MODELS}
    assert index(MODELS.values()).count("\n| [") == len(MODELS)
    assert main([]) == 2
    assert "usage: python -m secureos.policy.models FOLDER" in capsys.readouterr().err


def test_it_runs_as_a_command(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["models", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(models.__main__.__file__, run_name="__main__")
    assert ended.value.code == 0
    assert (tmp_path / "Flow.md").read_text().startswith("# Flow\n")


def test_a_docstring_without_its_sections_is_refused():
    class Bare(Model):
        """Bare.

        Rules:
            None.
        """

        kind = "Bare"

    with pytest.raises(ValueError, match="model `Bare` is documented under Rules; Parameters, Rules"):
        page(Bare)
