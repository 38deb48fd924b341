"""Whatever is done to a log that was written, `verify` finds it and says where."""

import io
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.audit import read_lines, verify, verify_chain
from secureos.audit.checkpoint import parse_checkpoint, sign
from secureos.audit.record import GENESIS, LONGEST_LINE, chained
from secureos.audit.verify import MOST_FINDINGS
from tests.secureos.audit.logs import KEYS, OURS, THEIRS, record, written

FAST = settings(max_examples=60, deadline=None)


def is_checkpoint(line):
    return line.startswith(b'{"checkpoint"')


def places(lines, *, checkpoints=False):
    return [index for index, line in enumerate(lines) if is_checkpoint(line) == checkpoints]


def kinds(report):
    return [finding.kind for finding in report.findings]


def test_a_whole_log(fd):
    lines = written(10, fd=fd)
    report = verify(lines, KEYS)
    assert report.ok()
    assert (report.records, report.signed, report.checkpoints, report.finished) == (10, 10, 4, True)
    assert (report.lost, report.lost_verdicts) == ([], 0)
    assert (report.last.closing, report.last.image_sha256, report.last.at_ns) == (True, "a" * 64, 10_000_000_000)
    assert verify_chain(line.decode() for line in lines) == 10


def test_an_empty_log_that_was_opened_and_closed(fd):
    lines = written(0, fd=fd)
    assert verify(lines, KEYS).ok()
    assert [json.loads(line)["checkpoint"]["closing"] for line in lines] == [False, True]


logs = st.tuples(st.integers(3, 25), st.integers(1, 9))


@FAST
@given(logs, st.data())
def test_a_byte_changed_anywhere_is_found_at_its_line(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    index = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[index]) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != lines[index][place]))
    lines[index] = lines[index][:place] + bytes([other]) + lines[index][place + 1 :]
    report = verify(list(read_lines(io.BytesIO(b"".join(lines)))), KEYS)
    assert not report.ok()
    assert report.findings[0].line == index + 1


@FAST
@given(logs, st.data())
def test_a_field_changed_and_hashed_anew_is_found(fd, log, data):
    """The attacker knows how records are chained, but holds no key."""
    lines = written(log[0], fd=fd, every=log[1])
    index = data.draw(st.sampled_from(places(lines)))
    row = json.loads(lines[index])
    name = data.draw(st.sampled_from(sorted(set(row) - {"hash", "prev", "number", "message"})))
    forged = record(row["number"], **{name: 7 if isinstance(row[name], int) else "forged"})
    if forged == record(row["number"]):
        return
    lines[index] = chained(forged, row["prev"]).line.encode() + b"\n"
    report = verify(lines, KEYS)
    assert not report.ok()
    behind = index + 1
    assert report.findings[0].line == behind + 1
    assert report.findings[0].kind == ("checkpoint" if is_checkpoint(lines[behind]) else "stray")


@FAST
@given(logs, st.data())
def test_records_written_anew_to_the_end_are_found_by_the_next_checkpoint(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    first, previous = data.draw(st.sampled_from(places(lines))), GENESIS
    for index in places(lines):
        number = json.loads(lines[index])["number"]
        new = chained(record(number, **({"reason": "forged"} if index >= first else {})), previous)
        lines[index], previous = new.line.encode() + b"\n", new.digest
    report = verify(lines, KEYS)
    following = min(place for place in places(lines, checkpoints=True) if place > first)
    assert [(finding.kind, finding.line) for finding in report.findings] == [("checkpoint", following + 1)]
    assert "written anew" in report.findings[0].text


@FAST
@given(logs, st.data())
def test_a_record_removed_is_named(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    index = data.draw(st.sampled_from(places(lines)))
    number = json.loads(lines.pop(index))["number"]
    report = verify(lines, KEYS)
    found = report.findings[0]
    assert (found.kind, found.record, found.line) == ("missing", number, index + 1)
    assert str(number) in found.text


@FAST
@given(logs, st.data())
def test_two_records_exchanged_are_named(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    one, two = sorted(data.draw(st.lists(st.sampled_from(places(lines)), min_size=2, max_size=2, unique=True)))
    first = json.loads(lines[one])["number"]
    lines[one], lines[two] = lines[two], lines[one]
    report = verify(lines, KEYS)
    assert not report.ok()
    assert (report.findings[0].kind, report.findings[0].line) == ("missing", one + 1)
    assert report.findings[0].record == first
    moved = [(finding.line, finding.record) for finding in report.findings if "moved here" in finding.text]
    assert (two + 1, first) in moved


@FAST
@given(logs, st.data())
def test_a_record_repeated_is_named(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    source = data.draw(st.sampled_from(places(lines)))
    target = data.draw(st.integers(source + 1, len(lines) - 1))
    number = json.loads(lines[source])["number"]
    lines.insert(target, lines[source])
    found = verify(lines, KEYS).findings[0]
    assert (found.kind, found.record, found.line) == ("misplaced", number, target + 1)
    assert "a second time" in found.text


@FAST
@given(logs, st.data())
def test_a_log_cut_off_anywhere_is_known_by_its_end(fd, log, data):
    whole = b"".join(written(log[0], fd=fd, every=log[1]))
    cut = data.draw(st.integers(0, len(whole) - 1))
    report = verify(list(read_lines(io.BytesIO(whole[:cut]))), KEYS)
    assert not report.ok()
    assert not report.finished
    assert set(kinds(report)) == {"unfinished"}
    assert report.ok(unfinished=True)
    assert report.findings[-1].line == whole[:cut].count(b"\n") + (1 if whole[:cut].endswith(b"\n") or not cut else 2)


def test_what_no_signature_covers_is_told(fd):
    lines = written(10, fd=fd, close=False)
    report = verify(lines, KEYS)
    assert (report.records, report.signed) == (10, 8)
    assert "2 records before it are covered by no signature" in report.findings[0].text


@FAST
@given(logs, st.data())
def test_a_forged_record_put_in_is_found(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    index = data.draw(st.sampled_from(places(lines)))
    row = json.loads(lines[index])
    forged = chained(record(row["number"], reason="forged"), row["prev"])
    lines.insert(index, forged.line.encode() + b"\n")
    found = verify(lines, KEYS).findings[0]
    assert (found.kind, found.record, found.line) == ("misplaced", row["number"], index + 2)


@FAST
@given(logs, st.data())
def test_anything_behind_the_end_is_found(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    lines.append(data.draw(st.sampled_from(lines)))
    report = verify(lines, KEYS)
    assert [(finding.kind, finding.line) for finding in report.findings] == [("trailing", len(lines))]


@FAST
@given(logs, st.data())
def test_a_checkpoint_of_another_log_under_the_same_key_is_found(fd, log, data):
    lines, others = written(log[0], fd=fd, every=log[1]), written(log[0], fd=fd, every=log[1], reason="another")
    index = data.draw(st.sampled_from(places(lines, checkpoints=True)[1:]))
    lines[index] = others[index]
    report = verify(lines, KEYS)
    assert (report.findings[0].kind, report.findings[0].line) == ("checkpoint", index + 1)


@FAST
@given(logs, st.data())
def test_a_checkpoint_removed_is_found_by_the_next(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    index = data.draw(st.sampled_from(places(lines, checkpoints=True)[:-1]))
    del lines[index]
    found = verify(lines, KEYS).findings[0]
    assert found.kind == "checkpoint"
    assert "one was removed" in found.text


@FAST
@given(logs, st.data())
def test_a_checkpoint_without_the_key_is_found(fd, log, data):
    lines = written(log[0], fd=fd, every=log[1])
    index = data.draw(st.sampled_from(places(lines, checkpoints=True)))
    lines[index] = sign(parse_checkpoint(lines[index].decode().strip()).checkpoint, THEIRS).line.encode() + b"\n"
    found = verify(lines, KEYS).findings[0]
    assert (found.kind, found.line) == ("signature", index + 1)
    assert f"none of the keys is `{THEIRS.key_id}`" in found.text


def test_a_log_of_another_key(fd):
    lines = written(4, fd=fd, key=THEIRS)
    assert set(kinds(verify(lines, KEYS))) == {"signature"}
    assert verify(lines, [OURS.public, THEIRS.public]).ok()


def test_a_changed_checkpoint_says_so(fd):
    lines = written(4, fd=fd)
    lines[0] = lines[0].replace(b'"policy_sha256":"bb', b'"policy_sha256":"cc')
    assert "it was changed or forged" in verify(lines, KEYS).findings[0].text


def test_every_wrong_is_told_not_only_the_first(fd):
    lines = written(12, fd=fd, every=100)
    lines[3] = lines[3].replace(b"why not", b"because")
    del lines[6]
    lines[8] = b"nonsense\n"
    report = verify(lines, KEYS)
    assert [(finding.kind, finding.line) for finding in report.findings[:3]] == [
        ("changed", 4), ("missing", 7), ("unreadable", 9),
    ]  # fmt: skip


def test_a_hash_changed_is_one_wrong_not_two(fd):
    lines = written(6, fd=fd, every=100)
    lines[2] = lines[2][:-10] + bytes([lines[2][-10] ^ 1]) + lines[2][-9:]
    assert [(finding.kind, finding.record) for finding in verify(lines, KEYS).findings] == [("changed", 1)]


@pytest.mark.parametrize(
    ("junk", "why"),
    [
        (b"\x00\xff\xfe" * 10, "UnicodeDecodeError"),
        (b"", "no hash at its end"),
        (b"{}", "no hash at its end"),
        (b"[" * 200_000, "no hash at its end"),
        (b'{"a":' * 50_000 + b',"hash":"' + b"0" * 64 + b'"}', "RecursionError|JSONDecodeError"),
        (b'{"number":' + b"9" * 5_000 + b',"hash":"' + b"0" * 64 + b'"}', "ValueError"),
        (b'{"number":true,"prev":"","hash":"' + b"0" * 64 + b'"}', "fields are missing"),
        (b'{"number":1' + b"0" * 30 + b',"prev":"","hash":"' + b"0" * 64 + b'"}', "fields are missing"),
        (b'{"number":-1,"prev":"","hash":"' + b"0" * 64 + b'"}', "fields are missing"),
        (b'{"number":1,"prev":7,"hash":"' + b"0" * 64 + b'"}', "fields are missing"),
        (b"x" * (3 * LONGEST_LINE), f"longer than {LONGEST_LINE} bytes"),
        (b'{"checkpoint":7}', "not a signed checkpoint"),
        (b'{"checkpoint":{"a":"},"key_id":"k","signature":"' + b"0" * 128 + b'"}', "not a checkpoint .JSONDecodeError"),
        (
            b'{"checkpoint":' + b'{"a":' * 50_000 + b'{}},"key_id":"k","signature":"' + b"0" * 128 + b'"}',
            "not a checkpoint .(RecursionError|JSONDecodeError)",
        ),
    ],
)
def test_junk_gets_its_own_sentence_and_the_rest_is_still_read(fd, junk, why):
    lines = written(6, fd=fd)
    lines.insert(3, junk + b"\n")
    report = verify(list(read_lines(io.BytesIO(b"".join(lines)))), KEYS)
    assert [(finding.kind, finding.line) for finding in report.findings] == [("unreadable", 4)]
    assert report.records == 6
    assert re.search(why, report.findings[0].text)


def rebuilt(row):
    text = json.dumps(row, separators=(",", ":"))
    return f'{{"checkpoint":{text},"key_id":"k","signature":"{"0" * 128}"}}\n'.encode()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": 2}, "another schema"),
        ({"further": 1}, "missing or added"),
        ({"lost": 7}, "missing or added"),
        ({"lost": {"first": 1}}, "missing or added"),
        ({"lost": {"first": 1, "last": "x"}}, "whole number"),
        ({"unrecorded": [{}]}, "missing or added"),
        ({"unrecorded": 7}, "missing or added"),
        ({"records": "1"}, "whole number"),
        ({"records": 2**63}, "whole number"),
        ({"closing": 1}, "whole number"),
        ({"root": "1"}, "a hash belongs"),
        ({"head": 1}, "a hash belongs"),
    ],
)
def test_a_checkpoint_with_the_wrong_fields_gets_its_own_sentence(fd, change, why):
    lines = written(3, fd=fd)
    lines[0] = rebuilt({**json.loads(lines[0])["checkpoint"], **change})
    found = verify(lines, KEYS).findings[0]
    assert (found.kind, found.line) == ("unreadable", 1)
    assert why in found.text


def test_a_checkpoint_without_a_field(fd):
    lines = written(3, fd=fd)
    row = json.loads(lines[0])["checkpoint"]
    for name in ("lost", "head"):
        lines[0] = rebuilt({key: value for key, value in row.items() if key != name})
        assert "missing or added" in verify(lines, KEYS).findings[0].text


def test_a_checkpoint_that_covers_fewer_records_than_stand_before_it(fd):
    """Under the right key: of a writer that is itself wrong, or of another log with the same beginning."""
    lines, later = written(6, fd=fd, every=3), written(7, fd=fd, every=100)
    opening = json.loads(lines[0])["checkpoint"]
    made = parse_checkpoint(lines[4].decode().strip()).checkpoint
    fewer = sign(made.__class__(**{**vars(made), "records": 2, "leaves": 2}), OURS)
    assert opening["number"] == 0
    lines[4] = fewer.line.encode() + b"\n"
    found = verify(lines, KEYS).findings[0]
    assert (found.kind, found.line) == ("checkpoint", 5)
    assert "were put in" in found.text
    assert verify(later, KEYS).ok()


def test_a_log_that_nobody_signed_is_no_unfinished_one(fd):
    forged = [line for line in written(6, fd=fd, close=False) if not is_checkpoint(line)]
    report = verify(forged, KEYS)
    assert kinds(report) == ["checkpoint", "unfinished"]
    assert not report.ok(unfinished=True)
    assert verify(written(0, fd=fd)[:1], KEYS).ok(unfinished=True)


def test_a_file_of_nothing_but_junk_ends_early():
    report = verify([b"junk\n"] * 10_000, KEYS)
    assert len(report.findings) == MOST_FINDINGS
