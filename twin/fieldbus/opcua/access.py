"""Which identity has which role here; what a role may do is the policy's matter.

The file is TOML:

    [anonymous]              # leave the table out, and nobody comes in without a name
    role = "observer"

    [certificates]           # SHA-256 of a certificate: of a user, or of an application that signs in without a user
    "5f2c…" = "engineer"

    [users]                  # instead of the role that the file of users gives
    maria = "operator"

    [unsecured]              # channels without signature and encryption; both false if left out
    allowed = true
    writes = false
"""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from twin.fieldbus.opcua.lockout import Lockout
from twin.fieldbus.opcua.users import Users

_THUMBPRINT: Final = re.compile(r"[0-9a-f]{64}")
_TABLES: Final = frozenset({"anonymous", "certificates", "users", "unsecured"})
# Each check of a password takes 32 MB.
_CHECKS_AT_ONCE: Final = 2


class AccessError(Exception):
    """The file of roles is wrong; the message says where and why."""


@dataclass(frozen=True)
class Identity:
    """Who a session is of."""

    user: str
    role: str


@dataclass(frozen=True)
class AccessRules:
    """Which identity has which role.

    Attributes:
        anonymous_role: Of sessions without a user; None where there may be none.
        certificate_roles: By SHA-256 of the certificate, in lower-case hexadecimal.
        user_roles: By name; comes before the role in the file of users.
        unsecured: Whether sessions may be held over a channel that is neither signed nor encrypted.
        unsecured_writes: Whether such a session may also ask for writes, calls and files.
    """

    anonymous_role: str | None = None
    certificate_roles: Mapping[str, str] = field(default_factory=dict)
    user_roles: Mapping[str, str] = field(default_factory=dict)
    unsecured: bool = False
    unsecured_writes: bool = False

    @classmethod
    def load(cls, path: Path) -> AccessRules:
        """Read the file; what it leaves out is denied.

        Raises:
            AccessError: It cannot be read or understood.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
            raise AccessError(f"the roles `{path}` cannot be read: {failure}") from failure
        return _Tables(path, tables).rules()


class _Tables:
    """The tables of one file."""

    def __init__(self, path: Path, tables: Mapping[str, Any]) -> None:
        self._path, self._tables = path, tables

    def rules(self) -> AccessRules:
        for name in self._tables:
            if name not in _TABLES:
                raise AccessError(f"{self._path}: unknown table `{name}`; there are {', '.join(sorted(_TABLES))}")
        anonymous = self._table("anonymous", str, ("role",))
        certificates = {key.lower(): role for key, role in self._table("certificates", str).items()}
        for key in certificates:
            if not _THUMBPRINT.fullmatch(key):
                raise AccessError(f"{self._path}: `{key}` is no SHA-256 of a certificate (64 hexadecimal digits)")
        unsecured = self._table("unsecured", bool, ("allowed", "writes"))
        return AccessRules(
            anonymous_role=anonymous.get("role"),
            certificate_roles=certificates,
            user_roles=self._table("users", str),
            unsecured=unsecured.get("allowed", False),
            unsecured_writes=unsecured.get("writes", False),
        )

    def _table(self, name: str, kind: type, keys: tuple[str, ...] = ()) -> dict[str, Any]:
        table = self._tables.get(name, {})
        if not isinstance(table, dict):
            raise AccessError(f"{self._path}: `{name}` must be a table")
        for key, value in table.items():
            if keys and key not in keys:
                raise AccessError(f"{self._path}: unknown key `{key}` in `{name}`; there are {', '.join(keys)}")
            if not isinstance(value, kind):
                raise AccessError(f"{self._path}: `{key}` in `{name}` must be a {kind.__name__}")
        return table


class Gatekeeper:
    """Says who someone is, or that they are nobody here.

    Args:
        rules: Which identity has which role.
        users: Who may sign in by password.
        lockout: The waits after wrong passwords.
    """

    def __init__(self, rules: AccessRules, users: Users, lockout: Lockout) -> None:
        self.rules = rules
        self._users = users
        self._lockout = lockout
        self._checks = asyncio.Semaphore(_CHECKS_AT_ONCE)

    def anonymous(self, application: str) -> Identity | None:
        """One without a name; the certificate of its application may give it a role.

        Args:
            application: SHA-256 of the application's certificate, empty where there is none.
        """
        role = self.rules.certificate_roles.get(application, self.rules.anonymous_role)
        return None if role is None else Identity("", role)

    def certified(self, thumbprint: str) -> Identity | None:
        """One who proved to hold the key of a certificate."""
        role = self.rules.certificate_roles.get(thumbprint)
        return None if role is None else Identity(f"certificate:{thumbprint[:16]}", role)

    async def signed_in(self, name: str, password: str, address: str) -> Identity | None:
        """One with a name and a password; None as well while they must wait, however right the password is."""
        async with self._checks:
            # Asked only now: of many that come at once, the later ones meet the wait that the first ones earned.
            if self._lockout.wait_s(name, address) > 0:
                return None
            user = await asyncio.to_thread(self._users.sign_in, name, password)
            if user is None:
                self._lockout.failed(name, address)
                return None
        self._lockout.passed(name, address)
        return Identity(user.name, self.rules.user_roles.get(user.name, user.role))
