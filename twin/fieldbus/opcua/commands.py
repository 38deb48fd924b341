"""The commands `users add`, `list` and `remove`: who may sign in at an OPC UA server of this machine."""

from __future__ import annotations

import json
import sys
from typing import Annotated, NoReturn

import typer

from secureos.kernel.refusals import StateUnavailable
from twin.fieldbus.opcua.users import Users, UsersError, users_path

SCHEMA = 1

NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

users_app = typer.Typer(
    help="Who may sign in over OPC UA by name and password.", no_args_is_help=True, rich_markup_mode=None
)


def add_commands(app: typer.Typer) -> None:
    """Enter the commands into the root command line."""
    app.add_typer(users_app, name="users")


@users_app.command("add")
def _add(
    name: NameArgument,
    role: Annotated[str, typer.Option(help="What the policy knows them as, e.g. operator.", show_default=False)],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password's line from standard input.")
    ] = False,
) -> None:
    """Let someone sign in, or give them another role and password."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    users = _load()
    try:
        users.add(name, role, password)
    except UsersError as failure:
        _end(str(failure), 2)
    _save(users)
    typer.echo(f"`{name}` may sign in as {role}")


@users_app.command("list")
def _list(as_json: JsonOption = False) -> None:
    """Name everyone who may sign in, and their roles."""
    users = _load()
    if as_json:
        told = [{"name": user.name, "role": user.role} for user in users]
        typer.echo(json.dumps({"schema": SCHEMA, "users": told}))
        return
    for user in users:
        typer.echo(f"{user.name}  {user.role}")


@users_app.command("remove")
def _remove(name: NameArgument) -> None:
    """Let someone sign in no longer."""
    users = _load()
    try:
        users.remove(name)
    except UsersError as failure:
        _end(str(failure), 2)
    _save(users)
    typer.echo(f"`{name}` may sign in no longer")


def _load() -> Users:
    try:
        return Users.load(users_path())
    except UsersError as failure:
        _end(str(failure), 3)
    except StateUnavailable as failure:
        _end(str(failure), 6)


def _save(users: Users) -> None:
    try:
        users.save(users_path())
    except StateUnavailable as failure:
        _end(str(failure), 6)


def _end(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
