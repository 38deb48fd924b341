"""Zones and conduits: what a network file may say, and how it is told."""

import json
import xml.etree.ElementTree as ET

import pytest
import typer
from typer.testing import CliRunner

from twin.core import find_plant, plant_names
from twin.core.zones import NetworkError, TaskChannel, Wiring, load_network, network_file
from twin.core.zones_svg import as_svg
from twin.core.zones_text import as_mermaid, as_text
from twin.network_commands import add_commands

WIRING = Wiring(("io", "logic", "gateway"), (TaskChannel("gateway", "logic", "ask"), TaskChannel("logic", "io", "do")))

GOOD = """\
title = "A <small> plant"
[[zone]]
name = "process"
title = "Process"
level = 0
[[zone]]
name = "office"
title = "Office & more"
level = 3
addresses = "10.1.0.0/16"
[[zone]]
name = "control"
title = "Control"
level = 1
[[host]]
name = "pc"
title = "PC"
zone = "office"
address = "10.1.2.3"
[[host]]
name = "plc"
title = "PLC"
zone = "control"
runs_image = true
[[host]]
name = "valves"
title = "Valves"
zone = "process"
[[conduit]]
name = "up"
title = "Up"
wire = "scada"
channels = [{source = "pc", target = "plc/gateway", protocols = ["modbus", "opcua"]}]
[[conduit]]
name = "down"
title = "Down"
wire = "field"
channels = [{source = "plc/io", target = "valves", protocols = ["modbus"]}]
[[attacker]]
name = "spy"
title = "A spy"
at = "office"
reaches = ["plc/gateway"]
meets = "the policy"
[[attacker]]
name = "mole"
title = "A mole"
at = "plc/gateway"
meets = "the security module"
"""


@pytest.fixture
def load(tmp_path):
    def loaded(text):
        path = tmp_path / "network.toml"
        path.write_text(text)
        return load_network(path, WIRING)

    return loaded


def test_zones_come_from_the_highest_level_down(load):
    network = load(GOOD)
    assert [zone.name for zone in network.zones] == ["office", "control", "process"]
    assert [network.joined(conduit) for conduit in network.conduits] == [("office", "control"), ("control", "process")]
    assert network.zone_of("plc/gateway") == "control"
    assert [one.name for one in network.attackers_in("office")] == ["spy"]
    assert [one.name for one in network.guests()] == ["mole"]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('zone = "process"', 'zone = "proces"', 25, "in zone `proces`, which is not there"),
        ('"10.1.2.3"', '"10.2.2.3"', 15, "10.2.2.3, which is not within 10.1.0.0/16"),
        ('"10.1.2.3"', '"10.1.2"', 15, "host.0.address"),
        ("runs_image = true", "", 15, "exactly one host runs the image, not 0"),
        ('"plc/io"', '"plc/oi"', 34, "the image has no task `oi`; it has: io, logic, gateway"),
        ('"plc/io"', '"plc"', 34, "say which task of `plc`"),
        ('target = "valves"', 'target = "pump"', 34, "there is no host `pump`"),
        ('source = "pc"', 'source = "pc/x"', 29, "`pc` does not run the image"),
        ('wire = "field"', 'wire = "scada"', 34, "wire `scada` is another conduit's already"),
        ('wire = "field"', 'wire = "radio"', 34, "conduit.1.wire"),
        ('["modbus", "opcua"]', "[]", 29, "conduit.0.channels.0.protocols"),
        ('at = "office"', 'at = "attic"', 39, "`spy`: there is no host `attic`"),
        ('name = "mole"', 'name = "spy"', 45, "the attacker `spy` is there twice"),
        ('name = "valves"', 'name = "office"', 25, "is the name of a zone already"),
        ('target = "valves"', 'target = "plc/logic"', 34, "begins and ends in one zone"),
        ("level = 3", "level = 9", 6, "zone.1.level"),
        ('meets = "the policy"', 'meats = "the policy"', 39, "this key is not known here"),
        (
            '{source = "pc", target',
            '{source = "valves", target = "pc", protocols = ["modbus"]}, {source = "pc", target',
            29,
            "do not join the same two zones",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(load, old, new, line, says):
    assert GOOD.count(old) == 1
    with pytest.raises(NetworkError) as told:
        load(GOOD.replace(old, new))
    assert any(f"network.toml:{line}: " in one and says in one for one in str(told.value).splitlines())


@pytest.mark.parametrize("raw", [b"\xff", b"title = ", b"[" * 100_000, b"", b"x" * 300_000])
def test_what_is_no_network_is_refused(tmp_path, raw):
    path = tmp_path / "network.toml"
    path.write_bytes(raw)
    with pytest.raises(NetworkError, match=r"network\.toml"):
        load_network(path, WIRING)
    with pytest.raises(NetworkError, match="cannot be read"):
        load_network(tmp_path / "none.toml", WIRING)


def rectangles(svg):
    return {
        css: [
            tuple(float(rect.get(side)) for side in ("x", "y", "width", "height"))
            for rect in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")
            if rect.get("class") == css
        ]
        for css in ("band", "host", "task", "pipe", "seat")
    }


def inside(inner, outer):
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and inner[0] + inner[2] <= outer[0] + outer[2]
        and inner[1] + inner[3] <= outer[1] + outer[3]
    )


def apart(one, other):
    return (
        one[0] + one[2] <= other[0]
        or other[0] + other[2] <= one[0]
        or one[1] + one[3] <= other[1]
        or other[1] + other[3] <= one[1]
    )


def test_the_drawing_shows_everything_and_nothing_overlaps(load):
    svg = as_svg(load(GOOD))
    root = ET.fromstring(svg)
    told = " ".join("".join(element.itertext()) for element in root)
    for word in (
        "A <small> plant",
        "Office & more",
        "10.1.0.0/16",
        "PLC",
        "logic",
        "ask",
        "Down",
        "A mole",
        "10.1.2.3",
    ):
        assert word in told
    found = rectangles(svg)
    assert [len(found[css]) for css in ("band", "host", "task", "pipe", "seat")] == [3, 3, 3, 2, 1]
    for box in (*found["host"], *found["seat"]):
        assert any(inside(box, band) for band in found["band"])
    for task in found["task"]:
        assert any(inside(task, host) for host in found["host"])
    standing = [*found["host"], *found["seat"], *found["pipe"]]
    assert all(apart(one, other) for at, one in enumerate(standing) for other in standing[:at])
    width, height = (float(root.get(side)) for side in ("width", "height"))
    assert all(inside(box, (0, 0, width, height)) for boxes in found.values() for box in boxes)


def test_the_same_network_is_told_as_text_and_as_mermaid(load):
    network = load(GOOD)
    text, mermaid = as_text(network), as_mermaid(network)
    for line in ("zone office: Office & more, level 3, 10.1.0.0/16", "    gateway -> logic (ask)",
                 "  pc -> plc/gateway (modbus, opcua)", "conduit down: Down, control to process, wire field",
                 "  meets the security module"):  # fmt: skip
        assert line in text.splitlines()
    assert mermaid.startswith("flowchart TB\n")
    assert mermaid.count("subgraph") == 4 == mermaid.count("\n  end") + mermaid.count("\n    end")
    assert 'host_pc ==>|"Up: modbus, opcua"| host_plc__gateway' in mermaid
    assert "attacker_spy -.-> host_plc__gateway" in mermaid


runner = CliRunner()
app = typer.Typer()
add_commands(app)
app.command("other")(lambda: None)  # an application of one command has no name for it


@pytest.mark.parametrize("plant", [name for name in plant_names() if network_file(find_plant(name).image).exists()])
def test_every_plants_network_fits_its_image(plant, tmp_path):
    done = runner.invoke(app, ["network", plant, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert (told["schema"], told["plant"]) == (1, plant)
    assert {conduit["wire"] for conduit in told["conduits"]} >= {"field", "scada"}
    assert told["task_channels"]
    path = tmp_path / "network.svg"
    assert runner.invoke(app, ["network", plant, "--out", str(path)]).exit_code == 0
    assert path.read_text().startswith("<svg")
    assert runner.invoke(app, ["network", plant, "--format", "mermaid"]).output.startswith("flowchart")
    assert runner.invoke(app, ["network", plant, "--out", str(tmp_path / "no" / "n.svg")]).exit_code == 6


def test_the_substation_has_a_network():
    assert network_file(find_plant("substation").image).exists()
