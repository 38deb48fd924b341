"""Records in the forms that collectors read: parsed back, required fields there, nothing that breaks a line."""

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.audit.export import EXPORTERS
from secureos.audit.printable import printable
from secureos.audit.reading import Written, read_records
from secureos.audit.record import Record, chained
from tests.secureos.audit.logs import record, written

START = datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)
AWKWARD = record(7, src="a|b=c\\d", method="Set\nx=1 y=2", reason="old=3\r\nnew|4\\\x1b[31m\ud800 é", rule="p.psl:7")


def export(form, one):
    return EXPORTERS[form](one, START, "1.2.3")


def as_written(one):
    bound = chained(one, "0" * 64)
    return Written(one, bound.digest, True)


def cef_fields(line):
    """A small reader of CEF, from its own rules: seven headers between bars, then `name=value` with escapes."""
    headers, rest = [], line.removeprefix("CEF:")
    while len(headers) < 7:
        found = re.match(r"((?:[^\\|]|\\.)*)\|", rest)
        headers.append(re.sub(r"\\([\\|])", r"\1", found[1]))
        rest = rest[found.end() :]
    starts = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)(?<!\\)=", rest))
    values = {}
    for start, end in zip(starts, [*(one.start() for one in starts[1:]), len(rest)], strict=True):
        text = rest[start.end() : end]
        values[start[1]] = re.sub(r"\\([\\=nr])", lambda one: {"n": "\n", "r": "\r"}.get(one[1], one[1]), text)
    return headers, values


texts = st.text(max_size=20)
records = st.builds(
    Record,
    number=st.integers(0, 2**40), at_ns=st.integers(0, 2**62), chain=st.integers(0, 2**40),
    event=st.sampled_from(["execute", "request", "response", "error", "security"]),
    src=texts, dst=texts, endpoint=texts, method=texts, decision=st.sampled_from(["granted", "denied"]),
    rule=texts, reason=texts,
    message=st.none() | st.dictionaries(texts, st.integers() | texts, max_size=3),
)  # fmt: skip


@given(records)
def test_every_form_is_one_line_of_plain_text(one):
    for form in EXPORTERS:
        line = export(form, as_written(one))
        assert len(line.splitlines()) == 1
        assert line.isprintable()


@given(records)
def test_jsonl_gives_the_record_back(one):
    bound = as_written(one)
    assert json.loads(export("jsonl", bound)) == {**asdict(one), "hash": bound.digest}


@given(records)
def test_ecs(one):
    row = json.loads(export("ecs", as_written(one)))
    granted = one.decision == "granted"
    # https://www.elastic.co/docs/reference/ecs: required are these two; the categories are of fixed words
    at = datetime.fromisoformat(row["@timestamp"].replace("Z", "+00:00"))
    assert at == START + timedelta(microseconds=one.at_ns // 1_000)
    assert row["ecs"]["version"].startswith("8.")
    event = row["event"]
    assert event["kind"] == ("event" if granted else "alert")
    assert event["outcome"] == ("success" if granted else "failure")
    allowed = {"process": {"start"}, "api": {"allowed", "denied"}}
    assert set(event["type"]) <= allowed[event["category"][0]] | {"denied"}
    assert event["sequence"] == one.number
    assert event["reason"] == one.reason
    assert ("original" in event) == (one.message is not None)
    assert all(isinstance(value, str) for value in row["labels"].values())
    assert row["rule"]["name"] == one.rule
    assert row["trace"]["id"] == str(one.chain)


@given(records)
def test_ocsf(one):
    row = json.loads(export("ocsf", as_written(one)))
    # https://schema.ocsf.io/1.3.0/classes/api_activity: the required attributes of the class and of its objects
    required = {"activity_id", "actor", "api", "category_uid", "class_uid", "metadata", "severity_id", "src_endpoint",
                "time", "type_uid"}  # fmt: skip
    assert required <= row.keys()
    assert row["type_uid"] == row["class_uid"] * 100 + row["activity_id"] == 600399
    assert row["category_uid"] == 6
    assert row["metadata"]["version"] == "1.3.0"
    assert row["metadata"]["product"]["vendor_name"] == "Holdfast"
    assert row["api"]["operation"]
    assert row["actor"]["app_name"] == row["src_endpoint"]["name"] == one.src
    assert row["time"] == int(START.timestamp() * 1_000) + one.at_ns // 1_000_000
    assert {row["action_id"], row["disposition_id"], row["status_id"]} == {1 if one.decision == "granted" else 2}
    assert row["unmapped"] == {"at_ns": one.at_ns, "message": one.message}


@given(records)
def test_cef_is_read_back_by_its_own_rules(one):
    headers, values = cef_fields(export("cef", as_written(one)))
    assert headers[:4] == ["0", "Holdfast", "secureos", "1.2.3"]
    assert headers[4] == f"{one.event}.{one.decision}"
    assert 0 <= int(headers[6]) <= 10
    assert values["act"] == one.decision
    assert int(values["rt"]) == int(START.timestamp() * 1_000) + one.at_ns // 1_000_000
    assert int(values["cn1"]) == one.chain
    for name, text in (("reason", one.reason), ("cs1", one.rule), ("sproc", one.src), ("dproc", one.dst)):
        shown = "\n".join(printable(line) for line in text.splitlines())
        assert values.get(name, "") == shown
    if one.message is not None:
        assert json.loads(values["msg"]) == one.message


def test_awkward_text():
    headers, values = cef_fields(export("cef", as_written(AWKWARD)))
    assert headers[5] == "act.Set x=1 y=2 denied"
    assert values["sproc"] == "a|b=c\\d"
    assert values["reason"] == "old=3\nnew|4\\\\x1b[31m\\ud800 é"


@pytest.mark.parametrize("form", EXPORTERS)
def test_a_start_of_a_task(form):
    one = as_written(record(0, event="execute", endpoint="", method="", message=None))
    assert "execute" in export(form, one)


def test_records_are_read_from_a_log(fd):
    lines = written(5, fd=fd)
    assert [one.record for one in read_records(lines)] == [record(number) for number in range(5)]
    assert all(one.intact for one in read_records(lines))
