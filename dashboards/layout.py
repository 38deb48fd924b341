"""The page as Dash draws it once; from then on the feed writes into it by element id (`assets/page.js`)."""

from __future__ import annotations

from typing import Any, Final

import dash_mantine_components as dmc
from dash import Dash, dcc, html
from fastapi import FastAPI

from dashboards.orders import SPEEDS
from dashboards.session import POLICIES
from dashboards.side import SideName
from dashboards.trend import trend_figure

_TITLES: Final[dict[SideName, tuple[str, str]]] = {
    "left": ("Conventional", "every message passes"),
    "right": ("Holdfast", "every message is judged"),
}
_KEYS: Final = (
    ("space", "run or freeze"),
    ("s", "one step: 1 s of simulated time"),
    ("[", "slower"),
    ("]", "faster"),
    ("a", "start the attack"),
    ("r", "restart"),
    ("?", "show or hide these keys"),
)
_INDEX: Final = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}<title>{%title%}</title>
    <link rel="icon" type="image/svg+xml" href="/assets/favicon.svg">{%css%}
  </head>
  <body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""


def mount_page(web: FastAPI) -> None:
    """Put the page on a web application; all its assets are served from here, none from elsewhere."""
    page = Dash(
        __name__,
        server=web,
        assets_folder="assets",
        serve_locally=True,
        title="Holdfast",
        update_title=None,
        index_string=_INDEX,
        add_log_handler=False,
    )
    page.layout = dmc.MantineProvider(
        forceColorScheme="light",
        children=[_run_bar(), html.Main([*(_side(side) for side in POLICIES), _verdicts()]), _keys()],
    )


def _run_bar() -> Any:  # noqa: ANN401 -- Dash components are untyped
    return html.Header(
        role="banner",
        children=[
            html.H1("Holdfast"),
            html.Span("–", id="title", className="scenario"),
            html.Div(
                role="toolbar",
                className="tools",
                **{"aria-label": "Run control"},
                children=[
                    _button("freeze", "Freeze", "Space"),
                    _button("step", "Step", "S"),
                    html.Div(
                        role="group",
                        className="speeds",
                        **{"aria-label": "Speed"},
                        children=[_speed(speed) for speed in SPEEDS],
                    ),
                    _button("restart", "Restart", "R"),
                    _button("attack", "Start attack", "A"),
                ],
            ),
            html.Div(
                className="clock",
                children=[
                    html.Span("--:--:--", id="day-time"),
                    html.Span("t = –", id="run-time", className="secondary"),
                ],
            ),
            html.Span("CONNECTING", id="badge", className="badge stale", role="status"),
            _button("keys", "?", "?", label="Show the keys"),
        ],
    )


def _button(verb: str, words: str, key: str, label: str = "") -> Any:  # noqa: ANN401
    marks = {"data-verb": verb, "aria-keyshortcuts": key}
    return dmc.Button(
        html.Span(words, id=f"{verb}-words"),
        id=verb,
        variant="default",
        size="xs",
        **(marks | ({"aria-label": label} if label else {})),
    )


def _speed(speed: float) -> Any:  # noqa: ANN401
    marks = {"data-verb": "speed", "data-speed": f"{speed:g}", "aria-pressed": "false"}
    return dmc.Button(f"×{speed:g}", variant="default", size="xs", **marks)


def _side(side: SideName) -> Any:  # noqa: ANN401
    name, words = _TITLES[side]
    return html.Section(
        id=side,
        className="side",
        **{"aria-labelledby": f"{side}-name"},
        children=[
            html.H2(
                [
                    html.Span(name, id=f"{side}-name"),
                    html.Span(f": {words}", className="words"),
                    _source("diagram: measured (Modbus)"),
                ]
            ),
            html.Div(className="headline", children=[_load(side), _counts(side), _notes(side)]),
            html.Div(id=f"{side}-diagram", className="diagram"),
            html.Div(className="below", children=[_trend(side), _envelope(side)]),
        ],
    )


def _source(words: str) -> Any:  # noqa: ANN401
    """Where figures come from: what was read over the wire is never mixed up with what really is."""
    return html.Span(words, className="source")


def _load(side: SideName) -> Any:  # noqa: ANN401
    return html.Div(
        className="load",
        children=[
            html.Div(
                [
                    html.Span("–", id=f"{side}-served", className="figure"),
                    html.Span(" MW load served", className="unit"),
                ]
            ),
            html.Div(
                ["rated demand ", html.Span("–", id=f"{side}-demand", className="live"), " MW"],
                className="secondary",
            ),
            _source("truth (simulation)"),
        ],
    )


def _counts(side: SideName) -> Any:  # noqa: ANN401
    head = html.Tr([html.Th("commands", scope="col"), *(html.Th(word, scope="col") for word in ("sent", "granted"))])
    head.children.append(html.Th("refused", scope="col"))
    rows = [
        html.Tr(
            [
                html.Th(words, scope="row"),
                *(html.Td("0", id=f"{side}-{name}-{count}") for count in ("sent", "granted", "denied")),
            ]
        )
        for name, words in (("attacker", "attacker"), ("legitimate", "operator"))
    ]
    return html.Table([html.Thead(head), html.Tbody(rows)], className="counts")


def _notes(side: SideName) -> Any:  # noqa: ANN401
    return html.Div(
        className="notes",
        children=[
            html.Div("Envelope kept", id=f"{side}-alarm", className="alarm quiet", role="status"),
            html.Div("no command yet", id=f"{side}-last", className="secondary"),
            html.Div("–", id=f"{side}-customers", className="secondary"),
            html.Div("–", id=f"{side}-energy", className="secondary"),
        ],
    )


def _trend(side: SideName) -> Any:  # noqa: ANN401
    return html.Figure(
        [
            dcc.Graph(
                id=f"{side}-trend",
                figure=trend_figure(),
                config={"displayModeBar": False, "responsive": True},
                className="trend",
            ),
            html.Figcaption("Load served: truth (simulation). Ticks: attacker granted (upper), refused (lower)"),
        ]
    )


def _envelope(side: SideName) -> Any:  # noqa: ANN401
    head = html.Tr([html.Th(word, scope="col") for word in ("safety envelope (truth)", "worst", "limit", "")])
    return html.Table([html.Thead(head), html.Tbody(id=f"{side}-envelope")], className="envelope")


def _verdicts() -> Any:  # noqa: ANN401
    columns = ("time", "verdict", "subject → operation → object", "reason", "rule", "")
    return html.Section(
        id="verdicts",
        **{"aria-labelledby": "verdicts-name"},
        children=[
            html.H2(
                [
                    html.Span("Verdicts of the security module", id="verdicts-name"),
                    html.Span(" (Holdfast)", className="words"),
                    html.Span("", id="right-denied", className="tally"),
                    html.Span("", id="left-denied", className="tally"),
                    html.Span("", id="mirror", className="tally mirror"),
                ]
            ),
            html.Div(
                className="rows",
                tabIndex="0",
                children=html.Table(
                    [
                        html.Thead(html.Tr([html.Th(word, scope="col") for word in columns])),
                        html.Tbody(id="verdict-rows"),
                    ]
                ),
            ),
            html.Div(id="spoken", className="spoken", **{"aria-live": "polite"}),
        ],
    )


def _keys() -> Any:  # noqa: ANN401
    rows = [html.Div([dmc.Kbd(key), html.Span(words)]) for key, words in _KEYS]
    return html.Dialog(
        id="keys-dialog",
        **{"aria-label": "Keys"},
        children=[html.H2("Keys"), *rows, html.P("Escape closes this.", className="secondary")],
    )
