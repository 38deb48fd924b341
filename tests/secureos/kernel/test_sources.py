"""The source of a program: its module and what it takes from its own package, followed without importing."""

import hashlib
import importlib.util
import inspect
import sys
import types
from pathlib import Path

import pytest

from secureos.kernel import ImageError
from secureos.kernel.sources import source_of

FILES = {
    "__init__.py": '"""Doc."""\n',
    "program.py": '''"""A program.

Two more lines.
"""

from __future__ import annotations

import os
import house.whole
from house.parts import made, made_here  # a comment
from house.parts import lone
from . import near
from .near import something
from elsewhere import nothing
from house.parts.deep import *

# A comment alone.

class Program:
    """Doc."""

    def start(self, system):
        text = """three
        lines
        """
        return text
''',
    "whole.py": "import house.program\n",
    "near.py": "something = 1\n",
    "unused.py": "raise SystemExit\n",
    "parts/__init__.py": "from house.parts.maker import make as made\nmade_here = 1\n",
    "parts/maker.py": "def make():\n    pass\n",
    "parts/lone.py": "from ..near import something\n",
    "parts/deep.py": "x = 1\n",
    "parts/unused.py": "y = 1\n",
}


@pytest.fixture
def program(tmp_path):
    root = tmp_path / "house"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    def load(text=FILES["program.py"]):
        name = "house.program"
        (root / "program.py").write_text(text)
        spec = importlib.util.spec_from_file_location(name, root / "program.py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        # Only the class is run: what the file imports need not be importable.
        exec(compile(text[text.index("class") :], str(root / "program.py"), "exec"), module.__dict__)
        return module.Program

    yield load
    sys.modules.pop("house.program", None)


def test_what_it_takes_from_its_package_is_followed(program):
    source = source_of(program())
    assert [one.name for one in source.modules] == [
        "house.program",
        "house",
        "house.near",
        "house.parts",
        "house.parts.deep",
        "house.parts.lone",
        "house.parts.maker",
        "house.whole",
    ]


def test_lines_and_bytes(program):
    source = source_of(program())
    assert source.own.lines == 15
    assert source.lines == 15 + sum([0, 1, 2, 1, 1, 2, 1])
    assert source.bytes == sum(len(one.path.read_bytes()) for one in source.modules)


def test_the_hash_is_over_every_module(program):
    first = source_of(program())
    rows = "".join(f"{hashlib.sha256(m.path.read_bytes()).hexdigest()}  {m.name}\n" for m in first.modules)
    assert first.sha256 == hashlib.sha256(rows.encode()).hexdigest()
    again = source_of(program())
    assert again.sha256 == first.sha256
    (first.own.path.parent / "parts" / "maker.py").write_text("def make():\n    return 1\n")
    assert source_of(program()).sha256 != first.sha256


def test_what_is_taken_from_a_package_that_makes_it_itself_or_not_at_all(program):
    text = "from house.parts import made_here\nfrom house.gone import x\nclass Program: pass\n"
    names = [one.name for one in source_of(program(text)).modules]
    assert names == ["house.program", "house.parts", "house.parts.maker"]


def test_classes_without_a_file_or_of_no_module(program, monkeypatch):
    monkeypatch.setitem(sys.modules, "typed_by_hand", types.ModuleType("typed_by_hand"))
    for made in (int, *(type("Program", (), {"__module__": name}) for name in ("__main__", "typed_by_hand"))):
        with pytest.raises(ImageError, match="stands in no module's file"):
            source_of(made)


def test_a_file_that_is_not_python(program):
    made = program()
    Path(inspect.getsourcefile(made)).write_text("class (")
    with pytest.raises(ImageError, match="is not Python"):
        source_of(made)
