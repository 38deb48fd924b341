"""The report of a comparison: one HTML file that opens offline and prints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from scenarios.compare import Comparison, identity_sentence, is_fair
from scenarios.player import Answered, Run
from scenarios.schema import Scenario

# Two lines told apart by dash as well as by colour; marks by shape. The palette is that of the screens.
_COLOUR = {"permissive": "#B3001B", "enforcing": "#1B3A63"}
_DASH = {"permissive": "dash", "enforcing": "solid"}
_LINE, _GRID, _PAPER = "#4A4A4A", "#C4C4C4", "#FFFFFF"


@dataclass(frozen=True)
class Told:
    """One command as both runs answered it."""

    at_s: float
    by: str
    tag: str
    label: str
    permissive: Answered
    enforcing: Answered


def write_report(path: Path, scenario: Scenario, comparison: Comparison) -> Path:
    """Write the report to `path` and give it back.

    Raises:
        OSError: The file cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("scenarios", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["code"] = _with_code
    environment.filters["number"] = lambda value: f"{value:g}" if isinstance(value, int | float) else value
    page = environment.get_template("report.html.j2").render(
        scenario=scenario,
        result=comparison.result,
        runs=comparison.result["runs"],
        told=_told(comparison),
        summary=_summary(comparison),
        residual=_residual(comparison),
        chart=_chart(comparison).to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False}),
        plotly=get_plotlyjs(),
        version=version("holdfast"),
        command=_command(comparison),
        identity=identity_sentence(comparison.result),
        fair=is_fair(comparison.result),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _with_code(text: str) -> Markup:
    """A text in which what stands between backticks is shown as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _told(comparison: Comparison) -> list[Told]:
    """Each command with both answers; both runs send the same ones at the same instants."""
    pairs = zip(comparison.runs["permissive"].answered, comparison.runs["enforcing"].answered, strict=True)
    return [Told(mine.at_s, mine.by, mine.tag, mine.label, mine, theirs) for mine, theirs in pairs]


_EFFECT_S = 1.0  # a command shows within a scan and a breaker's travel

_OUTCOME = {
    "safe": "the safety envelope was kept",
    "violated": "the safety envelope was violated",
    "damaged": "equipment was damaged",
}


def _summary(comparison: Comparison) -> list[str]:
    """What happened, in three sentences for somebody who reads nothing else."""
    without, with_ = (comparison.result["runs"][policy] for policy in ("permissive", "enforcing"))
    attacks, operator = with_["commands"]["attacker"], with_["commands"]["legitimate"]
    refused = {0: "none of them was", 1: "1 of them was"}.get(operator["denied"], f"{operator['denied']} of them were")
    return [
        f"Where every message passes, the attacker cut off {_attackers_mw(comparison.runs['permissive']):.1f} MW; "
        f"{_OUTCOME[without['outcome']]}.",
        f"Where every message is judged, {attacks['denied']} of the attacker's {attacks['sent']} commands were "
        f"refused and the rest cut off {_attackers_mw(comparison.runs['enforcing']):.1f} MW; "
        f"{_OUTCOME[with_['outcome']]}.",
        f"The operator sent {operator['sent']} commands in the same run; {refused} refused.",
    ]


def _attackers_mw(run: Run) -> float:
    """What the attacker's commands cut off in all (MW)."""
    return sum(_lost_mw(run, one) or 0.0 for one in run.answered if one.by == "attacker" and one.granted)


def _residual(comparison: Comparison) -> dict[str, Any]:
    """What the attacker still got under the enforcing policy, and which rules stopped the rest."""
    run = comparison.runs["enforcing"]
    answers = [one for one in run.answered if one.by == "attacker"]
    stops: dict[str, list[Answered]] = {}
    for one in answers:
        if not one.granted:
            stops.setdefault(one.rule or one.answer, []).append(one)
    return {"granted": [(one, _lost_mw(run, one)) for one in answers if one.granted], "stops": stops}


def _lost_mw(run: Run, one: Answered) -> float | None:
    """What the breaker that a command moved cut off (MW), as the plant's own event says; None if nothing moved."""
    breaker = one.tag.partition(".")[0]
    for row in run.twin.recorder.of("event"):
        moved = row.values.get("breaker") == breaker and row.values.get("position") == "open"
        if moved and one.at_s <= row.at_s <= one.at_s + _EFFECT_S:
            return float(row.values["lost_mw"])
    return None


def _command(comparison: Comparison) -> str:
    result = comparison.result
    parameters = next(iter(result["runs"].values()))["parameters"]
    changed = [f" --set {name}={value:g}" for name, value in parameters.items()]
    return f"holdfast compare {result['scenario']} --seed {result['seed']}{''.join(changed)}"


# ---- the chart -------------------------------------------------------------------------------------------------


def _chart(comparison: Comparison) -> go.Figure:
    figure = make_subplots(
        rows=4,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.055,
        row_heights=[0.34, 0.24, 0.24, 0.18],
        subplot_titles=(
            "load served, MW (truth)",
            "remotely disconnected within 60 s, MW (truth)",
            "voltage of the 20 kV buses A and B, pu (truth)",
            "commands",
        ),
    )
    for policy, run in comparison.runs.items():
        _draw_truth(figure, policy, run)
        _draw_commands(figure, policy, run)
    _draw_limits(figure, comparison)
    attack_s = comparison.result["first_attack_s"]
    if attack_s is not None:
        figure.add_vline(x=attack_s, line={"color": _LINE, "dash": "dot", "width": 1})
        figure.add_annotation(
            x=attack_s,
            y=0.04,
            yref="y domain",
            text="attack begins",
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            xshift=-4,
        )
    figure.update_layout(
        height=1000,
        margin={"l": 60, "r": 20, "t": 60, "b": 50},
        paper_bgcolor=_PAPER,
        plot_bgcolor="#F4F4F4",
        font={"family": "system-ui, sans-serif", "size": 14, "color": "#2B2B2B"},
        legend={"orientation": "h", "y": 1.07, "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False)
    figure.update_xaxes(title_text="simulated seconds from the start", row=4, col=1)
    figure.update_yaxes(rangemode="tozero", row=1, col=1)
    return figure


def _draw_truth(figure: go.Figure, policy: str, run: Run) -> None:
    rows = run.twin.recorder.of("truth")
    x = [row.at_s for row in rows]
    line = {"color": _COLOUR[policy], "dash": _DASH[policy], "width": 2}
    served = [row.values.get("load_served_mw") for row in rows]
    figure.add_scatter(x=x, y=served, name=policy, line=line, legendgroup=policy, row=1, col=1)
    cut = [row.values.get("remote_disconnected_60s_mw") for row in rows]
    figure.add_scatter(x=x, y=cut, name=policy, line=line, legendgroup=policy, showlegend=False, row=2, col=1)
    for name, width in (("u_a_pu", 2), ("u_b_pu", 1)):
        voltage = [row.values.get(name) for row in rows]
        bus = name[2].upper()
        figure.add_scatter(
            x=x,
            y=voltage,
            name=f"bus {bus}, {policy}",
            line={**line, "width": width},
            legendgroup=policy,
            showlegend=False,
            row=3,
            col=1,
        )


def _draw_commands(figure: go.Figure, policy: str, run: Run) -> None:
    for by in ("operator", "attacker"):
        for granted, symbol in ((True, "circle-open"), (False, "x")):
            chosen = [one for one in run.answered if one.by == by and one.granted is granted]
            if not chosen:
                continue
            figure.add_scatter(
                x=[one.at_s for one in chosen],
                y=[f"{by}, {policy}"] * len(chosen),
                mode="markers",
                marker={"symbol": symbol, "size": 11, "color": _COLOUR[policy], "line": {"width": 2}},
                name="granted" if granted else "denied",
                legendgroup="granted" if granted else "denied",
                showlegend=policy == "enforcing" and by == "attacker",
                text=[f"{one.tag}: {one.answer}<br>{one.reason}" for one in chosen],
                hovertemplate="%{x:.1f} s  %{text}<extra></extra>",
                row=4,
                col=1,
            )


def _draw_limits(figure: go.Figure, comparison: Comparison) -> None:
    """The envelope's bounds, each in the chart of its unit."""
    rows = {"MW": 2, "pu": 3}
    for limit in comparison.result["runs"]["enforcing"]["envelope"]:
        if limit["unit"] in rows:
            line = {"color": _LINE, "width": 1, "dash": "dashdot"}
            figure.add_hline(y=limit["limit"], line=line, row=rows[limit["unit"]], col=1)
