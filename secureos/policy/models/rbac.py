"""The model `Rbac`: users, roles, sessions, permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import TEXT, name_out_of
from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.values import INTEGER, BooleanType
from secureos.xdl.source import near

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

_MAX_SESSIONS: Final = 65_536

Roles = frozenset[str]


class Rbac(Model):
    """What a session may do follows from the roles that its user has and has made active.

    Parameters (`config = { … }`):
        roles: For each role `{ may, inherits }`: the permissions that it gives, and optionally the roles whose
            permissions it gives too.
        users: For each user the list of the roles that the user has.
        apart: Optionally `{ users, sessions }`, lists of lists of roles. Of each list under `users` a user has at
            most one (static separation of duty); of each under `sessions` at most one is active in a session
            (dynamic separation of duty). Inherited roles count.
        sessions: How many sessions are open at a time at most, 1 to 65,536.

    Rules:
        open {session, user}: Begins a session, without active roles; denied if it is open or the user is unknown.
        close {session}: Ends it.
        activate {session, role}: Makes one of the user's own or inherited roles active.
        deactivate {session, role}: Ends that.
        check {session, permission}: Granted if an active role gives the permission.

    Expressions:
        may {session, permission}: Whether an active role gives the permission; false if the session is not open.
        active {session, role}: Whether the role is active; false if the session is not open.

    Semantics:
        A session is an integer that the host knows to be authentic, a user is a text. A role gives its own
        permissions and those of all roles that it inherits, directly or not. To activate an active role, and to
        deactivate one that is not, changes nothing. Sessions that are not open are denied.

    Errors:
        Refused at load: roles, permissions and users that stand in the policy and do not exist; roles that inherit
        one another in a circle; a user whose roles should be apart; a role that unites roles that should be apart.

    Example::

        policy object staff : Rbac { config = {
            roles : {
                "viewer"   : { may : ["look"] },
                "operator" : { may : ["operate"], inherits : ["viewer"] },
                "auditor"  : { may : ["audit"] }
            },
            users : { "ann" : ["operator"], "bob" : ["auditor"] },
            apart : { users : [["operator", "auditor"]] },
            sessions : 10
        } }
        request dst=Desk method=Login {
            staff.open {session : message.session, user : message.user}
            staff.activate {session : message.session, role : message.role}
        }
        request dst=Desk method=Act { staff.check {session : message.session, permission : "operate"} }
        assert {
            sequence {
                deny  request src=Panel dst=Desk method=Act { session : 1 }
                deny  request src=Panel dst=Desk method=Login { session : 1, user : "bob", role : "operator" }
                grant request src=Panel dst=Desk method=Login { session : 1, user : "ann", role : "operator" }
                grant request src=Panel dst=Desk method=Act { session : 1 }
            }
        }

    Source:
        ANSI INCITS 359-2004, Role Based Access Control: core and hierarchical RBAC, static and dynamic separation of
        duty relations with cardinality 2. IEC 62443-3-3 SR 2.1.
    """

    kind = "Rbac"

    def __init__(
        self,
        name: str,
        *,
        may: Mapping[str, frozenset[str]],
        closure: Mapping[str, Roles],
        users: Mapping[str, Roles],
        apart: Iterable[Roles],
        sessions: int,
    ) -> None:
        super().__init__(name)
        self._may = may
        self._closure = closure
        self._users = users
        self._apart = tuple(apart)
        self._limit = sessions
        self.sessions: dict[int, tuple[str, Roles]] = {}  # by session: its user, and its active roles
        permissions = sorted(set().union(*may.values()))
        session = {"session": INTEGER}
        role = {**session, "role": name_out_of("a role", tuple(may))}
        permission = {**session, "permission": name_out_of("a permission", permissions)}
        self.rules = {
            "open": Operation(self._open, {**session, "user": TEXT}),
            "close": Operation(self._close, session),
            "activate": Operation(self._activate, role),
            "deactivate": Operation(self._deactivate, role),
            "check": Operation(self._check, permission),
        }
        self.expressions = {
            "may": Operation(self._may_now, permission, value=BooleanType()),
            "active": Operation(self._is_active, role, value=BooleanType()),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check that all names exist, that nothing inherits in circles, and that duties are apart."""
        configuration.types()
        keys = configuration.keys(configuration.config(), ("roles", "users", "sessions"), ("apart",))
        rows = configuration.entries(keys.get("roles"))
        roles = {name: configuration.keys(row, ("may",), ("inherits",)) for name, row in rows.items()}
        own = {name: frozenset(configuration.distinct_texts(row.get("may"))) for name, row in roles.items()}
        parents = {name: configuration.names_of(row.get("inherits"), "role", roles) for name, row in roles.items()}
        closure = {name: _closure(name, parents) for name in roles}
        for name, row in rows.items():
            if any(name in closure.get(parent, ()) for parent in parents[name]):
                configuration.say(row.span, f"role `{name}` inherits itself")
        static, dynamic = _apart(configuration, keys.get("apart"), roles)
        for name, row in rows.items():
            _keep_apart(configuration, row, f"role `{name}`", closure[name], (*static, *dynamic))
        users = {}
        for user, row in configuration.entries(keys.get("users")).items():
            names = configuration.names_of(row, "role", roles)
            users[user] = frozenset().union(*(closure.get(name, frozenset()) for name in names))
            _keep_apart(configuration, row, f"user `{user}`", users[user], static)
        return partial(
            cls,
            configuration.name,
            may={name: frozenset().union(*(own.get(one, frozenset()) for one in closure[name])) for name in roles},
            closure=closure,
            users=users,
            apart=dynamic,
            sessions=configuration.integer(keys.get("sessions"), 1, _MAX_SESSIONS),
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """Rows of session, user and active roles."""
        return [[session, user, sorted(roles)] for session, (user, roles) in sorted(self.sessions.items())]

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.sessions.clear()
        self.sessions.update((session, (user, frozenset(roles))) for session, user, roles in state)

    def _open(self, _event: Event, undo: Undo, session: int, user: str) -> str | None:
        if session in self.sessions:
            return f"`{self.name}`: session {session} is open already"
        if user not in self._users:
            return f"`{self.name}`: there is no user `{user}`{near(user, self._users)}"
        if len(self.sessions) >= self._limit:
            return f"`{self.name}`: {self._limit} sessions are open already"
        put(undo, self.sessions, session, (user, frozenset[str]()))
        return None

    def _close(self, _event: Event, undo: Undo, session: int) -> str | None:
        if session not in self.sessions:
            return self._closed(session)
        drop(undo, self.sessions, session)
        return None

    def _activate(self, _event: Event, undo: Undo, session: int, role: str) -> str | None:
        if session not in self.sessions:
            return self._closed(session)
        user, active = self.sessions[session]
        if role not in self._users[user]:
            return f"`{self.name}`: user `{user}` does not have the role `{role}`"
        after = active | {role}
        united = frozenset().union(*(self._closure[one] for one in after))
        for roles in self._apart:
            if len(roles & united) > 1:
                both = " and ".join(f"`{one}`" for one in sorted(roles & united))
                return f"`{self.name}`: {both} must not be active in one session"
        put(undo, self.sessions, session, (user, after))
        return None

    def _deactivate(self, _event: Event, undo: Undo, session: int, role: str) -> str | None:
        if session not in self.sessions:
            return self._closed(session)
        user, active = self.sessions[session]
        put(undo, self.sessions, session, (user, active - {role}))
        return None

    def _check(self, event: Event, _undo: Undo, session: int, permission: str) -> str | None:
        if session not in self.sessions:
            return self._closed(session)
        if self._may_now(event, session, permission):
            return None
        user, active = self.sessions[session]
        shown = ", ".join(sorted(active)) or "none"
        return f"`{self.name}`: user `{user}` may not `{permission}`; active roles: {shown}"

    def _may_now(self, _event: Event, session: int, permission: str) -> bool:
        _, active = self.sessions.get(session, ("", frozenset[str]()))
        return any(permission in self._may[role] for role in active)

    def _is_active(self, _event: Event, session: int, role: str) -> bool:
        return session in self.sessions and role in self.sessions[session][1]

    def _closed(self, session: int) -> str:
        return f"`{self.name}`: session {session} is not open"


def _closure(name: str, parents: Mapping[str, Iterable[str]]) -> Roles:
    """A role with all that it inherits."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting.extend(parents.get(role, ()))
    return frozenset(found)


def _apart(
    configuration: Configuration, value: psl.Expression | None, roles: Iterable[str]
) -> tuple[list[Roles], list[Roles]]:
    keys = configuration.keys(value, (), ("users", "sessions"))
    known = tuple(roles)
    static, dynamic = (
        [frozenset(configuration.names_of(row, "role", known)) for row in configuration.items(keys.get(part))]
        for part in ("users", "sessions")
    )
    return static, dynamic


def _keep_apart(
    configuration: Configuration, row: psl.Expression, who: str, roles: Roles, apart: Iterable[Roles]
) -> None:
    for rivals in apart:
        if len(rivals & roles) > 1:
            both = " and ".join(f"`{one}`" for one in sorted(rivals & roles))
            configuration.say(row.span, f"{who} would unite {both}, which must be apart")
