"""What every test has: a state folder apart, so that none meets a key or a signature of this machine."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def state_of_the_session(tmp_path_factory):
    """One folder for all tests, and for the commands that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A state folder of one test's own, not made yet."""
    folder = tmp_path / "home"
    monkeypatch.setenv("HOLDFAST_HOME", str(folder))
    return folder
