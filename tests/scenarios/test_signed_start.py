"""Runs, comparisons and served twins start what was signed; the record says by whom."""

import asyncio
import json
import shutil
import subprocess
import sys

import pytest

from scenarios import RunSettings, find_scenario, play
from scenarios.judge import result_of
from scenarios.player import Run
from scenarios.run_folder import write_run_folder
from secureos.kernel.floors import floor_of, image_floor, policy_floor
from secureos.kernel.keys import development_key
from secureos.kernel.refusals import Downgraded, FileChanged, OtherImage, Unsigned

SCENARIO = find_scenario("substation/mass-open").scenario
SHORT = SCENARIO.model_copy(update={"steps": SCENARIO.steps[:1], "duration_s": 5.0, "settle_s": 1.0})


def holdfast(*args):
    words = [sys.executable, "-m", "scenarios", *map(str, args)]
    return subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)


def image_of(folder, version):
    for words in (("build", "substation", "--out", folder, "--version", version), ("sign", folder)):
        done = holdfast("image", *words)
        assert done.returncode == 0, done.stderr
    return folder


def played(**settings):
    return asyncio.run(play(SHORT, RunSettings(wire="memory", **settings)))


def test_a_shipped_image_is_signed_at_its_start_and_the_record_says_so(home, tmp_path):
    run = played()
    write_run_folder(tmp_path / "run", run, result_of(run))
    start = json.loads((tmp_path / "run" / "manifest.json").read_text())["start"]
    assert start["signed_by"] == start["policy_signed_by"] == f"development key {development_key().key_id}"
    assert start["signed_at_start"]


def test_a_signed_image_gives_the_same_record_and_its_version_is_remembered(home, tmp_path):
    older, newer = image_of(tmp_path / "older", 4), image_of(tmp_path / "newer", 5)
    plain, signed = played(), played(image=newer, require_signed=True)
    assert signed.twin.recorder.sha256 == plain.twin.recorder.sha256
    assert signed.twin.image.sha256 == plain.twin.image.sha256
    assert not signed.checked.at_start
    assert floor_of(image_floor("substation")) == 5
    assert floor_of(policy_floor("substation", "security.psl")) == 5
    with pytest.raises(Downgraded):
        Run(SHORT, RunSettings(image=older))
    assert Run(SHORT, RunSettings())


def test_a_start_that_fails_remembers_no_version(home, tmp_path):
    image = image_of(tmp_path / "image", 9)
    run = Run(SHORT, RunSettings(wire="memory", image=image))

    async def session():
        run.twin.connect = _no_wire
        with pytest.raises(ConnectionError):
            await run.open()

    asyncio.run(session())
    assert floor_of(image_floor("substation")) == 0


async def _no_wire():
    raise ConnectionError


def test_what_is_not_as_it_was_signed_does_not_start(home, tmp_path):
    image = image_of(tmp_path / "image", 1)
    with pytest.raises(Unsigned):
        Run(SHORT, RunSettings(require_signed=True))
    (image / "other.psl").write_bytes((image / "security.psl").read_bytes())
    with pytest.raises(Unsigned, match="no signature beside it"):
        Run(SHORT, RunSettings(image=image, policy=str(image / "other.psl")))
    with pytest.raises(OtherImage):
        Run(SHORT, RunSettings(image=image_named(tmp_path / "barn", "barn")))
    with (image / "init.yaml").open("a") as file:
        file.write("# more\n")
    with pytest.raises(FileChanged):
        Run(SHORT, RunSettings(image=image))


def image_named(folder, name):
    for words in (("build", "substation", "--out", folder, "--name", name), ("sign", folder)):
        assert holdfast("image", *words).returncode == 0
    return folder


@pytest.mark.parametrize(
    "command", [("run", "substation/mass-open"), ("compare", "substation/mass-open"), ("serve", "substation")]
)
def test_every_command_asks_for_signatures(home, tmp_path, command):
    done = holdfast(*command, "--require-signed")
    assert done.returncode == 3
    assert "is not signed" in done.stderr
    assert not (home / "floors").exists()


def test_a_key_that_others_may_read_is_a_matter_of_the_machine(home):
    development_key()
    (home / "keys" / "development.pem").chmod(0o644)
    done = holdfast("run", "substation/mass-open", "--wire", "memory")
    assert done.returncode == 6
    assert "chmod 600" in done.stderr
    told = holdfast("doctor")
    assert told.returncode == 6
    assert "MISSING" in told.stdout
    shutil.rmtree(home)
