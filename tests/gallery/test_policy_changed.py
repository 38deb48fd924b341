"""The policy is changed without touching the programs."""

import pytest

from secureos.kernel import ExchangeRefused
from tests.gallery.substation import IMAGE, checked


def test_two_policies_for_one_image(substation):
    """The same image and the same programs, by their hashes, are started under two policies. The outcomes differ."""
    outcomes, images = {}, set()
    for policy in ("security.psl", "permissive.psl"):
        station = substation(policy)
        images.add((station.started.image.sha256, tuple(sorted(station.started.image.programs.items()))))
        outcomes[policy] = station.operator_writes("F6.open")
        station.passes(1)
        outcomes[policy] += ", lit" if station.closed("F6") else ", dark"

    assert outcomes == {"security.psl": "exception 01, lit", "permissive.psl": "done, dark"}
    assert len(images) == 1
    assert checked("security.psl").policy.sha256 != checked("permissive.psl").policy.sha256


def test_a_rule_is_added_while_the_plant_runs(substation, tmp_path):
    """A crew works on feeder F2, so nobody shall close it from afar. One rule is added, and its test.

    The plant goes on, the programs are not even restarted, and what is known and spent so far stays so. (The real
    product cannot do this while it runs: there a policy is part of what is flashed.)
    """
    station = substation()
    programs = [task.program for task in station.twin.controller.kernel.tasks.values()]
    assert station.operator_writes("F2.open") == "done"
    station.passes(1)

    text = (IMAGE / "security.psl").read_text()
    rule = "// A crew works on F2.\n        deny (crew.meets { points : message.tags })\n        "
    first = "// The hospital feeder F6 is never"
    changed = text.replace(first, rule + first)
    changed = changed.replace(
        "policy object hospital", 'policy object crew : PointSet { config = ["F2.close"] }\n\npolicy object hospital'
    )
    (tmp_path / "security.psl").write_text(changed)
    station.exchanges_policy(tmp_path / "security.psl")

    assert station.operator_writes("F2.close") == "exception 01"
    assert "A crew works on F2." in station.last_denial.reason
    assert station.operator_writes("F3.close") == "done"
    assert [task.program for task in station.twin.controller.kernel.tasks.values()] == programs
    assert station.records("policy")[-1].message["policy_sha256"] != station.started.policy.sha256


def test_a_policy_that_fails_the_images_tests_is_not_put_in_force(substation, tmp_path):
    """Somebody removes the limit of 12 MW in a minute. The image's tests say what is missing; the old policy stays."""
    station = substation()
    text = (IMAGE / "security.psl").read_text()
    (tmp_path / "security.psl").write_text(
        text.replace("minute.spend { points : message.tags, values : message.values }", "")
    )

    with pytest.raises(ExchangeRefused, match=r"fails .* test sequences"):
        station.exchanges_policy(tmp_path / "security.psl")

    answers = [station.operator_writes(f"{feeder}.open") for feeder in ("F5", "F4", "F1", "F8")]
    assert answers[0] == "done"
    assert answers[-1] == "exception 01"
