"""EDL, CDL and IDL: what a task offers, what a message looks like, and whether a message fits."""

from secureos.xdl.catalogue import Catalogue, Missing
from secureos.xdl.message import Check, check_message, checker
from secureos.xdl.model import Endpoint, Interface, Method, TaskClass
from secureos.xdl.source import Diagnostic, PolicyError, Source, Span
from secureos.xdl.types import (
    ArrayType,
    BytesType,
    FieldType,
    HandleType,
    IntegerType,
    OpaqueType,
    Parameter,
    SequenceType,
    StringType,
    StructType,
    UnionType,
)

__all__ = [
    "ArrayType",
    "BytesType",
    "Catalogue",
    "Check",
    "Diagnostic",
    "Endpoint",
    "FieldType",
    "HandleType",
    "IntegerType",
    "Interface",
    "Method",
    "Missing",
    "OpaqueType",
    "Parameter",
    "PolicyError",
    "SequenceType",
    "Source",
    "Span",
    "StringType",
    "StructType",
    "TaskClass",
    "UnionType",
    "check_message",
    "checker",
]
