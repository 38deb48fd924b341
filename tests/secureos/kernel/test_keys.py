"""Keys: made once for a machine, kept for their owner alone, refused when they are not."""

import hashlib
import multiprocessing
import os
import stat
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from secureos.kernel.keys import (
    PublicKey,
    development_key,
    development_key_path,
    new_signer,
    read_public_key,
    read_signer,
    trust,
    trusted_keys,
)
from secureos.kernel.refusals import KeyUnusable, StateUnavailable
from secureos.kernel.state import keep, private_folder, renew, state_folder


def test_the_development_key_is_made_once_and_kept_for_its_owner_alone(home):
    first, second = development_key(), development_key()
    assert first.public == second.public
    assert first.public.development
    assert str(first.public) == f"development key {first.key_id}"
    path = home / "keys" / "development.pem"
    assert path == development_key_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["development.pem"]


def test_a_key_id_is_the_beginning_of_a_hash():
    signer = new_signer()
    assert signer.key_id == hashlib.sha256(signer.public.raw).hexdigest()[:16]
    assert str(signer.public) == f"key {signer.key_id}"


def _make_key(home, barrier, answers):
    os.environ["HOLDFAST_HOME"] = home
    barrier.wait(30)
    answers.put(development_key().key_id)


def test_processes_that_come_at_once_get_the_same_key(home):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_make_key, args=(str(home), barrier, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    made = {answers.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(30)
    assert made == {development_key().key_id}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_is_open_to_others_is_refused(home, mode):
    development_key()
    development_key_path().chmod(mode)
    with pytest.raises(KeyUnusable, match=r"others may read .*chmod 600"):
        development_key()


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe", b"x" * 10_001])
def test_what_is_no_key_is_refused(home, tmp_path, content):
    path = tmp_path / "key.pem"
    keep(path, content)
    for read in (read_signer, read_public_key):
        with pytest.raises(KeyUnusable, match=r"holds no .* ed25519 key|so it is no key"):
            read(path)
    path.unlink()
    with pytest.raises(KeyUnusable, match="cannot be read: No such file"):
        read_signer(path)


def test_keys_of_other_kinds_are_refused(tmp_path):
    private = generate_private_key(SECP256R1())
    path = tmp_path / "key.pem"
    pkcs8 = serialization.PrivateFormat.PKCS8
    keep(path, private.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption()))
    with pytest.raises(KeyUnusable, match="no private ed25519 key"):
        read_signer(path)
    renew(path, private.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.BestAvailableEncryption(b"x")))
    with pytest.raises(KeyUnusable, match="no private ed25519 key"):
        read_signer(path)
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    renew(path, private.public_key().public_bytes(serialization.Encoding.PEM, info))
    with pytest.raises(KeyUnusable, match="no public ed25519 key"):
        read_public_key(path)


def test_keys_survive_their_files(tmp_path):
    signer = new_signer()
    keep(tmp_path / "own.pem", signer.pem().encode())
    assert read_signer(tmp_path / "own.pem").sign(b"text") == signer.sign(b"text")
    for not_after in (None, date(2031, 5, 1)):
        public = PublicKey(signer.public.raw, not_after)
        renew(tmp_path / "public.pem", public.pem().encode())
        assert read_public_key(tmp_path / "public.pem") == public


def test_a_last_day_that_is_none_is_no_key(tmp_path):
    path = tmp_path / "public.pem"
    path.write_text("Not-After: some day\n" + new_signer().public.pem())
    with pytest.raises(KeyUnusable, match="no public"):
        read_public_key(path)


def test_a_signature_belongs_to_one_text_and_one_key():
    signer, other = new_signer(), new_signer()
    signature = signer.sign(b"text")
    assert signer.public.verifies(signature, b"text")
    assert not signer.public.verifies(signature, b"texT")
    assert not other.public.verifies(signature, b"text")
    assert not signer.public.verifies(b"", b"text")


def test_trusted_are_the_own_key_those_that_were_taken_in_and_those_named(home, tmp_path):
    own, taken, named = development_key(), new_signer(), new_signer()
    assert set(trusted_keys()) == {own.key_id}
    assert trust(taken.public).parent == home / "trusted"
    (tmp_path / "named.pem").write_text(named.public.pem())
    keys = trusted_keys([tmp_path / "named.pem"])
    assert set(keys) == {own.key_id, taken.key_id, named.key_id}
    assert [key.development for key in keys.values() if key.key_id == own.key_id] == [True]
    assert not keys[taken.key_id].development


def test_where_the_state_folder_is(monkeypatch):
    monkeypatch.setenv("HOLDFAST_HOME", "/chosen")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_folder() == Path("/chosen")
    monkeypatch.delenv("HOLDFAST_HOME")
    assert state_folder() == Path("/state/holdfast")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert state_folder() == Path("/home/somebody/.local/state/holdfast")

    def homeless():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(StateUnavailable, match="set HOLDFAST_HOME"):
        state_folder()


def test_a_state_folder_that_cannot_be_made_or_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(StateUnavailable, match=r"Not a directory; set HOLDFAST_HOME"):
        private_folder("keys")
    with pytest.raises(StateUnavailable, match="No such file"):
        keep(tmp_path / "nowhere" / "key.pem", b"")


def test_what_is_kept_first_stays_and_what_is_renewed_does_not(tmp_path):
    path = tmp_path / "one"
    keep(path, b"first")
    keep(path, b"second")
    assert path.read_bytes() == b"first"
    renew(path, b"third")
    assert path.read_bytes() == b"third"
    assert [one.name for one in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize("line", ["Not-After: 2030-12-31", " not-after : 2030-12-31 ", "NOT-AFTER:2030-12-31"])
def test_a_last_day_counts_however_it_is_written(tmp_path, line):
    path = tmp_path / "key.pem"
    path.write_text(f"{line}\n{new_signer().public.pem()}")
    assert read_public_key(path).not_after == date(2030, 12, 31)


def test_a_last_day_that_is_none_makes_no_key(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text(f"not-after:\n{new_signer().public.pem()}")
    with pytest.raises(KeyUnusable):
        read_public_key(path)


def test_a_public_key_is_no_private_one_whoever_may_read_it(tmp_path):
    path = tmp_path / "key.pub.pem"
    path.write_text(new_signer().public.pem())
    path.chmod(0o644)
    with pytest.raises(KeyUnusable, match="holds no private ed25519 key"):
        read_signer(path)
