"""Records in the forms that collectors of security events read: ECS, OCSF, CEF; and the plain record.

* ECS: Elastic Common Schema 8.17, field sets base, event, rule, process, service, trace.
* OCSF: Open Cybersecurity Schema Framework 1.3.0, class API Activity (6003) with the profile `security_control`.
* CEF: ArcSight Common Event Format, version 0.

A record holds the host's time, which begins at zero; `start` says which instant of the calendar that is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from secureos.audit.printable import printable
from secureos.audit.reading import Written
from secureos.audit.record import Record

ECS_VERSION: Final = "8.17.0"
OCSF_VERSION: Final = "1.3.0"
VENDOR: Final = "Holdfast"
PRODUCT: Final = "secureos"

Exporter = Callable[[Written, datetime, str], str]
"""A record, the calendar's instant of the host's zero (with a zone), the product's version; one line."""

_API_ACTIVITY: Final = 6003
_OTHER: Final = 99
_CEF_HEADER: Final = re.compile(r"[\\|]")
_CEF_VALUE: Final = re.compile(r"[\\=]")


def _jsonl(written: Written, start: datetime, version: str) -> str:  # noqa: ARG001 -- needs neither
    return json.dumps({**asdict(written.record), "hash": written.digest})


def _ecs(written: Written, start: datetime, version: str) -> str:
    record, granted = written.record, written.record.decision == "granted"
    row: dict[str, Any] = {
        "@timestamp": _instant(record, start).isoformat().replace("+00:00", "Z"),
        "ecs": {"version": ECS_VERSION},
        "message": f"{_action(record)} {record.decision}: {record.reason}",
        "event": {
            "kind": "event" if granted else "alert",
            "category": ["process" if record.event == "execute" else "api"],
            "type": ["start" if record.event == "execute" else "allowed" if granted else "denied"],
            "action": _action(record),
            "outcome": "success" if granted else "failure",
            "reason": record.reason,
            "sequence": record.number,
            "id": written.digest,
            "module": PRODUCT,
            "dataset": f"{PRODUCT}.audit",
            "severity": _severity(record),
        },
        "rule": {"name": record.rule, "ruleset": record.rule.partition(":")[0]},
        "process": {"name": record.src},
        "service": {"name": record.dst or PRODUCT, "type": PRODUCT},
        "trace": {"id": str(record.chain)},
        "observer": {"vendor": VENDOR, "product": PRODUCT, "version": version, "type": "security-module"},
        "labels": _filled({"kind": record.event, "endpoint": record.endpoint, "method": record.method}),
    }
    if record.message is not None:
        row["event"]["original"] = json.dumps(record.message)
    return json.dumps(row)


def _ocsf(written: Written, start: datetime, version: str) -> str:
    record, granted = written.record, written.record.decision == "granted"
    return json.dumps(
        {
            "activity_id": _OTHER,
            "activity_name": record.event,
            "category_uid": _API_ACTIVITY // 1000,
            "class_uid": _API_ACTIVITY,
            "type_uid": _API_ACTIVITY * 100 + _OTHER,
            "time": _milliseconds(record, start),
            "severity_id": 1 if granted else 3,
            "status_id": 1 if granted else 2,
            "status_detail": record.reason,
            "action_id": 1 if granted else 2,
            "disposition_id": 1 if granted else 2,
            "message": f"{_action(record)} {record.decision}: {record.reason}",
            "metadata": {
                "version": OCSF_VERSION,
                "profiles": ["security_control"],
                "product": {"name": PRODUCT, "vendor_name": VENDOR, "version": version},
                "uid": written.digest,
                "sequence": record.number,
                "correlation_uid": str(record.chain),
                "log_name": "audit",
            },
            "actor": {"app_name": record.src},
            "api": {
                "operation": record.method or record.event,
                "service": {"name": record.endpoint or record.dst or PRODUCT},
                "request": {"uid": str(record.chain)},
            },
            "src_endpoint": {"name": record.src},
            "dst_endpoint": {"name": record.dst or PRODUCT},
            "policy": {"name": record.rule.partition(":")[0], "uid": record.rule},
            "unmapped": {"at_ns": record.at_ns, "message": record.message},
        }
    )


def _cef(written: Written, start: datetime, version: str) -> str:
    record = written.record
    header = (VENDOR, PRODUCT, version, f"{record.event}.{record.decision}", f"{_action(record)} {record.decision}")
    extension = {
        "rt": _milliseconds(record, start),
        "act": record.decision,
        "outcome": "success" if record.decision == "granted" else "failure",
        "externalId": record.number,
        "sproc": record.src,
        "dproc": record.dst,
        "reason": record.reason,
        "cn1Label": "chain",
        "cn1": record.chain,
        "cs1Label": "rule",
        "cs1": record.rule,
        "cs2Label": "hash",
        "cs2": written.digest,
        "msg": "" if record.message is None else json.dumps(record.message),
    }
    fields = "|".join(_one_line(part, " ", _CEF_HEADER) for part in header)
    values = " ".join(f"{name}={_cef_value(value)}" for name, value in _filled(extension).items())
    return f"CEF:0|{fields}|{_severity(record)}|{values}"


EXPORTERS: Final[Mapping[str, Exporter]] = {"ecs": _ecs, "ocsf": _ocsf, "cef": _cef, "jsonl": _jsonl}
"""By format."""


def _cef_value(value: object) -> str:
    r"""In values a backslash and an equals sign are escaped, and a new line is written as `\n`."""
    return _one_line(str(value), r"\n", _CEF_VALUE)


def _one_line(text: str, joined_by: str, escaped: re.Pattern[str]) -> str:
    return joined_by.join(escaped.sub(r"\\\g<0>", printable(line)) for line in text.splitlines())


def _action(record: Record) -> str:
    return ".".join(part for part in (record.endpoint, record.method) if part) or record.event


def _severity(record: Record) -> int:
    """From 0 to 10, as CEF counts: 0 to 3 low, 4 to 6 medium, 7 and 8 high."""
    return 2 if record.decision == "granted" else 6


def _instant(record: Record, start: datetime) -> datetime:
    return start + timedelta(microseconds=record.at_ns // 1_000)


def _milliseconds(record: Record, start: datetime) -> int:
    return round(start.timestamp() * 1_000) + record.at_ns // 1_000_000


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value != ""}
