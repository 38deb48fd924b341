from __future__ import annotations

import pytest

from secureos.policy import native


@pytest.fixture(autouse=True)
def _as_found():
    """Whatever a test chooses, the next one finds the back end that was in force."""
    before = native.backend()
    yield
    native.use(before)
