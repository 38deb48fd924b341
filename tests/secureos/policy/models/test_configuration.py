from __future__ import annotations

import pytest

BUDGET = "limit : 1, window_ms : 1, max_age_ms : 1"
WRONG = '{ by : "", at_least : true }'


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("policy object p : PointSet { }", "15: `p` has no `config`"),
        (
            "policy object p : PointSet { confg = [1] config = [1] }",
            "30: unknown setting `confg`; did you mean `config`?",
        ),
        ("policy object p : PointSet { config = [1] config = [1] }", "43: `config` is given twice"),
        ('policy object f : Flow { type State = "a" type State = "a" }', "48: type `State` is given twice"),
        ("policy object b : Budget { config = { 5 : 1 } }", "39: unknown key `5`"),
        (
            f"policy object b : Budget {{ config = {{ {BUDGET}, weighs : {{ 5 : 1 }} }} }}",
            "92: key `5` must be a name or a text",
        ),
        (
            f"policy object b : Budget {{ config = {{ {BUDGET}, limit : 1, weighs : {{ }} }} }}",
            "81: key `limit` is given twice",
        ),
        ("policy object b : Budget { config = [] }", "37: a dictionary `{…}` is due here"),
        (f"policy object b : Budget {{ config = {{ {BUDGET} }} }}", "37: key `weighs` is missing"),
        (
            f"policy object b : Budget {{ config = {{ {BUDGET}, weighs : {{ x : {WRONG} }} }} }}",
            "103: a text that is not empty is due here",
        ),
        (
            f"policy object b : Budget {{ config = {{ {BUDGET}, weighs : {{ x : {WRONG} }} }} }}",
            "118: an integer is due here",
        ),
    ],
)
def test_every_mistake_is_told_with_its_place(mistakes, text, wrong):
    assert wrong in mistakes(text)
