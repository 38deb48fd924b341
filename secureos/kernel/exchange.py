"""Another policy for an image that runs: read, verified, checked and tested before it may be put in force.

The real product has nothing like it: there a policy is compiled into the image and stays for as long as that runs.
Here it can be exchanged, so that what a changed policy does can be watched on a plant that goes on.

A policy has to pass the tests that go with it: those in its own text, and the suite beside its file, or else the
image's suite of that name (`security.psl` goes with `security.pal.psl`). One without tests is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from secureos.kernel.boot_checks import Checked, Trust, another_policy
from secureos.kernel.errors import ExchangeRefused
from secureos.kernel.image import Image
from secureos.policy import Policy, compile_policy
from secureos.policy import syntax as psl
from secureos.policy.pal import SuiteResult, run_tests
from secureos.xdl.source import read_source

SUITE: Final = ".pal.psl"
"""How the name of a policy's suite ends, in place of `.psl`."""

_SHOWN: Final = 3


@dataclass(frozen=True)
class Offer:
    """A policy that may be put in force.

    Attributes:
        checked: The image that runs, with this policy.
        sequences: How many test sequences the policy passed.
    """

    checked: Checked
    sequences: int

    @property
    def policy(self) -> Policy:
        """The policy itself."""
        return self.checked.policy

    @property
    def version(self) -> int:
        """The version that was signed; 0 if it was signed on the spot."""
        return self.checked.statement.version


def offered(path: Path, running: Checked, *, trust: Trust) -> Offer:
    """Read a policy's file and find out whether it may be put in force; nothing changes.

    Args:
        path: The file.
        running: What was started, or was put in force last.
        trust: What the host lets start.

    Raises:
        PolicyError: The policy or its suite is wrong, or the policy can refuse what is never blocked.
        TrustError: It is not as it was signed, or not signed where the image was.
        ExchangeRefused: It has no tests, or does not pass them.
        StateUnavailable, KeyUnusable: This machine's own key cannot be used.
    """
    checked = another_policy(path, running, trust=trust)
    result = run_tests(checked.policy, tests_for(checked.policy, path, running.image))
    if not result.sequences:
        raise ExchangeRefused(
            f"policy `{checked.policy.name}` has no tests; write them into `{path.with_suffix(SUITE).name}` beside it"
        )
    if not result.passed:
        raise ExchangeRefused(f"policy `{checked.policy.name}` {_shortcomings(result)}")
    return Offer(checked, len(result.sequences))


def tests_for(policy: Policy, path: Path, image: Image) -> tuple[psl.TestSet, ...]:
    """The tests that go with a policy from a file.

    Raises:
        PolicyError: The suite is wrong.
    """
    name = path.with_suffix(SUITE).name
    suite = next((one for folder in (path.parent, image.folder) if (one := folder / name).is_file()), None)
    if suite is None:
        return policy.tests
    # The suite includes its policy by name: that is the one in question, wherever the suite itself stands.
    return compile_policy(read_source(suite), image.catalogue, include=(path.parent, image.folder)).tests


def _shortcomings(result: SuiteResult) -> str:
    failed = [one for one in result.sequences if not one.passed]
    told = []
    for one in failed[:_SHOWN]:
        first = one.failures[0]
        got = "grant" if first.verdict.granted else "deny"
        told.append(f"{first.case.place}: {first.event}: expected {first.case.expected}, got {got}")
    more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    return f"fails {len(failed)} of {len(result.sequences)} test sequences: {'; '.join(told)}{more}"
