"""Who may sign in by name and password.

The file is TOML, for its owner alone: one table per user with `role` and `password`, which is
`scrypt$N$r$p$salt$hash` (RFC 7914; salt and hash in base64). No password is ever kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from secureos.kernel.state import private_folder, renew

# 32 MB and about a tenth of a second: what OWASP's password storage guide asks of scrypt with r = 8, p = 3.
_N, _R, _P = 2**15, 8, 3
_MAX_MEMORY: Final = 128 * 1024 * 1024
_HASH_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
MAX_PASSWORD_BYTES: Final = 1024


class UsersError(Exception):
    """The file of users is wrong, or cannot become what was asked; the message says where and why."""


@dataclass(frozen=True)
class PasswordHash:
    """What is kept of a password."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> PasswordHash:
        """That of a password, with a salt of its own."""
        salt = os.urandom(16)
        return cls(_N, _R, _P, salt, _digest(password, salt, _N, _R, _P))

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """What `str` wrote.

        Raises:
            ValueError: It is something else, or would take too long to check.
        """
        scheme, *costs, salt, digest = text.split("$")
        n, r, p = (int(cost) for cost in costs)
        if scheme != "scrypt" or not (2 <= n <= 2**17 and 1 <= r <= 16 and 1 <= p <= 16) or n & (n - 1):
            raise ValueError(text)
        return cls(n, r, p, base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True))

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.n}${self.r}${self.p}${salt}${digest}"

    def admits(self, password: str) -> bool:
        """Whether that is the password; takes equally long either way."""
        return hmac.compare_digest(self.digest, _digest(password, self.salt, self.n, self.r, self.p))


def _digest(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    secret = password.encode("utf-8", "surrogateescape")[: MAX_PASSWORD_BYTES + 1]
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=_HASH_BYTES)


# Checked where there is no such user, so that the time an answer takes tells nothing.
_NOBODY: Final = PasswordHash(_N, _R, _P, bytes(16), bytes(_HASH_BYTES))


@dataclass(frozen=True)
class User:
    """One who may sign in."""

    name: str
    role: str
    password: PasswordHash


class Users:
    """Those who may sign in."""

    def __init__(self, users: Mapping[str, User] | None = None) -> None:
        self._users = dict(users or {})

    @classmethod
    def load(cls, path: Path) -> Users:
        """Read the file; nobody where there is none.

        Raises:
            UsersError: It cannot be read or understood.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
            raise UsersError(f"the users `{path}` cannot be read: {failure}") from failure
        return cls({name: _user(path, name, table) for name, table in tables.items()})

    def save(self, path: Path) -> None:
        """Write the file, for its owner alone.

        Raises:
            StateUnavailable: It cannot be written.
        """
        tables = [f'["{u.name}"]\nrole = "{u.role}"\npassword = "{u.password}"\n' for u in self]
        renew(path, "\n".join(tables).encode())

    def __iter__(self) -> Iterator[User]:
        return iter(sorted(self._users.values(), key=lambda user: user.name))

    def add(self, name: str, role: str, password: str) -> None:
        """Let someone sign in, or give them another role and password.

        Raises:
            UsersError: The name, the role or the password cannot be used.
        """
        for text in (name, role):
            if not _NAME.fullmatch(text):
                raise UsersError(
                    f"`{text}` cannot be used; letters, digits and _ . @ - make a name, at most 64 of them"
                )
        if not 8 <= len(password.encode()) <= MAX_PASSWORD_BYTES:
            raise UsersError(f"a password has 8 to {MAX_PASSWORD_BYTES} bytes")
        self._users[name] = User(name, role, PasswordHash.of(password))

    def remove(self, name: str) -> None:
        """Let someone sign in no longer.

        Raises:
            UsersError: There is no such user.
        """
        if self._users.pop(name, None) is None:
            raise UsersError(f"there is no user `{name}`")

    def sign_in(self, name: str, password: str) -> User | None:
        """The user of that name and password, or None; takes about a tenth of a second either way."""
        user = self._users.get(name)
        admitted = (user.password if user else _NOBODY).admits(password)
        return user if admitted else None


def _user(path: Path, name: str, table: object) -> User:
    if not isinstance(table, dict) or set(table) != {"role", "password"}:
        raise UsersError(f"{path}: user `{name}` must have a `role` and a `password`, and nothing else")
    try:
        return User(name, str(table["role"]), PasswordHash.parse(str(table["password"])))
    except (ValueError, binascii.Error) as failure:
        raise UsersError(f"{path}: the password of `{name}` is not as `holdfast users add` writes it") from failure


def users_path() -> Path:
    """Where the users stand in the state folder.

    Raises:
        StateUnavailable: The folder cannot be made.
    """
    return private_folder() / "users.toml"
