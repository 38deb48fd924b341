"""What the stories are played on."""

import pytest

from tests.gallery.substation import Substation


@pytest.fixture
def substation():
    """A substation under the shipped policy, or under another: `substation(policy)`."""
    built = []

    def build(policy="security.psl"):
        built.append(Substation(policy))
        return built[-1]

    yield build
    for one in built:
        one.close()
