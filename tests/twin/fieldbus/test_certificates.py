"""Our own certificates: made once, kept private, renewed over the same key."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from twin.fieldbus.certificates import (
    CertificateFolder,
    CertificateUnusable,
    Subject,
    read_certificate,
    role_of,
    thumbprint,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SUBJECT = Subject("gateway", hosts=("localhost", "127.0.0.1", "::1"), uri="urn:holdfast:gateway", role="operator")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> CertificateFolder:
    return CertificateFolder(tmp_path_factory.mktemp("pki"))


def test_made_at_first_use_and_then_kept(folder: CertificateFolder) -> None:
    first = folder.own("kept", SUBJECT, now=NOW)
    made = first.certificate.read_bytes()
    assert folder.own("kept", SUBJECT, now=NOW + timedelta(days=300)) == first
    assert first.certificate.read_bytes() == made
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600


def test_it_says_what_it_was_asked_to(folder: CertificateFolder) -> None:
    made = read_certificate(folder.own("says", SUBJECT, now=NOW).certificate)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:holdfast:gateway"]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert role_of(made) == "operator"
    assert made.not_valid_after_utc == NOW + timedelta(days=365)


@pytest.mark.parametrize("issued", [False, True])
def test_renewed_before_it_ends_over_the_same_key(folder: CertificateFolder, issued: bool) -> None:
    path = folder.own(f"renewed-{issued}", SUBJECT, now=NOW, issued=issued)
    old = read_certificate(path.certificate)
    later = NOW + timedelta(days=336)
    folder.own(f"renewed-{issued}", SUBJECT, now=later, issued=issued)
    new = read_certificate(path.certificate)
    assert new.not_valid_after_utc == later + timedelta(days=365)
    assert new.public_key() == old.public_key()
    assert thumbprint(new) != thumbprint(old)


def test_a_short_lived_one_is_not_made_anew_each_time(folder: CertificateFolder) -> None:
    path = folder.own("short", SUBJECT, now=NOW, days=10)
    made = path.certificate.read_bytes()
    folder.own("short", SUBJECT, now=NOW + timedelta(days=4), days=10)
    assert path.certificate.read_bytes() == made


@pytest.mark.parametrize(
    "other",
    [
        Subject("gateway", role="guest"),
        Subject("other", hosts=SUBJECT.hosts, uri=SUBJECT.uri, role="operator"),
        Subject("gateway", hosts=("plant.example",), uri=SUBJECT.uri, role="operator"),
    ],
)
def test_another_subject_makes_it_anew(folder: CertificateFolder, other: Subject) -> None:
    path = folder.own("changing", SUBJECT, now=NOW)
    made = path.certificate.read_bytes()
    folder.own("changing", other, now=NOW)
    assert path.certificate.read_bytes() != made


def test_the_authority_signs_what_it_issues(folder: CertificateFolder) -> None:
    authority = read_certificate(folder.authority(now=NOW))
    issued = read_certificate(folder.own("issued", SUBJECT, now=NOW, issued=True).certificate)
    issued.verify_directly_issued_by(authority)
    by_itself = read_certificate(folder.own("issued", SUBJECT, now=NOW).certificate)
    by_itself.verify_directly_issued_by(by_itself)


def test_trusting_names_by_thumbprint(folder: CertificateFolder) -> None:
    path = folder.own("friend", SUBJECT, now=NOW).certificate
    trusted = folder.trust(path)
    assert trusted.name == f"{thumbprint(read_certificate(path))}.pem"
    assert read_certificate(trusted) == read_certificate(path)


def test_what_cannot_be_read_is_told(folder: CertificateFolder, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    with pytest.raises(CertificateUnusable, match="holds no certificate"):
        read_certificate(tmp_path / "none.pem")
    (folder.own_folder / "broken-key.pem").write_text("nothing")
    with pytest.raises(CertificateUnusable, match="holds no private key"):
        folder.own("broken", SUBJECT, now=NOW)
    with pytest.raises(CertificateUnusable, match="longer than 127 bytes"):
        folder.own("long", Subject("long", role="r" * 128), now=NOW)


def test_the_state_folder_is_the_usual_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "home"))
    folder = CertificateFolder()
    assert folder.folder == tmp_path / "home" / "pki"
    assert stat.S_IMODE(folder.folder.stat().st_mode) == 0o700
