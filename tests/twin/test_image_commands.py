"""`holdfast image` from building to a run, on the substation's own image."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
import typer
from typer.testing import CliRunner

from secureos.kernel import ImageError
from secureos.kernel.refusals import (
    BadSignature,
    Downgraded,
    ExpiredKey,
    FileChanged,
    OtherImage,
    UnknownKey,
    Unsigned,
    WrongProgram,
)
from twin import image_commands
from twin.controller.programs import PROGRAMS
from twin.core import find_plant

app = typer.Typer()
image_commands.add_commands(app)


@app.callback()
def root():
    """The root of a command line with nothing else on it."""


def run(*words, code=0):
    done = CliRunner().invoke(app, ["image", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def built(home, tmp_path):
    run("build", "substation", "--out", tmp_path / "image", "--version", 2)
    return tmp_path / "image"


@pytest.fixture
def signed(built):
    run("sign", built)
    return built


def test_from_building_to_verifying(built):
    with pytest.raises(Unsigned, match=r"has no manifest\.sig"):
        run("verify", built)
    assert run("sign", built).count("signed by development key") == 3
    told = run("verify", built)
    assert "image substation 2, signed by development key" in told
    assert "files and 3 programs are those that were signed" in told
    tree = json.loads(run("verify", built, "--json"))
    assert tree["schema"] == 1
    assert set(tree["policies"]) == {"security.psl", "permissive.psl"}


def test_building_again_gives_the_same_and_a_built_image_can_be_built_again(signed, tmp_path):
    run("build", "substation", "--out", tmp_path / "second", "--version", 2)
    first, second = ((folder / "manifest.json").read_text() for folder in (signed, tmp_path / "second"))
    assert json.loads(first)["files"] == json.loads(second)["files"]
    run("build", signed, "--out", tmp_path / "third", "--name", "substation", "--version", 2)
    assert (tmp_path / "third" / "manifest.json").read_text() == second


def test_a_vendor_signs_the_image_and_an_operator_the_policy(built, tmp_path):
    for name in ("vendor", "operator"):
        assert "to sign with" in run("keygen", tmp_path / name)
    run("sign", built, "--key", tmp_path / "vendor.pem")
    words = ("sign", built, "--policy", "security.psl", "--version", 7, "--key", tmp_path / "operator.pem")
    assert "policy security.psl 7 signed by key" in run(*words)
    with pytest.raises(UnknownKey):
        run("verify", built)
    run("trust", tmp_path / "vendor.pub.pem")
    with pytest.raises(UnknownKey, match=r"security\.psl\.sig"):
        run("verify", built)
    both = ("--key", tmp_path / "vendor.pub.pem", "--key", tmp_path / "operator.pub.pem")
    assert json.loads(run("verify", built, *both, "--json"))["policies"]["security.psl"]["version"] == 7
    with pytest.raises(UnknownKey):
        run("verify", built, "--key", tmp_path / "operator.pub.pem")


def test_a_key_with_a_last_day(built, tmp_path):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    run("keygen", tmp_path / "old", "--not-after", yesterday)
    run("sign", built, "--key", tmp_path / "old.pem")
    with pytest.raises(ExpiredKey, match=str(yesterday)):
        run("verify", built, "--key", tmp_path / "old.pub.pem")


def test_what_was_changed_after_signing_is_refused(signed):
    init = signed / "init.yaml"
    before = init.read_text()
    init.write_text(before + "# more\n")
    with pytest.raises(FileChanged):
        run("verify", signed)
    init.write_text(before)
    manifest = signed / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 2', '"version": 3'))
    with pytest.raises(BadSignature):
        run("verify", signed)


def test_a_policy_belongs_to_its_image(signed, tmp_path):
    other = tmp_path / "source"
    shutil.copytree(find_plant("substation").image, other)
    (other / "safety.toml").write_text("# another image\n")
    run("build", other, "--out", tmp_path / "other", "--name", "substation")
    run("sign", tmp_path / "other")
    shutil.copy(signed / "security.psl.sig", tmp_path / "other" / "security.psl.sig")
    with pytest.raises(OtherImage):
        run("verify", tmp_path / "other")


def test_a_program_that_is_not_the_one_that_was_signed(built):
    manifest = built / "manifest.json"
    tree = json.loads(manifest.read_text())
    tree["programs"]["holdfast.Gateway"] = "0" * 64
    manifest.write_text(json.dumps(tree, indent=2, sort_keys=True) + "\n")
    run("sign", built)
    with pytest.raises(WrongProgram, match=r"of class `holdfast\.Gateway`"):
        run("verify", built)


def test_versions_that_were_started_before(signed, home):
    (home / "floors").mkdir()
    (home / "floors" / "image-substation").write_text("3")
    with pytest.raises(Downgraded):
        run("verify", signed)


def test_inspect_shows_what_each_task_could_do_under_each_policy(home):
    told = run("inspect", "substation")
    assert "trusted computing base" in told
    assert "holds `plant`, by which it acts with no verdict" in told
    tree = json.loads(run("inspect", "substation", "--json"))
    powers = {
        policy: {(one["task"], one["called"]): one["condition"] for one in rows}
        for policy, rows in tree["if_hostile"].items()
    }
    assert powers["permissive.psl"]["control_logic", "outputs.Write"] == "anything"
    assert powers["security.psl"]["control_logic", "outputs.Write"] == "under rules"
    assert powers["security.psl"]["control_logic", "outputs.Read"] == "anything"
    assert {task["task"] for task in tree["tasks"] if task["trusted"]} == {"field_io"}
    assert set(PROGRAMS) == {task["task"] for task in tree["tasks"]}


def test_a_built_image_is_inspected_as_the_plants_own(signed):
    assert json.loads(run("inspect", signed, "--json")) == json.loads(run("inspect", "substation", "--json"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["inspect", "substaton"], "neither a folder nor a plant"),
        (["build", "substation", "--out", "OUT", "--name", "a b"], "no name of letters"),
        (["build", "substation", "--out", "OUT", "--not-after", "soon"], "no day"),
        (["build", "substation", "--out", "FULL"], "not empty"),
        (["keygen", "FULL/key"], "never written over"),
        (["keygen", "FILE/key"], "cannot be written: Not a directory"),
        (["verify", "nowhere"], "does not exist"),
    ],
)
def test_usage(home, tmp_path, words, says):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "key.pub.pem").write_text("")
    (tmp_path / "file").write_text("")
    places = {"OUT": "out", "FULL": "full", "FILE": "file"}
    for name, place in places.items():
        words = [word.replace(name, str(tmp_path / place)) for word in words]
    assert says in " ".join(run(*words, code=2).replace("│", " ").split())


def test_a_folder_that_was_never_built(home, tmp_path):
    for command in ("sign", "verify"):
        with pytest.raises(Unsigned, match="holdfast image build"):
            run(command, tmp_path)


def test_a_file_name_that_no_image_can_hold(home, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(find_plant("substation").image, source)
    (source / "a file.toml").write_text("")
    with pytest.raises(ImageError, match="has a name of letters"):
        run("build", source, "--out", tmp_path / "out")


def test_where_nothing_can_be_written(built, monkeypatch):
    def fail(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    assert "cannot be written: Permission denied" in " ".join(run("sign", built, code=2).replace("│", " ").split())
