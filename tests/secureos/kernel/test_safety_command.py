"""`holdfast policy check --safety`: a policy that can refuse what is never blocked is no valid file."""

import json

import pytest
import typer
from typer.testing import CliRunner

from secureos.kernel import ImageError
from secureos.policy.commands import add_commands
from secureos.xdl.source import PolicyError
from tests.secureos.kernel.drives import FILES, NEVER, POLICY


@pytest.fixture
def check(tmp_path):
    def run(*options, policy=POLICY, safety=NEVER):
        for name, text in {**FILES, "plant.psl": policy, "safety.toml": safety}.items():
            (tmp_path / name).write_text(text)
        app = typer.Typer()
        add_commands(app)
        files = [str(tmp_path / "plant.psl"), str(tmp_path / "Panel.edl")]
        arguments = ["policy", "check", *files, "--safety", str(tmp_path / "safety.toml"), *options]
        return CliRunner().invoke(app, arguments)

    return run


def test_a_policy_that_leaves_them_alone_is_valid(check):
    done = check()
    assert (done.exit_code, done.exception) == (0, None)
    assert "2 of 2 files are valid" in done.stdout


def test_one_that_does_not_is_told_with_the_place(check):
    done = check("--json", policy=POLICY + "request method=Read { deny () }\n")
    assert done.exit_code == 3
    (error,) = json.loads(done.stdout)["files"][0]["errors"]
    assert (error["line"], error["column"]) == (POLICY.count("\n") + 1, 23)
    assert "safety.toml:13 says is never blocked" in error["message"]


@pytest.mark.parametrize("safety", ["[denail]\n", "x = [\n"])
def test_a_wrong_list_is_an_error_of_its_own(check, safety):
    assert isinstance(check(safety=safety).exception, ImageError | PolicyError)
