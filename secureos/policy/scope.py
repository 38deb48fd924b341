"""Which messages a section of the policy can meet, narrowed selector by selector."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.syntax import EventKind
from secureos.xdl import Endpoint, Method, Parameter, TaskClass
from secureos.xdl.model import ANY, may_be
from secureos.xdl.source import Diagnostic, PolicyError, near


@dataclass(frozen=True, slots=True)
class Target:
    """One method at one endpoint of one server's class (for `security` the caller's security interface).

    A name that ends in `*` stands for any that begins so: what the descriptions at hand do not say.
    """

    server: str
    endpoint: str
    component: str | None
    interface: str
    method: Method

    def name(self, key: str) -> str | None:
        """What a selector of that key is held against."""
        return self.method.name if key == "method" else getattr(self, key)

    def named(self, key: str, value: str) -> Target:
        """This target, once a selector says what that name is."""
        match key:
            case "method":
                return replace(self, method=replace(self.method, name=value))
            case "endpoint":
                return replace(self, endpoint=value)
            case "component":
                return replace(self, component=value)
        return replace(self, interface=value)


class Targets:
    """Some of the targets, and those of them that a selector leaves; each choice is made once."""

    __slots__ = ("_found", "every")

    def __init__(self, every: tuple[Target, ...]) -> None:
        self.every = every
        # By key, then by value.
        self._found: dict[str, _ByValue] | None = None

    def narrow(self, key: str, value: str) -> Targets:
        """Those whose `key` is, or can be, `value`."""
        if self._found is None:
            self._found = {}
        by_value = self._found.get(key)
        if by_value is None:
            by_value = self._found[key] = _ByValue(self.every, key)
        return by_value[value]

    def names(self, key: str) -> set[str]:
        """Every value of `key`, for near matches in error messages."""
        return {name for one in self.every if (name := one.name(key)) is not None and not name.endswith(ANY)}

    @property
    def methods(self) -> tuple[Target, ...]:
        """One target for each method that is described."""
        found = {id(one.method): one for one in self.every if not one.method.opaque}
        return tuple(found.values())

    @property
    def is_opaque(self) -> bool:
        """Whether some of them are not described."""
        return any(one.method.opaque for one in self.every)

    def signature(self) -> Hashable:
        """Equal for targets with the same methods; it tells nothing else, and only while the classes exist."""
        return (*(id(one.method) for one in self.methods), *(-1,) * self.is_opaque)

    def names_and_methods(self) -> Hashable:
        """Equal for targets with the same methods under the same names, whatever their servers."""
        return tuple(
            (one.endpoint, one.component, one.interface, one.method.name if one.method.opaque else id(one.method))
            for one in self.every
        )


class _ByValue(dict[str, Targets]):
    """Targets by the value of one key; what is asked for the first time is looked up."""

    def __init__(self, every: Iterable[Target], key: str) -> None:
        self._key = key
        self._exact: dict[str | None, list[Target]] = {}
        self._open: list[Target] = []
        for one in every:
            name = one.name(key)
            if name is not None and name.endswith(ANY):
                self._open.append(one)
            else:
                self._exact.setdefault(name, []).append(one)

    def __missing__(self, value: str) -> Targets:
        left = list(self._exact.get(value, ()))
        left += [one.named(self._key, value) for one in self._open if may_be(one.name(self._key), value)]
        found = Targets(tuple(left))
        # A method is nearly always chosen last: what is left then is quickly made again and rarely asked for twice.
        if self._key != "method":
            self[value] = found
        return found


@dataclass(frozen=True, slots=True)
class Scope:
    """The selectors that hold in a section, and the messages that are left.

    Attributes:
        kind: The event.
        classes: The classes that the policy uses.
        where: The value of each selector that is set.
        left: Every message that the section can meet; empty for `execute`, which has none.
    """

    kind: EventKind
    classes: Mapping[str, TaskClass]
    where: Mapping[str, str]
    left: Targets = field(repr=False)

    @classmethod
    def of(cls, kind: EventKind, classes: Mapping[str, TaskClass]) -> Scope:
        """Everything of one kind."""
        targets: Iterable[Target] = ()
        if kind == "security":
            targets = _security_targets(classes.values())
        elif kind != "execute":
            targets = _endpoint_targets(classes.values())
        return cls(kind, classes, {}, Targets(tuple(targets)))

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every message that the section can meet."""
        return self.left.every

    @property
    def is_opaque(self) -> bool:
        """Whether messages can come whose description is not at hand."""
        return self.left.is_opaque

    @property
    def server_key(self) -> str:
        """Which selector names the class that the method belongs to."""
        return "dst" if self.kind == "request" else "src"

    def messages(self) -> Iterator[tuple[tuple[Parameter, ...], Target]]:
        """The fields of each message that can come and is described."""
        for target in self.left.methods:
            yield self.parameters(target), target

    def narrow(self, selectors: Iterable[psl.Selector]) -> Scope:
        """The scope of a section inside.

        Raises:
            PolicyError: A name does not exist, contradicts the section around, or has no meaning for the event.
        """
        where, left = dict(self.where), self.left
        for selector in selectors:
            key, value = selector.key, selector.value.text
            self._check_key(selector, where)
            if self.kind == "execute" and key in _EXECUTE:
                self._check_execute(selector)
                continue
            where[key] = value
            if key in ("src", "dst"):
                self._check_class(selector)
                if self.kind == "execute" or key != self.server_key:
                    continue
            inside = left.narrow("server" if key in ("src", "dst") else key, value)
            # A class may well have no messages of this kind: a rule for them then speaks of nothing.
            if not inside.every and key not in ("src", "dst"):
                raise _mistake(selector, self._why_nothing(key, value, where, left))
            left = inside
        return Scope(self.kind, self.classes, where, left)

    def parameters(self, target: Target) -> tuple[Parameter, ...]:
        """The fields of `message` for one of the targets."""
        if self.kind == "response":
            return target.method.outputs
        return target.method.errors if self.kind == "error" else target.method.inputs

    def _check_key(self, selector: psl.Selector, where: Mapping[str, str]) -> None:
        key, value = selector.key, selector.value.text
        if key not in KEYS[self.kind]:
            takes = ", ".join(f"`{name}`" for name in KEYS[self.kind])
            raise _mistake(selector, f"`{self.kind}` events have no `{key}`; they take {takes}")
        if where.get(key, value) != value:
            raise _mistake(selector, f"`{key}={value}` contradicts `{key}={where[key]}` around it")

    def _check_execute(self, selector: psl.Selector) -> None:
        """Starting a task has one interface and one method; to name them changes nothing."""
        if selector.value.text != _EXECUTE[selector.key]:
            message = f"the {selector.key} of `execute` events is `{_EXECUTE[selector.key]}`"
            raise _mistake(selector, message)

    def _check_class(self, selector: psl.Selector) -> None:
        name = selector.value.text
        if name not in self.classes:
            hint = near(name, self.classes) or f"; if it exists, add `use EDL {name}`"
            raise _mistake(selector, f"unknown class `{name}`{hint}")

    def _why_nothing(self, key: str, value: str, where: Mapping[str, str], left: Targets) -> str:
        around = " ".join(f"{name}={text}" for name, text in where.items() if name != key) or "any class"
        return f"unknown {key} `{value}` in {around}{near(value, left.names(key))}"


_CALL_KEYS: Final = ("src", "dst", "component", "interface", "endpoint", "method")
KEYS: Final[Mapping[EventKind, tuple[str, ...]]] = {
    "execute": ("src", "dst", "interface", "method"),
    "request": _CALL_KEYS,
    "response": _CALL_KEYS,
    "error": _CALL_KEYS,
    "security": ("src", "interface", "method"),
}
"""Which selectors an event takes."""


_EXECUTE: Final[Mapping[str, str]] = {"interface": "kl.core.Execute", "method": "main"}


def _endpoint_targets(classes: Iterable[TaskClass]) -> Iterator[Target]:
    for one in classes:
        for endpoint in (*one.endpoints.values(), *one.unknown):
            yield from _methods(one.name, endpoint)


def _methods(server: str, endpoint: Endpoint) -> Iterator[Target]:
    interface = endpoint.interface
    for method in interface.methods.values():
        yield Target(server, endpoint.path, endpoint.component, interface.package, method)
    if interface.opaque:
        method = Method(interface.package, ANY, -1, opaque=True)
        yield Target(server, endpoint.path, endpoint.component, interface.package, method)


def _security_targets(classes: Iterable[TaskClass]) -> Iterator[Target]:
    for one in classes:
        if one.security is not None:
            yield from _methods(one.name, Endpoint("", 0, one.security))


def _mistake(selector: psl.Selector, message: str) -> PolicyError:
    return PolicyError([Diagnostic(selector.value.span, message)])
