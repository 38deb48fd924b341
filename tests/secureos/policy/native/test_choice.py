"""Which back end is in force, and who says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from secureos.policy import Engine, compile_policy, native, shapes
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text
from tests.secureos.policy.reference.differential import compare, world

MODULE = "secureos.policy.native.programs"


def built():
    try:
        native.use("native")
    except ImportError:
        return False
    return True


def decision():
    """The decision function of one grant."""
    text = "execute: kl.core.Execute\nuse EDL kl.core.Core\nuse EDL Einit\n"
    policy = compile_policy(
        source_from_text(text + "execute dst=kl.core.Core { grant () }", name="a.psl"), Catalogue([])
    )
    return Engine(policy)._table.function(("execute", "Einit", "kl.core.Core", "", ""))


def in_force(value):
    """What a new process says with this in its environment."""
    given = {**os.environ, native.VARIABLE: value}
    words = "from secureos.policy import backend; print(backend())"
    return subprocess.run([sys.executable, "-c", words], env=given, capture_output=True, text=True, check=False)


def test_plain_decisions_are_always_there():
    native.use("python")
    assert native.backend() == "python"
    assert native.denial() is None
    assert shapes._deny(1, 2, 3) == shapes.BY_DEFAULT
    assert decision()(1, 2) == 0
    assert in_force("python").stdout == "python\n"


def test_without_the_built_part_the_plain_ones_decide(monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, None)
    monkeypatch.delattr(native, "programs", raising=False)
    native.use(None)
    assert native.backend() == "python"
    assert decision()(1, 2) == 0
    with pytest.raises(ImportError, match="the built back end for policies is not there"):
        native.use("native")
    assert native.backend() == "python"


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="there is no back end `fast` for policies"):
        native.use("fast")
    assert "there is no back end `fast`" in in_force("fast").stderr


@pytest.mark.skipif(not built(), reason="the back end was not built")
def test_the_built_part_decides_where_it_is_there():
    native.use(None)
    assert native.backend() == "native"
    quick = decision()
    assert type(quick).__name__ == "Decision"
    assert quick(1, 2) == quick.plain(1, 2) == 0
    assert native.denial()(1, 2, 3) == -1
    assert in_force("native").stdout == "native\n"


@pytest.mark.parametrize("name", ["python", "native"])
def test_each_agrees_with_the_reference(tmp_path, name):
    if name == "native" and not built():
        pytest.skip("the back end was not built")
    native.use(name)
    catalogue = world(tmp_path)
    for seed in range(40_000, 40_030):
        tally = compare(catalogue, seed, 100)
        assert not tally.mismatches, tally.mismatches
