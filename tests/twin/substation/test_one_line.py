"""The one-line diagram: well-formed, complete, readable, usable twice on a page."""

import re
from xml.etree import ElementTree

import pytest

from twin.substation import PLANT
from twin.substation.network import BREAKERS, FEEDERS

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def root() -> ElementTree.Element:
    return ElementTree.fromstring(PLANT.diagram())


def ids(root: ElementTree.Element) -> list[str]:
    return [element.attrib["id"] for element in root.iter() if "id" in element.attrib]


def test_it_says_what_it_is(root: ElementTree.Element) -> None:
    assert root.tag == f"{SVG}svg"
    assert root.attrib["role"] == "img"
    assert root.find(f"{SVG}title").text
    assert root.find(f"{SVG}desc").text
    assert root.attrib["aria-labelledby"].split() == ["title", "desc"]


def test_every_breaker_is_drawn_as_it_stands_at_the_start(root: ElementTree.Element) -> None:
    drawn = {g.attrib["data-tag"]: g for g in root.iter(f"{SVG}g") if "breaker" in g.attrib.get("class", "")}
    assert set(drawn) == {breaker.name for breaker in BREAKERS}
    for breaker in BREAKERS:
        group = drawn[breaker.name]
        assert group.attrib["id"] == breaker.name
        assert group.attrib["class"] == f"breaker {'closed' if breaker.closed else 'open'}"
        assert group.find(f"{SVG}rect") is not None


def test_lines_busbars_and_figures_have_their_ids(root: ElementTree.Element) -> None:
    wanted = {f"{feeder}.line" for feeder in FEEDERS} | {f"{feeder}.P" for feeder in FEEDERS}
    wanted |= {f"{bus}.{what}" for bus in ("H1", "H2", "A", "B") for what in ("U", "bar")}
    assert wanted <= set(ids(root))


def test_every_live_figure_is_a_point(root: ElementTree.Element) -> None:
    figures = [e for e in root.iter() if e.attrib.get("class") == "value"]
    assert len(figures) >= 12
    assert all(figure.attrib["data-tag"] in PLANT.points() for figure in figures)


def test_no_id_appears_twice_and_two_drawings_share_none() -> None:
    left, right = (ids(ElementTree.fromstring(PLANT.diagram(prefix))) for prefix in ("left-", "right-"))
    assert len(set(left)) == len(left)
    assert not set(left) & set(right)
    assert "left-F1" in left
    assert "left-title" in left


def test_a_strange_prefix_stays_inside_its_attribute() -> None:
    assert ElementTree.fromstring(PLANT.diagram('"><script>')).find(f".//{SVG}script") is None


def test_text_is_large_enough_at_640_pixels(root: ElementTree.Element) -> None:
    width = float(root.attrib["viewBox"].split()[2])
    sizes = [float(size) for size in re.findall(r"font-size:\s*(\d+)", PLANT.diagram())]
    assert sizes
    assert min(sizes) * 640 / width >= 12


def test_everything_lies_within_the_field(root: ElementTree.Element) -> None:
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.attrib.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.attrib.get(name, 0)) <= height


def test_bays_do_not_stand_on_one_another(root: ElementTree.Element) -> None:
    squares = [
        (float(rect.attrib["x"]), float(rect.attrib["y"]), float(rect.attrib["width"]))
        for rect in root.iter(f"{SVG}rect")
    ]
    for number, (x, y, side) in enumerate(squares):
        for other_x, other_y, _ in squares[number + 1 :]:
            assert abs(x - other_x) > side + 4 or abs(y - other_y) > side + 4
