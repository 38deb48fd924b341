"""Which messages a section of the policy can meet, narrowed selector by selector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.syntax import EventKind
from secureos.xdl import Method, Parameter, TaskClass
from secureos.xdl.source import Diagnostic, PolicyError, near


@dataclass(frozen=True, slots=True)
class Target:
    """One method at one endpoint of one server's class (for `security` the caller's security interface)."""

    server: str
    endpoint: str
    component: str | None
    interface: str
    method: Method


@dataclass(frozen=True, slots=True)
class Scope:
    """The selectors that hold in a section, and the messages that are left.

    Attributes:
        kind: The event.
        classes: The classes that the policy uses.
        where: The value of each selector that is set.
        targets: Every message that the section can meet; empty for `execute`, which has none.
    """

    kind: EventKind
    classes: Mapping[str, TaskClass]
    where: Mapping[str, str]
    targets: tuple[Target, ...]

    @classmethod
    def of(cls, kind: EventKind, classes: Mapping[str, TaskClass]) -> Scope:
        """Everything of one kind."""
        targets: tuple[Target, ...] = ()
        if kind == "security":
            targets = tuple(_security_targets(classes.values()))
        elif kind != "execute":
            targets = tuple(_endpoint_targets(classes.values()))
        return cls(kind, classes, {}, targets)

    @property
    def server_key(self) -> str:
        """Which selector names the class that the method belongs to."""
        return "dst" if self.kind == "request" else "src"

    def narrow(self, selectors: Iterable[psl.Selector]) -> Scope:
        """The scope of a section inside.

        Raises:
            PolicyError: A name does not exist, contradicts the section around, or has no meaning for the event.
        """
        scope = self
        for selector in selectors:
            scope = scope._with(selector)
        return scope

    def _with(self, selector: psl.Selector) -> Scope:
        key, value = selector.key, selector.value.text
        if key not in _KEYS[self.kind]:
            takes = ", ".join(f"`{name}`" for name in _KEYS[self.kind])
            raise _mistake(selector, f"`{self.kind}` events have no `{key}`; they take {takes}")
        if self.where.get(key, value) != value:
            raise _mistake(selector, f"`{key}={value}` contradicts `{key}={self.where[key]}` around it")
        where = {**self.where, key: value}
        if key in ("src", "dst"):
            self._check_class(selector)
            if self.kind == "execute" or key != self.server_key:
                return replace(self, where=where)
        read = _READ["server" if key in ("src", "dst") else key]
        left = tuple(target for target in self.targets if read(target) == value)
        if not left:
            raise _mistake(selector, self._why_nothing(key, value, read))
        return replace(self, where=where, targets=left)

    def _check_class(self, selector: psl.Selector) -> None:
        name = selector.value.text
        if name not in self.classes:
            hint = near(name, self.classes) or f"; if it exists, add `use EDL {name}`"
            raise _mistake(selector, f"unknown class `{name}`{hint}")

    def _why_nothing(self, key: str, value: str, read: Callable[[Target], str | None]) -> str:
        if key in ("src", "dst"):
            return f"class `{value}` has no messages that a `{self.kind}` here could meet"
        around = " ".join(f"{name}={text}" for name, text in self.where.items()) or "any class"
        known = {text for target in self.targets if (text := read(target)) is not None}
        return f"unknown {key} `{value}` in {around}{near(value, known)}"

    def parameters(self, target: Target) -> tuple[Parameter, ...]:
        """The fields of `message` for one of the targets."""
        if self.kind == "response":
            return target.method.outputs
        return target.method.errors if self.kind == "error" else target.method.inputs


_CALL_KEYS: Final = ("src", "dst", "component", "interface", "endpoint", "method")
_KEYS: Final[Mapping[EventKind, tuple[str, ...]]] = {
    "execute": ("src", "dst"),
    "request": _CALL_KEYS,
    "response": _CALL_KEYS,
    "error": _CALL_KEYS,
    "security": ("src", "interface", "method"),
}
_READ: Final[Mapping[str, Callable[[Target], str | None]]] = {
    "server": lambda target: target.server,
    "component": lambda target: target.component,
    "interface": lambda target: target.interface,
    "endpoint": lambda target: target.endpoint,
    "method": lambda target: target.method.name,
}


def _endpoint_targets(classes: Iterable[TaskClass]) -> Iterable[Target]:
    for one in classes:
        for endpoint in one.endpoints.values():
            for method in endpoint.interface.methods.values():
                yield Target(one.name, endpoint.path, endpoint.component, endpoint.interface.package, method)


def _security_targets(classes: Iterable[TaskClass]) -> Iterable[Target]:
    for one in classes:
        if one.security is not None:
            for method in one.security.methods.values():
                yield Target(one.name, "", None, one.security.package, method)


def _mistake(selector: psl.Selector, message: str) -> PolicyError:
    return PolicyError([Diagnostic(selector.value.span, message)])
