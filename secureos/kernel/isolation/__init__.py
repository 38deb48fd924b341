"""A task in an operating-system process of its own, confined by what this machine offers."""

from secureos.kernel.isolation.availability import Finding, Mechanisms, availability, mechanisms, missing
from secureos.kernel.isolation.child import Built, Place
from secureos.kernel.isolation.devices import Device, Say
from secureos.kernel.isolation.errors import IsolationError, IsolationUnavailable, NotConfined, ProtocolError
from secureos.kernel.isolation.isolated_program import IsolatedProgram
from secureos.kernel.isolation.nursery import Child, Nursery
from secureos.kernel.isolation.turnstile import Turnstile

__all__ = [
    "Built",
    "Child",
    "Device",
    "Finding",
    "IsolatedProgram",
    "IsolationError",
    "IsolationUnavailable",
    "Mechanisms",
    "NotConfined",
    "Nursery",
    "Place",
    "ProtocolError",
    "Say",
    "Turnstile",
    "availability",
    "mechanisms",
    "missing",
]
