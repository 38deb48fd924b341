"""The points file against the list of breakers and the address plan."""

import pytest

from twin.core import PointTable
from twin.core.plant import PlantKind
from twin.substation import PLANT
from twin.substation.network import BREAKERS
from twin.substation.transmitters import ANALOG_TAGS

ORDER = "L1 L2 T1H T2H HC T1M T2M BT F1 F2 F3 F4 F5 F6 F7 F8 CA1 CA2 CB1 CB2 G1 X1 X2"
WIDE_BAYS = {"L1", "L2", "T1H", "T2H", "HC", "T1M", "T2M", "BT"}


@pytest.fixture(scope="module")
def points() -> PointTable:
    return PLANT.points()


def place(points: PointTable, tag: str) -> tuple[str, int, str]:
    point = points[tag]
    assert point.modbus_unit == 1
    return point.modbus_table, point.modbus_address, point.datatype


def test_the_plant_is_one_that_the_house_can_find() -> None:
    assert isinstance(PLANT, PlantKind)
    assert PLANT.image.name == "image"


def test_breakers_stand_in_the_order_of_the_plan(points: PointTable) -> None:
    assert " ".join(breaker.name for breaker in BREAKERS) == ORDER


def test_every_breaker_has_its_coils_and_contacts(points: PointTable) -> None:
    for k, breaker in enumerate(BREAKERS):
        assert place(points, f"{breaker.name}.open") == ("coil", 2 * k, "bool")
        assert place(points, f"{breaker.name}.close") == ("coil", 2 * k + 1, "bool")
        assert place(points, f"{breaker.name}.closed") == ("discrete", 2 * k, "bool")
        assert place(points, f"{breaker.name}.opened") == ("discrete", 2 * k + 1, "bool")


def test_every_bay_has_its_four_registers(points: PointTable) -> None:
    for j, breaker in enumerate(BREAKERS):
        step = 2 if breaker.name in WIDE_BAYS else 1
        expected = (("I", "uint16", 1.0), ("P", "int16", step), ("Q", "int16", step), ("PF", "uint16", 0.001))
        for offset, (what, datatype, scale) in enumerate(expected):
            point = points[f"{breaker.name}.{what}"]
            assert place(points, point.tag) == ("input", 10 + 4 * j + offset, datatype)
            assert point.scale == scale


def test_the_rest_of_the_plan(points: PointTable) -> None:
    assert place(points, "G1.estop") == ("coil", 119, "bool")
    assert place(points, "STATION.comm_fail") == ("discrete", 139, "bool")
    buses = [("H1.U", 10.0), ("H2.U", 10.0), ("A.U", 1.0), ("B.U", 1.0)]
    for address, (tag, scale) in enumerate(buses):
        assert place(points, tag) == ("input", address, "uint16")
        assert (points[tag].unit, points[tag].scale) == ("V", scale)
    assert place(points, "STATION.f") == ("input", 4, "uint16")
    assert (points["STATION.f"].unit, points["STATION.f"].scale) == ("Hz", 0.001)
    assert place(points, "PV.P") == ("input", 144, "uint16")
    assert place(points, "STATION.heartbeat") == ("holding", 250, "uint16")


def test_the_file_holds_the_plan_and_nothing_else(points: PointTable) -> None:
    contacts = {f"{b.name}.{act}" for b in BREAKERS for act in ("open", "close", "closed", "opened")}
    single = {"G1.estop", "STATION.comm_fail", "STATION.heartbeat"}
    assert {point.tag for point in points} == contacts | single | set(ANALOG_TAGS)


def test_opcua_paths_are_unique_and_name_the_bay(points: PointTable) -> None:
    paths = [point.opcua_path for point in points]
    assert len(set(paths)) == len(paths)
    assert points["F1.closed"].opcua_path == "AUR/J02/LD0/XCBR1.Pos.stVal"
    for breaker in BREAKERS:
        assert points[f"{breaker.name}.P"].opcua_path.startswith(f"AUR/{breaker.bay}/")
