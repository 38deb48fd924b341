"""The points table: every mistake is told with its line, all of them at once."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.core import PointsError, PointTable
from twin.core.points import REQUIRED_COLUMNS

HEADER = ",".join(REQUIRED_COLUMNS)
GOOD = "F1.P,feeder 1 power,kW,-32000,32000,measurement,int16,1,1,input,40,AUR/F1,both"


def table(tmp_path, *rows, header=HEADER):
    path = tmp_path / "points.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_good_row_is_read(tmp_path):
    points = PointTable.load(table(tmp_path, GOOD))
    assert len(points) == 1
    point = points["F1.P"]
    assert (point.low, point.high, point.scale, point.modbus_address) == (-32000, 32000, 1, 40)
    assert point.width == 1
    assert not point.writable
    assert "F1.P" in points
    assert "F2.P" not in points


def test_byte_order_mark_and_crlf_are_fine(tmp_path):
    path = tmp_path / "points.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD}\r\n".encode())
    assert len(PointTable.load(path)) == 1


def test_sides(tmp_path):
    rows = [GOOD, GOOD.replace("F1.P", "F2.P").replace(",40,", ",41,").replace("both", "field")]
    points = PointTable.load(table(tmp_path, *rows))
    assert [p.tag for p in points.side("scada")] == ["F1.P"]
    assert [p.tag for p in points.side("field")] == ["F1.P", "F2.P"]


def test_optional_alarm_limits(tmp_path):
    points = PointTable.load(table(tmp_path, f"{GOOD},100,", header=f"{HEADER},alarm_hi,alarm_lo"))
    assert points["F1.P"].alarm_hi == 100
    assert points["F1.P"].alarm_lo is None


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (GOOD.replace("int16", "int17"), "2: datatype `int17` is none of"),
        (GOOD.replace("measurement", "measuremnt"), "2: kind `measuremnt` is none of"),
        (GOOD.replace(",input,", ",inputs,"), "2: modbus_table `inputs` is none of"),
        (GOOD.replace("both", "all"), "2: field `all` is none of"),
        (GOOD.replace("-32000", "low"), "2: low `low` is not a number"),
        (GOOD.replace("-32000", "nan"), "2: low `nan` is not a finite number"),
        (GOOD.replace("-32000", "99999"), "2: `F1.P`: low 99999 is above high 32000"),
        (GOOD.replace("32000", "40000"), "2: `F1.P`: the range does not fit int16"),
        (GOOD.replace(",40,", ",65536,"), "2: modbus_address 65536 is outside 0 to 65535"),
        (GOOD.replace(",40,", ",x,"), "2: modbus_address `x` is not a whole number"),
        (GOOD.replace(",1,1,input", ",0,1,input"), "2: `F1.P`: scale must be positive"),
        (GOOD.replace(",1,1,input", ",1,248,input"), "2: modbus_unit 248 is outside 1 to 247"),
        (GOOD.replace("input", "coil"), "2: `F1.P`: datatype int16 cannot live in table coil"),
        (GOOD.replace("measurement", "setpoint"), "2: `F1.P`: a setpoint cannot live in table input"),
        (GOOD.replace("F1.P", ""), "2: the tag is empty"),
        (GOOD + ",1,2", "2: this row has more cells"),
        ("F1.P,x", "2: this row has fewer cells"),
    ],
)
def test_each_mistake_has_its_line_and_reason(tmp_path, row, says):
    with pytest.raises(PointsError) as caught:
        PointTable.load(table(tmp_path, row))
    assert says in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(PointsError) as caught:
        PointTable.load(table(tmp_path, GOOD, GOOD, GOOD.replace("F1.P", "F2.P").replace("int16", "x")))
    told = str(caught.value)
    assert "points.csv:3: tag `F1.P` is used twice; line 2 has it already" in told
    assert "points.csv:3: `F1.P` overlaps `F1.P` (line 2) at unit 1, input 40" in told
    assert "points.csv:4: datatype `x`" in told


def test_wide_points_overlap_by_their_second_register(tmp_path):
    wide = GOOD.replace("F1.P", "W").replace("int16", "int32").replace(",40,", ",39,")
    with pytest.raises(PointsError, match=r"`F1.P` overlaps `W` \(line 2\) at unit 1, input 40"):
        PointTable.load(table(tmp_path, wide, GOOD))


def test_word_order_is_the_high_word_first_unless_said(tmp_path):
    header = f"{HEADER},word_order"
    wide = GOOD.replace("int16", "int32")
    assert PointTable.load(table(tmp_path, wide))["F1.P"].word_order == "high_first"
    assert PointTable.load(table(tmp_path, f"{wide},", header=header))["F1.P"].word_order == "high_first"
    assert PointTable.load(table(tmp_path, f"{wide},low_first", header=header))["F1.P"].word_order == "low_first"
    with pytest.raises(PointsError, match="2: word_order `little` is none of high_first, low_first"):
        PointTable.load(table(tmp_path, f"{wide},little", header=header))


def test_a_wide_point_must_end_within_the_table(tmp_path):
    wide = GOOD.replace("int16", "float64").replace(",40,", ",65533,")
    with pytest.raises(PointsError, match=r"4 registers from 65533 end beyond 65535"):
        PointTable.load(table(tmp_path, wide))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (HEADER + ",colour", "unknown column `colour`"),
        (HEADER.replace("unit,low", "low"), "column `unit` is missing"),
        (HEADER + ",tag", "column `tag` appears twice"),
        ("", "column `tag` is missing"),
    ],
)
def test_columns(tmp_path, header, says):
    with pytest.raises(PointsError, match=says):
        PointTable.load(table(tmp_path, GOOD, header=header))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(PointsError, match="cannot be read"):
        PointTable.load(tmp_path / "none.csv")
    path = tmp_path / "points.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PointsError, match="cannot be read"):
        PointTable.load(path)


@settings(max_examples=200)
@given(st.text(max_size=400))
def test_no_text_crashes_the_reader(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("points") / "points.csv"
    path.write_text(f"{HEADER}\n{text}", encoding="utf-8")
    with contextlib.suppress(PointsError):
        PointTable.load(path)


ALARM = f"{HEADER},alarm_hi,alarm_hihi,alarm_when,alarm_priority,alarm_deadband,alarm_latched,alarm_suppressed_by"
CONTACT = "F1.open,feeder 1 open,,0,1,status,bool,1,1,discrete,0,AUR/F1O,both"


def test_alarm_columns_are_read_and_have_defaults(tmp_path):
    points = PointTable.load(table(tmp_path, f"{GOOD},100,200,,high,5,1,F1.open", f"{CONTACT},,,1,,,,", header=ALARM))
    power, contact = points["F1.P"], points["F1.open"]
    assert (power.alarm_priority, power.alarm_outer_priority) == ("high", "medium")
    assert (power.alarm_deadband, power.alarm_latched, power.alarm_suppressed_by) == (5, True, "F1.open")
    assert (contact.alarm_when, contact.alarm_priority) == (True, "low")
    assert power.alarm_limits == [("hi", 100), ("hihi", 200)]
    assert power.alarm_when is None


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f"{GOOD},200,100,,,,,", "2: `F1.P`: its alarm limits do not rise: 200, 100"),
        (f"{GOOD},100,200,1,,,,", "2: `F1.P`: alarm_when is for bool points"),
        (f"{GOOD},100,200,,severe,,,", "2: `F1.P`: alarm_priority `severe` is none of low, medium, high, urgent"),
        (f"{GOOD},100,200,,,-1,,", "2: `F1.P`: alarm_deadband `-1` is not a number of 0 or more"),
        (f"{GOOD},100,200,,,nan,,", "2: `F1.P`: alarm_deadband `nan` is not a number of 0 or more"),
        (f"{GOOD},100,200,,,x,,", "2: `F1.P`: alarm_deadband `x` is not a number of 0 or more"),
        (f"{GOOD},100,200,,,,yes,", "2: `F1.P`: alarm_latched `yes` is neither 0 nor 1"),
        (f"{GOOD},100,200,,,,,F9.open", "2: `F1.P`: alarm_suppressed_by `F9.open` is no bool point of this table"),
        (f"{CONTACT},1,,,,,,", "2: `F1.open`: a bool point has no alarm limits"),
    ],
)
def test_each_mistake_in_an_alarm_column_has_its_line_and_reason(tmp_path, row, says):
    with pytest.raises(PointsError) as caught:
        PointTable.load(table(tmp_path, row, header=ALARM))
    assert says in str(caught.value)


def test_a_command_names_what_selects_it_and_what_tells_of_it(tmp_path):
    header = f"{HEADER},selected_by,feedback"
    command = "F1.trip,open it,,0,1,command,bool,1,1,coil,0,AUR/F1T,both"
    points = PointTable.load(table(tmp_path, f"{command},,F1.open", f"{CONTACT},,", header=header))
    assert (points["F1.trip"].selected_by, points["F1.trip"].feedback) == ("", "F1.open")
    with pytest.raises(PointsError, match=r"selected_by `F1.P` is no bool point"):
        PointTable.load(table(tmp_path, f"{command},F1.P,", f"{GOOD},,", header=header))
