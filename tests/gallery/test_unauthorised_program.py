"""What nobody trusted has signed does not start."""

from types import MappingProxyType

import pytest
from typer.testing import CliRunner

from secureos.kernel import ImageError, Kernel
from secureos.kernel.refusals import BadSignature, FileChanged, FileExtra, Unsigned, WrongProgram
from tests.gallery.substation import checked
from twin.controller import programs
from twin.core import Clock
from twin.image_commands import app


class Spy:
    """A program that belongs to nobody."""


@pytest.fixture
def signed(home, tmp_path):
    """The substation's image, built and signed on this machine."""
    folder = tmp_path / "image"
    for words in (["build", "substation", "--out", str(folder)], ["sign", str(folder)]):
        assert CliRunner().invoke(app, words).exit_code == 0
    return folder


def test_unsigned_code_does_not_start(home):
    """The shipped folder was never signed. Whoever insists on signatures gets nothing started from it."""
    with pytest.raises(Unsigned, match="is not signed"):
        checked(require_signed=True)


def test_changed_code_does_not_start(signed):
    """The signed image starts. One byte in its wiring, one file more, one byte in its manifest: it does not."""
    assert checked(image=signed, require_signed=True).image.sha256

    wiring, manifest = signed / "init.yaml", signed / "manifest.json"
    for path, refusal in ((wiring, FileChanged), (manifest, BadSignature)):
        before = path.read_bytes()
        path.write_bytes(
            before.replace(b"G1.estop", b"F6.estop")
            if path == wiring
            else before.replace(b'"version": 1', b'"version": 2')
        )
        with pytest.raises(refusal):
            checked(image=signed)
        path.write_bytes(before)

    (signed / "backdoor.yaml").write_text("entities: []\n")
    with pytest.raises(FileExtra, match=r"backdoor\.yaml"):
        checked(image=signed)


def test_another_program_in_the_gateways_place_does_not_start(signed, monkeypatch):
    """The wiring is as it was signed, but the host would run other code for one of its tasks."""
    others = {**programs.PROGRAMS, "gateway": Spy}
    monkeypatch.setattr(programs, "PROGRAMS", MappingProxyType(others))

    with pytest.raises(WrongProgram, match=r"the program of class `holdfast\.Gateway`"):
        checked(image=signed)


def test_undeclared_code_does_not_start(signed):
    """A program for which the image declares no task: nothing starts, not even what is declared."""
    good = checked(image=signed)
    kernel = Kernel(good.image, good.policy, Clock())

    with pytest.raises(ImageError, match="the image declares no task `spy`"):
        kernel.boot({**programs.PROGRAMS, "spy": Spy})

    assert kernel.tasks == {}
