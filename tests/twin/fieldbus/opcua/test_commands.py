"""The commands about users."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from twin.fieldbus.opcua import Users
from twin.fieldbus.opcua.commands import add_commands
from twin.fieldbus.opcua.users import users_path


@pytest.fixture
def run(home):
    app = typer.Typer()
    add_commands(app)

    def ask(*arguments, said=None):
        return CliRunner().invoke(app, ["users", *arguments], input=said)

    return ask


def test_add_list_and_remove(run):
    assert run("add", "maria", "--role", "operator", "--password-stdin", said="correct horse\n").exit_code == 0
    assert run("list").stdout == "maria  operator\n"
    assert json.loads(run("list", "--json").stdout) == {
        "schema": 1,
        "users": [{"name": "maria", "role": "operator"}],
    }
    assert Users.load(users_path()).sign_in("maria", "correct horse") is not None
    assert run("remove", "maria").exit_code == 0
    assert run("list").stdout == ""


def test_a_password_that_is_too_short_or_a_user_that_is_not_there(run):
    assert run("add", "maria", "--role", "operator", "--password-stdin", said="short\n").exit_code == 2
    assert run("remove", "maria").exit_code == 2


def test_a_file_that_makes_no_sense(run):
    users_path().write_text("nonsense")
    result = run("list")
    assert result.exit_code == 3
    assert "users.toml" in result.output
