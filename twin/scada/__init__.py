"""Supervision: what sees the plant only over the wire."""

from twin.scada.station import CommandRefused, OperatorStation

__all__ = ["CommandRefused", "OperatorStation"]
