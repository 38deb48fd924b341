from __future__ import annotations

from secureos.policy.models import MODELS, Base, Model


def test_rules(lab):
    real = lab("policy object b : Base {}")
    assert real.ask("grant") is None
    assert real.ask("assert", 0, True) is None
    assert real.ask("assert", 0, False) == ""
    assert real.ask("deny") == ""
    assert real.ask("deny", 0, True) == ""
    assert real.ask("deny", 0, False) is None


def test_what_is_not_known_to_be_a_boolean_denies(lab):
    real = lab("policy object b : Base {}")
    assert real.ask("assert", 0, 1) == ""
    assert real.ask("deny", 0, 0) == ""


def test_the_audit_level_belongs_to_base_alone(lab):
    assert "set_level" not in lab("policy object b : Base {}").model.rules
    base, undo = Base("base", level=2), []
    run = base.rules["set_level"].run
    assert run(None, undo, 256) == "an audit level goes from 0 to 255, not 256"
    assert run(None, undo, -1) is not None
    assert undo == []
    assert run(None, undo, 255) is None
    assert base.level == base.snapshot() == 255
    undo.pop()()
    assert base.level == 2
    base.restore(7)
    assert base.level == 7


def test_it_has_no_settings(mistakes):
    assert mistakes("policy object b : Base { config = 1 type T = UInt8 }") == [
        "26: a `Base` has no settings",
        "42: unknown type `T`",
    ]


def test_every_model_is_found_by_its_kind():
    assert all(issubclass(model, Model) and model.kind == kind for kind, model in MODELS.items())
    assert {"Base", "Flow", "Mic", "Regex", "HashSet", "StaticMap", "Budget", "PointSet"} < MODELS.keys()
