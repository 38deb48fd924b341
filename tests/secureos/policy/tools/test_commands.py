"""The `policy` commands as a user meets them: what they print, and their exit codes."""

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from secureos.policy import PolicyError
from secureos.policy.commands import add_commands

GRANT = "request src=lab.Client dst=lab.Driver method=Put { assert (message.level < 5) }\n"
TESTS = 'assert "levels" { sequence "low" { lab.Client ~> lab.Driver:valve.log.Put } }\n'
EXPLAIN = ("explain", "p.psl", "--src", "lab.Client", "--dst", "lab.Driver", "--method", "Put")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    add_commands(app)
    app.command("other")(lambda: None)
    return lambda *args: CliRunner().invoke(app, ["policy", *args])


@pytest.fixture
def policy(write_file, head):
    return write_file("p.psl", head + GRANT + TESTS)


# ---- check ---------------------------------------------------------------------------------------------------------


def test_valid_files(run, policy):
    done = run("check", "p.psl", "lab/Driver.edl", "lab/Outputs.idl", "lab/Valve.cdl")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "4 of 4 files are valid; 0 errors, 0 warnings\n"


def test_every_file_is_told_of(run, policy, write_file, head):
    write_file("bad.psl", head + "request dst=lab.Drivr { grant () }\nrequest { grnt () }")
    write_file("worse.psl", "request {")
    done = run("check", "bad.psl", "p.psl", "worse.psl", "none.psl")
    assert done.exit_code == 3
    assert "bad.psl:6:13: unknown class `lab.Drivr`; did you mean `lab.Driver`?\n    request dst=" in done.stderr
    assert "bad.psl:7:11: Base `base` has no rule `grnt`; did you mean `grant`?" in done.stderr
    assert "worse.psl:1:10: unexpected the end of the file" in done.stderr
    assert "none.psl:1:1: " in done.stderr
    assert done.stdout == "1 of 4 files are valid; 4 errors, 0 warnings\n"


def test_warnings_do_not_fail(run, write_file, head):
    write_file("p.psl", head + "request { }")
    done = run("check", "p.psl")
    assert done.exit_code == 0
    assert done.stderr.startswith("p.psl:6:1: warning: this section has no rules")
    assert "1 of 1 files are valid; 0 errors, 1 warnings" in done.stdout


def test_check_as_json(run, write_file, head):
    write_file("p.psl", head + "request { }")
    write_file("bad.psl", "request {")
    done = run("check", "--json", "p.psl", "bad.psl")
    assert (done.exit_code, done.stderr) == (3, "")
    shown = json.loads(done.stdout)
    assert (shown["schema"], shown["ok"]) == (1, False)
    good, bad = shown["files"]
    assert (good["file"], good["errors"]) == ("p.psl", [])
    assert good["warnings"][0].keys() == {"file", "line", "column", "message"}
    assert (bad["errors"][0]["line"], bad["errors"][0]["column"]) == (1, 10)


def test_syntax_only(run, write_file):
    write_file("p.psl", "use EDL no.Such")
    assert run("check", "--syntax", "p.psl").exit_code == 0
    assert run("check", "p.psl").exit_code == 3


def test_folders_to_look_in(run, policy, tmp_path):
    (tmp_path / "away").mkdir()
    policy.rename(tmp_path / "away" / "p.psl")
    assert run("check", "away/p.psl").exit_code == 3
    assert run("check", "-I", ".", "away/p.psl").exit_code == 0
    done = run("check", "-I", "nowhere", "away/p.psl")
    assert done.exit_code == 2
    assert "`nowhere` is no folder" in plain(done.stderr)


def test_what_is_missing_may_be_opaque(run, write_file, head):
    write_file("p.psl", head + "use EDL kl.VfsNet\nrequest dst=kl.VfsNet { grant () }")
    assert run("check", "p.psl").exit_code == 3
    done = run("check", "--missing", "opaque", "p.psl")
    assert done.exit_code == 0
    assert "warning" in done.stderr
    assert "kl.VfsNet" in done.stderr
    assert run("check", "--missing", "some", "p.psl").exit_code == 2


def test_definitions(run, write_file, head):
    write_file("p.psl.in", head + "use EDL @EXTRA@\n" + GRANT)
    assert run("check", "-D", "EXTRA=lab.Other", "p.psl.in").exit_code == 0
    for wrong in ("EXTRA", "=x"):
        done = run("check", "-D", wrong, "p.psl.in")
        assert done.exit_code == 2
        assert "is not NAME=VALUE" in plain(done.stderr)


# ---- test ----------------------------------------------------------------------------------------------------------


def test_tests_that_pass(run, policy):
    done = run("test", "p.psl")
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.search(r"levels / low +1 +passed", done.stdout)
    assert "1 of 1 sequences passed" in done.stdout
    assert "1 of 1 rules asked (100%)" in done.stdout


def test_tests_that_fail(run, write_file, head):
    write_file("p.psl", head + GRANT)
    write_file(
        "p.pal.psl", 'use p._\nassert { sequence { "[high]" lab.Client ~> lab.Driver:valve.log.Put { level : 9 } } }'
    )
    done = run("test", "p.pal.psl")
    assert done.exit_code == 4
    assert 'p.pal.psl:2: request lab.Client → lab.Driver valve.log.Put "[high]"' in done.stdout
    assert "expected grant, got deny by p.psl:6: `message.level < 5` is false" in done.stdout
    assert "FAILED" in done.stdout
    assert "0 of 1 sequences passed" in done.stdout


def test_a_failure_without_a_label(run, write_file, head):
    write_file("p.psl", head + GRANT + "assert { sequence { deny lab.Client ~> lab.Driver:valve.log.Put } }")
    done = run("test", "p.psl")
    assert "p.psl:7: request lab.Client → lab.Driver valve.log.Put\n    expected deny, got grant" in done.stdout


def test_rules_that_are_never_asked_are_listed(run, write_file, head):
    write_file("p.psl", head + GRANT + TESTS + "error { grant ()\n" + "grant ()\n" * 9 + "}")
    done = run("test", "p.psl")
    assert "1 of 11 rules asked (9%)" in done.stdout
    assert done.stdout.count("never asked: ") == 8
    assert "… and 2 more" in done.stdout


def test_tests_as_json(run, policy):
    shown = json.loads(run("test", "--json", "p.psl").stdout)
    assert (shown["schema"], shown["passed"], shown["policies"][0]["policy"]) == (1, True, "p.psl")


def test_only_some_tests(run, policy):
    assert "1 of 1" in run("test", "--filter", "LOW", "p.psl").stdout
    done = run("test", "--filter", "high", "p.psl")
    assert done.exit_code == 0
    assert "warning: nothing was tested: no sequence has `high` in its name" in done.stderr


def test_a_policy_without_tests(run, write_file, head):
    write_file("p.psl", head + GRANT)
    assert "warning: nothing was tested: there are no tests in it" in run("test", "p.psl").stderr


def test_wrong_tests_are_an_invalid_file(run, write_file, head):
    write_file("p.psl", head + GRANT + "assert { sequence { request dst=lab.Drivr } }")
    assert isinstance(run("test", "p.psl").exception, PolicyError)


# ---- explain -------------------------------------------------------------------------------------------------------


def test_a_granted_event(run, policy):
    done = run(*EXPLAIN, "--message", '{"level": 3}')
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "request lab.Client → lab.Driver valve.log.Put at 0 s",
        "GRANTED by p.psl:6: granted by the one rule for it",
        "    granted    p.psl:6  assert (message.level < 5)",
    ]


def test_a_denied_event(run, policy):
    done = run(*EXPLAIN, "--message", '{"level": 9}', "--at", "2.5")
    assert done.exit_code == 5
    assert "valve.log.Put at 2.5 s" in done.stdout
    assert "DENIED by p.psl:6: `message.level < 5` is false" in done.stdout
    assert "    denied     p.psl:6  assert (message.level < 5)" in done.stdout


def test_an_explanation_as_json(run, policy):
    done = run(*EXPLAIN, "--json", "--message", '{"level": 9}')
    assert done.exit_code == 5
    assert json.loads(done.stdout)["granted"] is False


def test_events_before(run, policy, write_file):
    write_file("e.jsonl", '{"src": "lab.Client", "dst": "lab.Driver", "method": "Put"}\n')
    done = run(*EXPLAIN, "--after", "e.jsonl")
    assert "before: request lab.Client → lab.Driver valve.log.Put: granted by p.psl:6" in done.stdout
    write_file("e.jsonl", '{"src": "lab.Client", "dst": "lab.Driver", "method": "Read"}\n')
    assert "outputs.Read: denied by default" in run(*EXPLAIN, "--after", "e.jsonl").stdout
    write_file("e.jsonl", '{"source": "lab.Client"}')
    done = run(*EXPLAIN, "--after", "e.jsonl")
    assert done.exit_code == 2
    assert "e.jsonl, line 1: unknown key `source`" in plain(done.stderr)


def plain(text):
    """A message without the box around it, which breaks lines where the terminal ends."""
    return re.sub(r"\s+", " ", re.sub(r"[│╭╮╰╯─]", " ", text))


def test_wrong_names_are_wrong_usage(run, policy):
    for args in (("--message", '{"levl": 9}'), ("--message", "{"), ("--endpoint", "vlave.log")):
        assert run(*EXPLAIN, *args).exit_code == 2
    assert "did you mean `level`?" in plain(run(*EXPLAIN, "--message", '{"levl": 9}').stderr)
    assert run(*EXPLAIN, "--event", "requst").exit_code == 2
    assert run("explain", "p.psl").exit_code == 2


# ---- graph and bench -----------------------------------------------------------------------------------------------


def test_graphs(run, policy, tmp_path):
    assert run("graph", "p.psl").stdout.startswith("flowchart LR\n")
    assert run("graph", "p.psl", "--format", "dot").stdout.startswith("digraph policy {")
    assert json.loads(run("graph", "p.psl", "--format", "json").stdout)["calls"][0]["sometimes"] == ["valve.log.Put"]
    done = run("graph", "p.psl", "--format", "svg", "--out", "g.svg")
    assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / "g.svg").read_text().startswith("<svg ")
    done = run("graph", "p.psl", "--out", "no/such/g.svg")
    assert done.exit_code == 2
    assert "cannot be written" in plain(done.stderr)


def test_bench(run, write_file, head):
    write_file("p.psl", head + GRANT + "execute { grant () }")
    done = run("bench", "p.psl", "--seconds", "0.1")
    assert done.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["event"][:2] == ["forms", "decisions"]
    assert rows.keys() == {"event", "execute", "request"}
    assert rows["execute"][-1] == "100%"
    shown = json.loads(run("bench", "p.psl", "--seconds", "0.1", "--json").stdout)
    request = next(row for row in shown["kinds"] if row["kind"] == "request")
    assert request["forms"] == 1
    assert request["decisions"] >= 2000
    assert request["per_second"] > 0
    assert 0 < request["p50_us"] <= request["p99_us"]
    assert 0 < request["granted"] < 1


def test_bench_of_a_policy_without_rules(run, write_file, head):
    write_file("p.psl", head)
    assert json.loads(run("bench", "p.psl", "--seconds", "0.1", "--json").stdout)["kinds"] == []


# ---- help ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "test", "explain", "graph", "bench"])
def test_help_gives_an_example(run, command):
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"Example: holdfast policy {command} " in done.stdout


def test_without_a_command_help_is_shown(run):
    assert "explain" in run().output
