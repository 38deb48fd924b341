"""PSL: reading policies, checking them, and deciding with them."""

from secureos.policy.engine import Engine
from secureos.policy.load import Policy, compile_policy, load_policy
from secureos.policy.native import backend
from secureos.policy.parse import parse
from secureos.policy.verdict import Event, Verdict
from secureos.xdl.source import Diagnostic, PolicyError, Source, Span

__all__ = [
    "Diagnostic",
    "Engine",
    "Event",
    "Policy",
    "PolicyError",
    "Source",
    "Span",
    "Verdict",
    "backend",
    "compile_policy",
    "load_policy",
    "parse",
]
