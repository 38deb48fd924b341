"""What a task offers: interfaces with their methods, endpoints, task classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from secureos.xdl.message import Check, checker
from secureos.xdl.types import Parameter


@dataclass(frozen=True)
class Method:
    """One method of an interface.

    Attributes:
        package: The interface's package, e.g. `holdfast.Outputs`.
        name: E.g. `Write`.
        number: Ordinal in the interface, from 0 (MID).
        inputs, outputs, errors: The fields of the request, of the reply, and of the reply with the error flag.
    """

    package: str
    name: str
    number: int
    inputs: tuple[Parameter, ...] = ()
    outputs: tuple[Parameter, ...] = ()
    errors: tuple[Parameter, ...] = ()

    @property
    def qualified_name(self) -> str:
        """E.g. `holdfast.Outputs.Write`."""
        return f"{self.package}.{self.name}"

    @cached_property
    def check_inputs(self) -> Check:
        """The structure check of a request: None, or a sentence saying which field is wrong and why."""
        return checker(self.inputs)

    @cached_property
    def check_outputs(self) -> Check:
        """The structure check of a reply."""
        return checker(self.outputs)

    @cached_property
    def check_errors(self) -> Check:
        """The structure check of a reply with the error flag."""
        return checker(self.errors)


@dataclass(frozen=True)
class Interface:
    """One IDL package with an interface; `methods` by name, in the order of their numbers."""

    package: str
    methods: Mapping[str, Method]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a class can be called.

    Attributes:
        path: `<component instance path>.<endpoint>`, or the plain name if the class itself declares it.
        number: Ordinal in the class, from 0 (RIID).
        interface: What can be asked there.
        component: The component type that implements it, or None if the class itself declares it.
    """

    path: str
    number: int
    interface: Interface
    component: str | None = None


@dataclass(frozen=True)
class TaskClass:
    """One EDL file: the endpoints by path in the order of their numbers, and the security interface if any."""

    name: str
    endpoints: Mapping[str, Endpoint]
    security: Interface | None = None
