"""`holdfast audit` as a user meets it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from secureos.audit import AuditError
from secureos.audit.commands import add_commands
from secureos.audit.merkle import included
from secureos.audit.record import LONGEST_LINE, digest_of
from secureos.kernel.keys import development_key
from tests.secureos.audit.logs import KEYS, OURS, THEIRS, written

root = typer.Typer()
add_commands(root)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "home"))


@pytest.fixture
def run(tmp_path, fd):
    """A run folder with a log under the machine's own key, and a command line."""
    lines = written(10, fd=fd, key=development_key())
    (tmp_path / "audit.jsonl").write_bytes(b"".join(lines))

    def command(*args, lines=None, code=0):
        if lines is not None:
            (tmp_path / "audit.jsonl").write_bytes(b"".join(lines))
        done = CliRunner().invoke(root, ["audit", *map(str, args)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.output

    command.folder, command.lines = tmp_path, lines
    return command


def test_verify_a_run_folder_or_its_log(run):
    assert "whole: 10 records, 10 of them signed, 4 checkpoints\n" in run("verify", run.folder)
    told = json.loads(run("verify", run.folder / "audit.jsonl", "--json"))
    assert told == {
        "schema": 1, "file": str(run.folder / "audit.jsonl"), "ok": True, "records": 10, "signed": 10, "checkpoints": 4,
        "finished": True, "lost": [], "lost_verdicts": 0, "image_sha256": "a" * 64, "policy_sha256": "b" * 64,
        "findings": [],
    }  # fmt: skip


def test_verify_tells_what_is_wrong_and_where(run):
    run.lines[3] = run.lines[3].replace(b"why not", b"because")
    told = run("verify", run.folder, lines=run.lines, code=3)
    assert "changed  line 4: record 2 was changed after it was written" in told
    assert "BROKEN: 10 records, 0 of them signed" in told
    found = json.loads(run("verify", run.folder, "--json", code=3))["findings"]
    assert found[0]["line"] == 4
    assert (found[0]["kind"], found[0]["record"]) == ("changed", 2)


def test_verify_an_unfinished_log(run):
    told = run("verify", run.folder, lines=run.lines[:-1], code=3)
    assert "the closing checkpoint is missing" in told
    assert "no closing checkpoint" in run("verify", run.folder, "--unfinished")
    nothing = json.loads(run("verify", run.folder, "--unfinished", "--json", lines=[]))
    assert nothing["image_sha256"] is None


def test_verify_with_a_key_of_ones_own(run):
    for name, signer in (("ours", OURS), ("theirs", THEIRS)):
        (run.folder / f"{name}.pem").write_text(signer.public.pem())
    told = run("verify", run.folder, "--key", run.folder / "ours.pem", code=3)
    assert f"none of the keys is `{development_key().key_id}`" in told


def test_verify_tells_what_the_log_says_is_lost(run, fd):
    from secureos.audit import AuditLog
    from tests.secureos.audit.logs import Disk, record, writer

    log, disk = AuditLog(limit=10, ring=1), Disk(fd=fd)
    for number in range(30):
        log.note(0, ("request", "a", "b", "", "Do"), "r:1", granted=True)
        log.add(record(number))
    writer(log, disk, key=development_key()).close(0)
    told = run("verify", run.folder, lines=[disk.getvalue()])
    assert "records 0 to 19 could not be written" in told
    assert "29 verdicts were neither recorded nor counted" in told
    assert json.loads(run("verify", run.folder, "--json"))["lost"] == [{"first": 0, "last": 19}]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], range(10)),
        (["--denied"], range(1, 10, 2)),
        (["--task", "gateway"], range(10)),
        (["--task", "gate"], []),
        (["--rule", "p.psl:4"], [4]),
        (["--chain", "1"], [3, 4, 5]),
        (["--since", "1.5"], range(6, 10)),
        (["--denied", "--last", "2"], [7, 9]),
    ],
)
def test_show_and_its_filters(run, options, numbers):
    told = [json.loads(line)["number"] for line in run("show", run.folder, "--json", *options).splitlines()]
    assert told == list(numbers)
    shown = run("show", run.folder, *options).splitlines()
    assert len(shown) == len(told) + 1
    if options[:1] != ["--last"] and "--last" not in options:
        exported = run("export", run.folder, *options).splitlines()
        assert [json.loads(line)["number"] for line in exported] == told


def test_show_lets_nothing_reach_the_terminal_that_is_no_text(run, fd):
    lines = written(2, fd=fd, reason="[red]x\x1b[31m", method="a\x07b")
    told = run("show", run.folder, lines=lines)
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "[red]x\\x1b[31m" in told


@pytest.mark.parametrize("form", ["ecs", "ocsf", "cef", "jsonl"])
def test_export(run, form):
    told = run("export", run.folder, "--format", form, "--start", "2026-03-01T08:00:00").splitlines()
    assert len(told) == 10
    assert run("export", run.folder, "--format", form)


def test_prove(run):
    told = json.loads(run("prove", run.folder, 6, "--json"))
    text = json.dumps({**told["record"], "prev": json.loads(run.lines[8])["prev"]}, separators=(",", ":"))
    assert digest_of(text) == told["hash"]
    made = told["checkpoint"]
    path = [bytes.fromhex(step) for step in told["path"]]
    assert included(bytes.fromhex(told["hash"]), told["index"], made["leaves"], path=path,
                    root=bytes.fromhex(made["root"]))  # fmt: skip
    plain = run("prove", run.folder, 6)
    assert f"signed by `{development_key().key_id}`" in plain
    assert len(plain.splitlines()) == 1 + len(path)


def test_what_cannot_be_proved(run, fd):
    with pytest.raises(AuditError, match="there is no record `77`"):
        run("prove", run.folder, 77)
    with pytest.raises(AuditError, match="no checkpoint of the log covers record `9`"):
        run("prove", run.folder, 9, lines=run.lines[:-1])
    with pytest.raises(AuditError, match="no checkpoint of the log covers record `2`"):
        run("prove", run.folder, 2, lines=[line for line in run.lines if b"checkpoint" not in line])
    with pytest.raises(AuditError, match="record `2` was changed"):
        run("prove", run.folder, 2, lines=[line.replace(b'"p.psl:2"', b'"p.psl:9"') for line in run.lines])
    other = [*written(10, fd=fd, key=development_key(), reason="another")[:-1], run.lines[-1]]
    with pytest.raises(AuditError, match="does not lead to the root"):
        run("prove", run.folder, 2, lines=other)
    with pytest.raises(AuditError, match="fits none of the keys"):
        run("prove", run.folder, 2, lines=written(10, fd=fd, key=THEIRS))


ROW = {
    "number": 0, "at_ns": 0, "chain": 0, "event": "e", "src": "s", "dst": "d", "endpoint": "", "method": "",
    "decision": "granted", "rule": "r", "reason": "w", "message": None, "prev": "0" * 64,
}  # fmt: skip


def line(**changes):
    return f'{json.dumps({**ROW, **changes})[:-1]},"hash":"{"0" * 64}"}}\n'.encode()


@pytest.mark.parametrize(
    ("junk", "why"),
    [
        (b"\xff\xfe\n", "UnicodeDecodeError"),
        (b"junk\n", "no hash at its end"),
        (b"x" * (LONGEST_LINE + 2) + b"\n", "longer than"),
        (line(further=1), "missing or added"),
        (line(number="1"), "whole number"),
        (line(number=10**30), "whole number"),
        (line(at_ns=10**400), "whole number"),
        (line(chain=-1), "whole number"),
        (line(reason=1), "text belongs"),
        (line(decision="perhaps"), "neither granted nor denied"),
        (line(message=7), "neither granted nor denied"),
        (b'{"checkpoint":1}\n', "not a signed checkpoint"),
    ],
)
@pytest.mark.parametrize("command", ["show", "export"])
def test_a_log_that_cannot_be_read_is_told_by_its_line(run, command, junk, why):
    with pytest.raises(AuditError, match=why) as told:
        run(command, run.folder, lines=[run.lines[0], junk])
    assert "line 2" in str(told.value)
    assert str(run.folder) in str(told.value)


def test_no_calendar_goes_on_for_ever(run):
    with pytest.raises(AuditError, match="give an earlier `--start`"):
        run("export", run.folder, "--format", "ecs", "--start", "9999-12-31T23:59:59")


def test_a_log_that_is_not_there(run):
    for command in (["verify"], ["show"], ["export"], ["prove"]):
        with pytest.raises(AuditError, match="cannot be read: No such file"):
            run(*command, run.folder / "nowhere", *([1] if command == ["prove"] else []))


def test_the_keys_of_these_tests_are_not_the_machines_own():
    assert development_key().key_id not in {key.key_id for key in KEYS}
