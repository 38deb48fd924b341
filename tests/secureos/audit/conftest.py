"""What the tests of this room share."""

import pytest


@pytest.fixture(scope="session")
def fd(tmp_path_factory):
    """A descriptor that can be synchronised."""
    with (tmp_path_factory.mktemp("disk") / "sync").open("wb") as file:
        yield file.fileno()
