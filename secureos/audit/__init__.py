"""The record of every verdict: one line each, chained by hash, under signed checkpoints."""

from secureos.audit.checkpoint import Checkpoint, Signer, Verifier
from secureos.audit.log import AuditLog, Way
from secureos.audit.record import AuditError, Record
from secureos.audit.verify import Finding, Report, read_lines, verify, verify_chain
from secureos.audit.writer import AuditWriter, InForce

__all__ = [
    "AuditError",
    "AuditLog",
    "AuditWriter",
    "Checkpoint",
    "Finding",
    "InForce",
    "Record",
    "Report",
    "Signer",
    "Verifier",
    "Way",
    "read_lines",
    "verify",
    "verify_chain",
]
