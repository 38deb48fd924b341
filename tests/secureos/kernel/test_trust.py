"""What is not as it was signed is refused, each case by its own name."""

import json
import os
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secureos.kernel import refusals
from secureos.kernel.keys import PublicKey, new_signer
from secureos.kernel.manifest import MAX_BYTES, is_file_name, is_name, signature_text, statement_text
from secureos.kernel.refusals import TrustError
from secureos.kernel.trust import is_signed, same_programs, statement_path, verify_image, verify_policy
from tests.secureos.kernel.images import TODAY, Signed, write_image


@pytest.fixture
def signed(tmp_path):
    return Signed(tmp_path)


def verify(signed, **changes):
    given_ = {"today": TODAY, "floor": 0, "programs": signed.programs, **changes}
    return verify_image(signed.folder, given_.pop("trusted_keys", signed.keys), **given_)


def verify_house(signed, **changes):
    given_ = {"today": TODAY, "floor": 0, "image_sha256": signed.manifest.image_sha256, **changes}
    return verify_policy(signed.folder / "house.psl", signed.policy, given_.pop("trusted_keys", signed.keys), **given_)


def refused(error, says, call, *args, **changes):
    with pytest.raises(TrustError, match=says) as caught:
        call(*args, **changes)
    assert type(caught.value) is error


def test_what_was_signed_is_accepted(signed):
    image, policy = verify(signed), verify_house(signed)
    assert image.manifest == signed.manifest
    assert image.signed_by == policy.signed_by == signed.signer.public
    assert policy.statement == signed.statement
    assert is_signed(signed.folder)


def test_without_a_manifest_or_a_signature_it_is_unsigned(signed, tmp_path_factory):
    (signed.folder / "house.psl.sig").unlink()
    refused(refusals.Unsigned, "has no signature beside it", verify_house, signed)
    (signed.folder / "manifest.sig").unlink()
    assert is_signed(signed.folder)
    refused(refusals.Unsigned, r"has no manifest\.sig", verify, signed)
    (signed.folder / "manifest.json").unlink()
    assert not is_signed(signed.folder)
    refused(refusals.Unsigned, r"has no manifest\.json", verify, signed)


def test_a_manifest_that_names_no_signer_is_unsigned(signed):
    signed.sign(signer=None)
    refused(refusals.Unsigned, "names nobody who signs it", verify, signed)


def test_keys_that_are_not_trusted(signed):
    for call in (verify, verify_house):
        refused(refusals.UnknownKey, "is not trusted here", call, signed, trusted_keys={})


def test_keys_that_are_trusted_no_longer(signed):
    raw = signed.signer.public.raw
    over = {signed.signer.key_id: PublicKey(raw, TODAY - timedelta(days=1))}
    last = {signed.signer.key_id: PublicKey(raw, TODAY)}
    for call in (verify, verify_house):
        refused(refusals.ExpiredKey, "the last day of key .* was 2030-06-14", call, signed, trusted_keys=over)
        assert call(signed, trusted_keys=last)


def test_signatures_of_another_key_in_the_signers_name(signed):
    other = new_signer()
    (signed.folder / "manifest.sig").write_bytes(signature_text(other, signed.manifest))
    (signed.folder / "house.psl.sig").write_bytes(statement_text(other, signed.statement))
    for call in (verify, verify_house):
        refused(refusals.BadSignature, "does not belong to it", call, signed)


def test_a_signature_over_a_manifest_does_not_fit_a_statement(signed):
    assert not signed.manifest.signed().startswith(signed.statement.signed()[:17])


def test_an_image_with_a_last_day(signed):
    signed.sign(not_after=TODAY)
    assert verify(signed).manifest.not_after == TODAY
    refused(refusals.ExpiredImage, "its last day was 2030-06-15", verify, signed, today=date(2030, 6, 16))


def test_older_versions_than_one_that_was_started(signed):
    assert verify(signed, floor=3)
    assert verify_house(signed, floor=2)
    refused(refusals.Downgraded, "is version 3, and version 4 was started", verify, signed, floor=4)
    refused(refusals.Downgraded, "is version 2, and version 3 was started", verify_house, signed, floor=3)


def test_files_that_lack_are_too_many_or_were_changed(signed):
    (signed.folder / "logic" / "main.st").write_text("PROGRAM other END_PROGRAM\n")
    refused(refusals.FileChanged, "is not the file that was signed", verify, signed)
    (signed.folder / "extra.txt").write_text("")
    refused(refusals.FileExtra, r"holds `extra\.txt`", verify, signed)
    (signed.folder / "safety.toml").unlink()
    refused(refusals.FileMissing, r"lacks `safety\.toml`", verify, signed)


def test_entries_too_many_or_too_few_in_the_manifest(signed):
    files = signed.manifest.files
    signed.sign(files={**files, "more.st": "0" * 64})
    refused(refusals.FileMissing, r"lacks `more\.st`", verify, signed)
    signed.sign(files={name: value for name, value in files.items() if name != "init.yaml"})
    refused(refusals.FileExtra, r"holds `init\.yaml`", verify, signed)


def test_links_and_pipes_have_no_place_in_an_image(signed):
    (signed.folder / "link.yaml").symlink_to(signed.folder / "init.yaml")
    refused(refusals.FileExtra, "is no plain file", verify, signed)
    (signed.folder / "link.yaml").unlink()
    os.mkfifo(signed.folder / "pipe")
    refused(refusals.FileExtra, "is no plain file", verify, signed)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "house.psl.sig"])
def test_a_pipe_in_place_of_a_signature_keeps_nobody_waiting(signed, name):
    (signed.folder / name).unlink()
    os.mkfifo(signed.folder / name)
    refused(
        refusals.MalformedManifest, "is no plain file", verify_house if name.startswith("house") else verify, signed
    )


def test_a_folder_with_ever_so_many_files(signed, monkeypatch):
    monkeypatch.setattr("secureos.kernel.trust._MOST_FILES", 3)
    refused(refusals.FileExtra, "more than 3 files", verify, signed)


def test_files_that_cannot_be_read(signed, monkeypatch):
    def fail(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.open", fail)
        refused(refusals.MalformedManifest, "cannot be read: Permission denied", verify, signed)
    real = type(signed.folder).open
    monkeypatch.setattr("pathlib.Path.open", lambda path, *args: (fail if path.suffix == ".st" else real)(path, *args))
    refused(refusals.FileChanged, "cannot be read: Permission denied", verify, signed)


def test_programs(signed):
    own = {"Server": "1" * 64, "Client": "2" * 64}
    signed.sign(programs=own)
    assert verify(signed, programs=own)
    assert verify(signed, programs=None)
    refused(refusals.UnknownProgram, "`Third`, which the manifest", verify, signed, programs={**own, "Third": "3" * 64})
    refused(refusals.UnknownProgram, "the host registers none", verify, signed, programs={"Server": "1" * 64})
    refused(refusals.WrongProgram, "was signed; use the version", verify, signed, programs={**own, "Client": "3" * 64})
    swapped = {"Server": "2" * 64, "Client": "1" * 64}
    refused(refusals.WrongClass, "`Client` was signed for `Server`", verify, signed, programs=swapped)
    same_programs(signed.manifest, own)


def test_policies_of_another_image_and_other_policies(signed):
    refused(refusals.OtherImage, "belongs to image", verify_house, signed, image_sha256="0" * 64)
    signed.sign_policy(policy_sha256="0" * 64)
    refused(refusals.PolicyChanged, "was signed for policy", verify_house, signed)
    signed.sign_policy(policy_sha256=signed.policy.sha256, name="other.psl")
    refused(refusals.PolicyChanged, r"`other\.psl`", verify_house, signed)


def test_an_image_signed_again_by_somebody_else_keeps_its_hash_and_its_policies(signed):
    before = signed.manifest.image_sha256
    signed.signer = new_signer()
    signed.keys[signed.signer.key_id] = signed.signer.public
    signed.sign(signer=signed.signer.key_id, version=9)
    assert signed.manifest.image_sha256 == before


def test_statements_stand_beside_their_policies(tmp_path):
    assert statement_path(tmp_path / "house.psl") == tmp_path / "house.psl.sig"


# ---- what cannot be read -------------------------------------------------------------------------------------------


def changed(text, **changes):
    return (json.dumps(json.loads(text) | changes, indent=2, sort_keys=True) + "\n").encode()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda text: b"", "is not JSON"),
        (lambda text: b"\xff", "is not JSON"),
        (lambda text: b"[" * 100_000, "is not JSON"),
        (lambda text: b"[]", "must be a JSON object"),
        (lambda text: b" " * (MAX_BYTES + 1), "is larger than"),
        (lambda text: text + b" ", "not written in the one form"),
        (lambda text: text.replace(b'"version"', b'"name": "x", "version"'), "`name` stands in it twice"),
        (lambda text: text.replace(b'"init.yaml"', b'"Client.edl"'), r"`Client\.edl` stands in it twice"),
        (lambda text: changed(text, more=1), "unknown key `more`"),
        (lambda text: changed(text, schema=2), "`schema` must be 1"),
        (lambda text: changed(text, schema=True), "not written in the one form"),
        (lambda text: changed(text, name=""), "`name` must be"),
        (lambda text: changed(text, name=3), "`name` must be"),
        (lambda text: changed(text, version=-1), "`version` must be"),
        (lambda text: changed(text, version=2**31), "`version` must be"),
        (lambda text: changed(text, version=True), "`version` must be"),
        (lambda text: changed(text, version=1.5), "`version` must be"),
        (lambda text: changed(text, files=[]), "`files` must be an object"),
        (lambda text: changed(text, files={"../init.yaml": "0" * 64}), "is not a file name"),
        (lambda text: changed(text, files={"/init.yaml": "0" * 64}), "is not a file name"),
        (lambda text: changed(text, files={"init.yaml": "0"}), "has no SHA-256"),
        (lambda text: changed(text, files={"init.yaml": None}), "has no SHA-256"),
        (lambda text: changed(text, files={f"f{n}": "0" * 64 for n in range(4097)}), "more than 4096"),
        (lambda text: changed(text, programs={"a b": "0" * 64}), "is not a task class"),
        (lambda text: changed(text, signer="0"), "`signer` must be a key id"),
        (lambda text: changed(text, not_after="soon"), "`not_after` must be a day"),
        (lambda text: changed(text, not_after=7), "`not_after` must be a day"),
        (lambda text: changed(text, not_after="20300615"), "not written in the one form"),
    ],
)
def test_manifests_that_cannot_be_read(signed, make, says):
    path = signed.folder / "manifest.json"
    path.write_bytes(make(path.read_bytes()))
    refused(refusals.MalformedManifest, says, verify, signed)


def test_a_manifest_without_a_signer_field(signed):
    path = signed.folder / "manifest.json"
    tree = json.loads(path.read_bytes())
    del tree["signer"]
    path.write_text(json.dumps(tree))
    refused(refusals.MalformedManifest, "`signer` must be a key id", verify, signed)


@pytest.mark.parametrize("text", [b"", b"\n", b"0" * 128, b"0" * 127 + b"\n", b"A" * 128 + b"\n", b"\xff" * 129])
def test_signatures_that_cannot_be_read(signed, text):
    (signed.folder / "manifest.sig").write_bytes(text)
    refused(refusals.MalformedManifest, "is no signature", verify, signed)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"statement": 3}, "`statement` must be an object"),
        ({"statement": {}}, "`schema` must be 1"),
        ({"statement": {"schema": 1, "name": "a/b"}}, "`name` must be a file name"),
        ({"statement": {"schema": 1, "name": "a", "version": 1, "policy_sha256": "x"}}, "`policy_sha256` must be"),
        ({"signature": "0"}, "`signature` must be a signature"),
        ({"more": 1}, "unknown key `more`"),
    ],
)
def test_statements_that_cannot_be_read(signed, changes, says):
    path = signed.folder / "house.psl.sig"
    path.write_bytes(changed(path.read_bytes(), **changes))
    refused(refusals.MalformedManifest, says, verify_house, signed)


# ---- any byte ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    return Signed(tmp_path_factory.mktemp("standing"))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.data())
def test_no_byte_of_what_was_signed_can_change(standing, chance):
    names = [*standing.manifest.files, "manifest.json", "manifest.sig", "house.psl.sig"]
    path = standing.folder / chance.draw(st.sampled_from(names))
    before = path.read_bytes()
    at = chance.draw(st.integers(0, len(before) - 1))
    other = chance.draw(st.integers(1, 255))
    try:
        path.write_bytes(before[:at] + bytes([before[at] ^ other]) + before[at + 1 :])
        with pytest.raises(TrustError):
            (verify_house if path.suffix == ".sig" and "psl" in path.name else verify)(standing)
    finally:
        path.write_bytes(before)
    assert verify(standing)
    assert verify_house(standing)


def test_every_file_of_the_image_is_covered(signed):
    write_image(signed.folder)
    assert set(signed.manifest.files) == {
        "Client.edl",
        "Server.edl",
        "init.yaml",
        "logic/main.st",
        "parts/Door.idl",
        "safety.toml",
    }


def test_names():
    assert is_name("house-2.1")
    assert not is_name("a house")
    assert is_file_name("parts/Door.idl")
    assert not is_file_name("../Door.idl")
