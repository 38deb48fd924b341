"""What a result says of commands that a denial altered or deferred."""

import asyncio
from dataclasses import replace

import pytest

from scenarios import player
from scenarios.catalogue import find_scenario
from scenarios.judge import result_of
from scenarios.player import RunSettings, play
from secureos.kernel.safety_file import read_safety
from secureos.xdl.source import source_from_text

ENTRY = '[[denial]]\ndst = "holdfast.FieldIo"\nendpoint = "outputs"\nmethod = "Write"\n'
DEFER = ENTRY + 'act = "defer"\nbound_ms = 1000\nqueue = 2\n'
SUBSTITUTE = ENTRY + 'act = "substitute"\nfallback = { tags = ["CA1.open"], values = [1] }\n'


@pytest.fixture
def result(monkeypatch):
    checked_start = player.checked_start

    def run(text):
        def changed(*args, **more):
            checked = checked_start(*args, **more)
            safety = read_safety(source_from_text(text, name="safety.toml"), checked.image.tasks)
            return replace(checked, image=replace(checked.image, safety=safety))

        monkeypatch.setattr(player, "checked_start", changed)
        played = asyncio.run(play(find_scenario("substation/mass-open").scenario, RunSettings(wire="memory")))
        return result_of(played)

    return run


@pytest.mark.parametrize(
    ("text", "count", "answer"), [(DEFER, "deferred", "exception 05"), (SUBSTITUTE, "altered", "exception 01")]
)
def test_commands_are_counted_by_what_became_of_them(result, text, count, answer):
    told = result(text)
    attacker = told["commands"]["attacker"]
    assert attacker["sent"] == sum(attacker[name] for name in ("granted", "denied", "altered", "deferred"))
    assert attacker[count] > 0
    rows = [row for row in told["timeline"] if row["disposition"] == count]
    assert len(rows) == attacker[count]
    assert {row["answer"] for row in rows} == {answer}
    assert all(not row["granted"] and row["rule"] == "safety.toml:1" for row in rows)
    assert told["outcome"] == "safe"
