"""Who may call whom: the edges, and the drawing."""

import json
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.policy.drawing import as_svg
from secureos.policy.graph import Edge, Graph, as_dot, as_json, as_mermaid, graph_of
from secureos.policy.layers import GAP_Y, Box, Link, layout


@pytest.fixture
def edges(load):
    def draw(policy):
        return {(edge.src, edge.dst): (edge.always, edge.sometimes) for edge in graph_of(load(policy)).calls}

    return draw


CLIENT = ("lab.Client", "lab.Driver")


def test_nothing_granted_no_edge(edges):
    assert edges("response { grant () } request { }") == {}


@pytest.mark.parametrize(
    ("body", "drawn"),
    [
        ("grant ()", (("valve.log.Put",), ())),
        ("assert (true) deny (false)", (("valve.log.Put",), ())),
        ("assert (message.level < 5)", ((), ("valve.log.Put",))),
        ("grant () deny (message.level > 5)", ((), ("valve.log.Put",))),
        ("grant () deny ()", None),
        ("deny (true)", None),
        ("assert (false)", None),
    ],
)
def test_an_edge_is_what_is_not_always_denied(edges, body, drawn):
    found = edges(f"request src=lab.Client dst=lab.Driver method=Put {{ {body} }}")
    assert found == ({CLIENT: drawn} if drawn else {})


def test_a_whole_endpoint_is_one_name(edges):
    found = edges(
        "request src=lab.Client endpoint=outputs { grant () } request method=Set { assert (message.rpm < 9) }"
    )
    assert found[CLIENT] == (("outputs.Write", "outputs.Read"), ("outputs.Set",))
    assert edges("request src=lab.Client dst=lab.Driver { grant () }")[CLIENT] == (("outputs.*", "valve.log.Put"), ())


def test_a_wider_denial_takes_the_edge_away(edges):
    assert edges("request src=lab.Client { grant () } request dst=lab.Driver { deny () }") == {}


def test_calls_to_the_kernel_are_apart(load):
    graph = graph_of(load("request { grant () }"))
    assert "kl.core.Core" not in graph.classes
    assert all("kl.core.Core" not in (edge.src, edge.dst) for edge in graph.calls)
    assert {edge.dst for edge in graph.kernel} <= {"kl.core.Core"}


def test_calls_to_oneself_are_listed_but_not_drawn(load):
    graph = graph_of(load("request src=lab.Driver { grant () }"))
    assert [(edge.src, edge.dst) for edge in graph.calls] == [("lab.Driver", "lab.Driver")]
    assert graph.drawn == ()


# ---- as text and as picture ----------------------------------------------------------------------------------------

GRAPH = Graph(
    "demo.psl",
    ("Net", "Logic", "Field", "Alone<&>"),
    (
        Edge("Net", "Logic", ("cmd.Read",), ("cmd.Write",)),
        Edge("Logic", "Field", ("out.*",), ()),
        Edge("Field", "Net", tuple(f"a.m{number}" for number in range(9)), ()),
        Edge("Net", "Net", ("x.y",), ()),
    ),
    (Edge("Net", "kl.core.Core", ("sync.*",), ("io.Map",)),),
)


def test_long_lists_are_cut():
    assert GRAPH.calls[0].lines() == ["cmd.Read", "cmd.Write ?"]
    assert GRAPH.calls[2].lines() == ["a.m0", "a.m1", "a.m2", "a.m3", "… 5 more"]


def test_mermaid():
    assert as_mermaid(GRAPH).splitlines() == [
        "flowchart LR",
        *('    n0["Net"]', '    n1["Logic"]', '    n2["Field"]', '    n3["Alone<&>"]'),
        '    n0 -.->|"cmd.Read<br>cmd.Write ?"| n1',
        '    n1 -->|"out.*"| n2',
        '    n2 -->|"a.m0<br>a.m1<br>a.m2<br>a.m3<br>… 5 more"| n0',
        '    subgraph kernel["calls to the kernel"]',
        "        direction LR",
        '        k0["Net<br>sync.*<br>io.Map ?"]',
        "    end",
    ]
    assert "subgraph" not in as_mermaid(Graph("p", ("A",), (), ()))


def test_dot():
    dot = as_dot(GRAPH)
    assert '"Net" -> "Logic" [style=dashed, label="cmd.Read\\ncmd.Write ?"];' in dot
    assert '"Logic" -> "Field" [style=solid, label="out.*"];' in dot
    assert 'k0 [label="Net\\nsync.*\\nio.Map ?"];' in dot
    assert dot.count("{") == dot.count("}")
    assert "cluster" not in as_dot(Graph("p", ("A",), (), ()))


def test_json():
    shown = json.loads(json.dumps(as_json(GRAPH)))
    assert shown.keys() == {"schema", "policy", "classes", "calls", "kernel"}
    assert shown["calls"][0] == {"src": "Net", "dst": "Logic", "always": ["cmd.Read"], "sometimes": ["cmd.Write"]}
    assert shown["kernel"][0]["dst"] == "kl.core.Core"


def test_svg_is_well_formed_and_shows_everything():
    root = ElementTree.fromstring(as_svg(GRAPH))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    for wanted in ("demo.psl: who may call whom", "Net", "Logic", "Field", "cmd.Write ?", "… 5 more", "io.Map ?"):
        assert wanted in texts
    assert "Alone<&>" in texts
    assert "NEITHER CALL NOR ARE CALLED" in texts
    paths = [path.get("class") for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("class")]
    assert paths == ["edge", "edge if", "edge if", "edge", "edge"]


def test_svg_of_nothing():
    root = ElementTree.fromstring(as_svg(Graph("empty.psl", (), (), ())))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["empty.psl: who may call whom", "always granted", "calls marked ? under a condition"]


def test_the_same_graph_gives_the_same_picture():
    assert as_svg(GRAPH) == as_svg(GRAPH)


# ---- the layout ----------------------------------------------------------------------------------------------------

NAMES = [f"n{number}" for number in range(8)]
LINKS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda p: p[0] != p[1]), max_size=20)


@given(LINKS, st.lists(st.floats(10, 200), min_size=8, max_size=8))
def test_nothing_lies_upon_anything_else(pairs, widths):
    nodes = {name: Box(width, 40) for name, width in zip(NAMES, widths, strict=True)}
    links = [Link(src, dst, Box(30, 20)) for src, dst in pairs]
    drawn = layout(nodes, links)
    places = [*drawn.nodes.values(), *drawn.labels]
    for number, one in enumerate(places):
        assert -1e-6 <= one.x - one.box.width / 2 <= one.x + one.box.width / 2 <= drawn.width + 1e-6
        assert -1e-6 <= one.y - one.box.height / 2 <= one.y + one.box.height / 2 <= drawn.height + 1e-6
        for other in places[:number]:
            apart_x = abs(one.x - other.x) - (one.box.width + other.box.width) / 2
            apart_y = abs(one.y - other.y) - (one.box.height + other.box.height) / 2
            assert apart_x > 0 or apart_y >= GAP_Y - 1e-6


@given(LINKS)
def test_every_link_runs_from_its_source_to_its_destination(pairs):
    drawn = layout({name: Box(50, 40) for name in NAMES}, [Link(src, dst, Box(30, 20)) for src, dst in pairs])
    for (src, dst), route, label in zip(pairs, drawn.routes, drawn.labels, strict=True):
        assert (route[0], route[-1]) == (drawn.nodes[src], drawn.nodes[dst])
        assert label in route[1:-1]
        steps = [after.x - before.x for before, after in pairwise(route)]
        assert all(step > 0 for step in steps) or all(step < 0 for step in steps)


def test_calls_run_from_left_to_right():
    nodes = dict.fromkeys("abc", Box(50, 40))
    drawn = layout(nodes, [Link("c", "a", Box(9, 9)), Link("b", "c", Box(9, 9)), Link("b", "a", Box(9, 9))])
    assert drawn.nodes["b"].x < drawn.nodes["c"].x < drawn.nodes["a"].x


def test_classes_that_are_not_described_show_what_rules_name(load):
    text = """use EDL kl.VfsNet
request src=lab.Client dst=kl.VfsNet endpoint=net method=Send { grant () }
request src=lab.Client dst=kl.VfsNet endpoint=net method=Take { assert (src_sid > 0) }
request src=lab.Client dst=kl.VfsNet interface=kl.Socket { grant () }
request src=Einit dst=kl.VfsNet { grant () }
request src=lab.Client dst=kl.core.Core interface=kl.core.Sync { grant () }
request src=lab.Driver dst=kl.core.Core endpoint=own method=Call { grant () }
request src=lab.Driver interface=kl.Any method=Wait { grant () }
error { grant () }
"""
    graph = graph_of(load(text, missing="opaque"))
    assert {(edge.src, edge.dst): (edge.always, edge.sometimes) for edge in graph.calls} == {
        ("Einit", "kl.VfsNet"): (("*",), ()),
        ("lab.Client", "kl.VfsNet"): (("kl.Socket.*", "net.Send"), ("net.Take",)),
        ("lab.Driver", "kl.VfsNet"): (("kl.Any.Wait",), ()),
    }
    assert [(edge.src, edge.always) for edge in graph.kernel] == [
        ("lab.Client", ("sync.Sync.*",)),
        ("lab.Driver", ("own.Call",)),
    ]
