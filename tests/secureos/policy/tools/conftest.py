from __future__ import annotations

import pytest

from secureos.policy.parse import parse
from secureos.xdl.source import source_from_text


@pytest.fixture(scope="session")
def pal():
    """Test sets from their text."""

    def read(text):
        return parse(source_from_text(text, name="t.psl")).declarations

    return read


@pytest.fixture
def write_file(tmp_path, lab):
    """Writes files beside the lab's descriptions."""
    (tmp_path / "lab").mkdir()
    for path in (lab.folders[0] / "lab").iterdir():
        (tmp_path / "lab" / path.name).write_text(path.read_text())

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write
