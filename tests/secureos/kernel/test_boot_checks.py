"""Before anything starts: image, programs and policy are somebody's, or nothing starts."""

import hashlib
import threading

import pytest

from secureos.kernel import ImageError, load_image, refusals
from secureos.kernel.boot_checks import Trust, boot_checks
from secureos.kernel.floors import floor_of, image_floor, policy_floor, raise_floor
from secureos.kernel.keys import development_key, trust
from tests.secureos.kernel.images import POLICY, PROGRAMS, TODAY, Program, Signed, write_image

ANYBODY = Trust(TODAY)
SIGNED_ONLY = Trust(TODAY, require_signed=True)


class Third(Program):
    """A program in another module than the others, so of another source."""


def check(folder, *, trust=ANYBODY, programs=PROGRAMS, name="house", policy="house.psl"):
    return boot_checks(folder, folder / policy, name=name, programs=programs, trust=trust)


@pytest.fixture
def unsigned(home, tmp_path):
    return write_image(tmp_path / "image")


@pytest.fixture
def signed(home, tmp_path):
    made = Signed(tmp_path / "image")
    trust(made.signer.public)
    return made


def test_a_folder_without_a_manifest_is_signed_at_its_first_start(home, unsigned):
    first = check(unsigned)
    own = development_key().public
    assert first.as_json() == {
        "image": "house",
        "image_version": 0,
        "signed_by": f"development key {own.key_id}",
        "policy_version": 0,
        "policy_signed_by": f"development key {own.key_id}",
        "signed_at_start": True,
    }
    kept = {path: path.stat().st_mtime_ns for path in (home / "signed" / own.key_id).iterdir()}
    assert len(kept) == 3
    second = check(unsigned)
    assert second.image.sha256 == first.image.sha256 == first.statement.image_sha256
    assert {path: path.stat().st_mtime_ns for path in (home / "signed" / own.key_id).iterdir()} == kept
    assert not any(path.suffix in (".json", ".sig") for path in unsigned.iterdir())


def test_the_images_hash_is_over_files_and_programs(unsigned):
    before = check(unsigned).image
    assert set(before.programs) == {"Server", "Client"}
    assert before.sha256 != load_image(unsigned).sha256
    other = check(unsigned, programs={**PROGRAMS, "Client": Third}).image
    assert other.sha256 != before.sha256
    (unsigned / "safety.toml").write_text("# something\n")
    assert check(unsigned).image.sha256 != before.sha256


def test_what_was_kept_at_the_first_start_is_verified_at_the_next(home, unsigned):
    check(unsigned)
    folder = home / "signed" / development_key().key_id
    for pattern in ("*.json", "*[0-9a-f].sig", "*.psl.sig"):
        (path,) = folder.glob(pattern)
        before = path.read_bytes()
        path.write_bytes(before.replace(b"0", b"1"))
        with pytest.raises(refusals.TrustError):
            check(unsigned)
        path.write_bytes(before)
        assert check(unsigned)


def test_what_was_kept_for_another_image_does_not_serve(home, unsigned):
    check(unsigned)
    folder = home / "signed" / development_key().key_id
    (first,) = folder.glob("*.json")
    (unsigned / "safety.toml").write_text("# something\n")
    check(unsigned)
    (second,) = set(folder.glob("*.json")) - {first}
    for suffix in (".json", ".sig"):
        second.with_suffix(suffix).write_bytes(first.with_suffix(suffix).read_bytes())
    with pytest.raises(refusals.FileChanged, match="about another image"):
        check(unsigned)


def test_signed_ones_only(home, unsigned):
    with pytest.raises(refusals.Unsigned, match="holdfast image build"):
        check(unsigned, trust=SIGNED_ONLY)
    assert not home.exists()


def test_a_signed_image_and_policy(signed):
    checked = check(signed.folder, trust=SIGNED_ONLY)
    assert not checked.at_start
    assert checked.image_key == checked.policy_key == signed.signer.public
    assert checked.as_json()["signed_by"] == f"key {signed.signer.key_id}"
    assert checked.as_json()["image_version"] == 3
    assert checked.image.sha256 == signed.manifest.image_sha256
    assert checked.policy.sha256 == signed.policy.sha256


def test_a_policy_that_nobody_signed_for_a_signed_image(signed):
    (signed.folder / "other.psl").write_text(POLICY)
    with pytest.raises(refusals.Unsigned, match="no signature beside it"):
        check(signed.folder, policy="other.psl")


def test_a_policy_that_is_signed_for_an_image_that_is_not(signed, tmp_path):
    for name in ("manifest.json", "manifest.sig"):
        (signed.folder / name).unlink()
    checked = check(signed.folder)
    assert checked.at_start
    assert checked.image_key.development
    assert checked.policy_key == signed.signer.public
    signed.sign_policy(image_sha256="0" * 64)
    with pytest.raises(refusals.OtherImage):
        check(signed.folder)


def test_an_image_for_something_else(signed):
    with pytest.raises(refusals.OtherImage, match="is an image for `house`, and one for `barn` is wanted"):
        check(signed.folder, name="barn")


def test_older_versions_are_refused_after_a_start_and_not_before(home, signed):
    newer = check(signed.folder)
    signed.sign(version=2)
    signed.sign_policy(version=1)
    assert check(signed.folder)
    newer.started()
    assert floor_of(image_floor("house")) == 3
    assert floor_of(policy_floor("house", "house.psl")) == 2
    with pytest.raises(refusals.Downgraded, match=r"manifest\.json: is version 2"):
        check(signed.folder)
    signed.sign(version=3)
    with pytest.raises(refusals.Downgraded, match=r"psl\.sig: is version 1"):
        check(signed.folder)


def test_what_is_signed_on_the_spot_has_no_versions(home, unsigned):
    check(unsigned).started()
    assert floor_of(image_floor("house")) == 0
    assert not (home / "floors").exists()


def test_floors_never_sink_whoever_comes_first(home):
    threads = [threading.Thread(target=raise_floor, args=("one", version)) for version in (5, 1, 9, 3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert floor_of("one") == 9
    raise_floor("one", 2)
    assert floor_of("one") == 9


def test_floors_that_cannot_be_read_or_kept(home):
    raise_floor("one", 1)
    (home / "floors" / "one").write_text("many")
    with pytest.raises(refusals.StateUnavailable, match="should hold a version"):
        floor_of("one")
    (home / "floors" / ".lock").unlink()
    (home / "floors" / ".lock").mkdir()
    with pytest.raises(refusals.StateUnavailable, match="cannot be written to"):
        raise_floor("one", 2)


@pytest.mark.parametrize(
    ("programs", "error", "says"),
    [
        ({"Server": Program}, refusals.UnknownProgram, "no program is registered for task `Client`"),
        ({**PROGRAMS, "Third": Third}, refusals.UnknownProgram, "the image declares no task `Third`"),
        ({**PROGRAMS, "Client": Third}, refusals.WrongProgram, "of class `Client`"),
    ],
)
def test_undeclared_code_does_not_run(signed, programs, error, says):
    with pytest.raises(error, match=says):
        check(signed.folder, programs=programs)


def test_a_program_for_a_task_of_another_class(home, tmp_path):
    made = Signed(tmp_path / "image")
    trust(made.signer.public)
    hashes = check(write_image(tmp_path / "plain"), programs={"Server": Program, "Client": Third}).image.programs
    made.sign(programs=hashes)
    made.sign_policy(image_sha256=made.manifest.image_sha256)
    assert check(made.folder, programs={"Server": Program, "Client": Third})
    with pytest.raises(refusals.WrongClass, match=r"`Client` was signed for `Server`|`Server` was signed for `Client`"):
        check(made.folder, programs={"Server": Third, "Client": Program})


def test_two_programs_for_one_class(home, tmp_path):
    init = "entities: [{name: Server}, {name: Server, task: second}, {name: Client}]"
    folder = write_image(tmp_path / "image", {"init.yaml": init})
    assert check(folder, programs={**PROGRAMS, "second": Program})
    with pytest.raises(refusals.WrongClass, match="`second` is of class `Server` as another program is"):
        check(folder, programs={**PROGRAMS, "second": Third})


def test_files_that_no_image_holds(home, tmp_path):
    made = Signed(tmp_path / "image")
    trust(made.signer.public)
    (made.folder / "notes.txt").write_text("x")
    made.sign(files={**made.manifest.files, "notes.txt": hashlib.sha256(b"x").hexdigest()})
    with pytest.raises(refusals.FileChanged, match="holds what no image holds"):
        check(made.folder)


def test_two_folders_with_a_file_of_one_name(home, unsigned, tmp_path):
    write_image(tmp_path / "more")
    with pytest.raises(ImageError, match="an image has it once"):
        boot_checks(
            unsigned,
            unsigned / "house.psl",
            name="house",
            programs=PROGRAMS,
            trust=ANYBODY,
            include=[tmp_path / "more"],
        )


def test_a_key_that_is_trusted_no_longer(signed, home):
    (home / "trusted" / f"{signed.signer.key_id}.pem").unlink()
    with pytest.raises(refusals.UnknownKey):
        check(signed.folder)
