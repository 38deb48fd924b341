"""What a task offers: interfaces with their methods, endpoints, task classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, TypeVar

from secureos.xdl.message import Check, checker
from secureos.xdl.types import Parameter

ANY: Final = "*"
"""Stands for a name that no description at hand gives; no real name is written so."""

Named = TypeVar("Named")


class Open(Mapping[str, Named]):
    """A mapping that is not known whole: it lists what is known, and makes up the rest when it is asked for."""

    def __init__(self, known: Mapping[str, Named], invent: Callable[[str], Named | None]) -> None:
        self._known = known
        self._invent = invent

    def __getitem__(self, name: str) -> Named:
        found = self._known[name] if name in self._known else self._invent(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@dataclass(frozen=True)
class Method:
    """One method of an interface.

    Attributes:
        package: The interface's package, e.g. `holdfast.Outputs`.
        name: E.g. `Write`.
        number: Ordinal in the interface, from 0 (MID); -1 if its description is not at hand.
        inputs, outputs, errors: The fields of the request, of the reply, and of the reply with the error flag.
        opaque: Whether its description is not at hand: then any message fits it.
    """

    package: str
    name: str
    number: int
    inputs: tuple[Parameter, ...] = ()
    outputs: tuple[Parameter, ...] = ()
    errors: tuple[Parameter, ...] = ()
    opaque: bool = False

    @property
    def qualified_name(self) -> str:
        """E.g. `holdfast.Outputs.Write`."""
        return f"{self.package}.{self.name}"

    @cached_property
    def check_inputs(self) -> Check:
        """The structure check of a request: None, or a sentence saying which field is wrong and why."""
        return self._checker(self.inputs)

    @cached_property
    def check_outputs(self) -> Check:
        """The structure check of a reply."""
        return self._checker(self.outputs)

    @cached_property
    def check_errors(self) -> Check:
        """The structure check of a reply with the error flag."""
        return self._checker(self.errors)

    def _checker(self, fields: tuple[Parameter, ...]) -> Check:
        return (lambda _: None) if self.opaque else checker(fields)


@dataclass(frozen=True)
class Interface:
    """One IDL package with an interface; `methods` by name, in the order of their numbers."""

    package: str
    methods: Mapping[str, Method]

    @property
    def opaque(self) -> bool:
        """Whether its description is not at hand."""
        return isinstance(self.methods, Open)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a class can be called.

    Attributes:
        path: `<component instance path>.<endpoint>`, or the plain name if the class itself declares it.
        number: Ordinal in the class, from 0 (RIID); -1 if its description is not at hand.
        interface: What can be asked there.
        component: The component type that implements it, or None if the class itself declares it.
    """

    path: str
    number: int
    interface: Interface
    component: str | None = None


@dataclass(frozen=True)
class TaskClass:
    """One EDL file.

    Attributes:
        name: Its qualified name.
        endpoints: By path, in the order of their numbers.
        security: The security interface, if any.
        unknown: What its endpoints look like that are not described at hand; in a path, `*` stands for the end.
    """

    name: str
    endpoints: Mapping[str, Endpoint]
    security: Interface | None = None
    unknown: tuple[Endpoint, ...] = ()


def opaque_interface(package: str) -> Interface:
    """An interface of which only the name is known: it has every method, with any message."""
    return outlined_interface(Interface(package, {}), whole=False)


def outlined_interface(interface: Interface, *, whole: bool) -> Interface:
    """An interface whose messages may hold other fields; if it is not `whole`, it may have other methods, too."""
    package = interface.package
    known = {name: replace(method, opaque=True) for name, method in interface.methods.items()}
    if whole:
        return Interface(package, known)
    return Interface(package, Open(known, lambda name: Method(package, name, -1, opaque=True)))


def opaque_endpoints(prefix: str) -> Endpoint:
    """All endpoints whose path begins with `prefix`, of which nothing else is known."""
    return Endpoint(f"{prefix}{ANY}", -1, opaque_interface(ANY), ANY)


def opaque_class(name: str) -> TaskClass:
    """A class of which only the name is known."""
    return described_class(name, {}, opaque_interface(ANY), (opaque_endpoints(""),))


def described_class(
    name: str, endpoints: Mapping[str, Endpoint], security: Interface | None, unknown: tuple[Endpoint, ...]
) -> TaskClass:
    """A class; if part of it is unknown, endpoints that may be there are made up when they are asked for."""

    def invent(path: str) -> Endpoint | None:
        for one in unknown:
            if may_be(one.path, path):
                return replace(one, path=path)
        return None

    return TaskClass(name, Open(endpoints, invent) if unknown else endpoints, security, unknown)


def may_be(described: str | None, name: str) -> bool:
    """Whether a name as it is described, which may end in `*`, can be `name`."""
    if described is None or not described.endswith(ANY):
        return described == name
    return name.startswith(described[: -len(ANY)])
