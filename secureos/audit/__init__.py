"""The record of every verdict: one line each, chained by hash."""

from secureos.audit.log import AuditError, AuditLog, Record, verify_chain

__all__ = ["AuditError", "AuditLog", "Record", "verify_chain"]
