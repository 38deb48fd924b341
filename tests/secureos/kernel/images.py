"""A tiny image and its programs, signed and unsigned, for tests of what may start."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from secureos.kernel import load_image
from secureos.kernel.boot_checks import program_hashes
from secureos.kernel.image import file_hashes
from secureos.kernel.keys import new_signer
from secureos.kernel.manifest import Manifest, Statement, signature_text, statement_text
from secureos.policy import load_policy

TODAY = date(2030, 6, 15)

FILES = {
    "init.yaml": "entities:\n  - name: Server\n  - name: Client\n    connections: [{target: Server, id: door}]\n",
    "Server.edl": "entity Server\nendpoints { door : parts.Door }\n",
    "Client.edl": "entity Client\n",
    "parts/Door.idl": "package parts.Door\ninterface { Open(in UInt8 number); }\n",
    "logic/main.st": "PROGRAM main END_PROGRAM\n",
    "safety.toml": "# nothing yet\n",
}

POLICY = """execute: kl.core.Execute
use EDL kl.core.Core
use EDL Einit
use EDL Server
use EDL Client
execute { grant () }
request { grant () }
response { grant () }
error { grant () }
"""


class Program:
    """What both programs have in common: nothing happens."""

    def start(self, system):
        self.system = system


class Other(Program):
    """Another class in the same module, so of the same source."""


PROGRAMS = {"Server": Program, "Client": Other}


def write_image(folder: Path, files=None) -> Path:
    """The image's files and its policy in a folder."""
    for name, text in {**FILES, "house.psl": POLICY, **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


class Signed:
    """An image in a folder, signed by a key of its own; every part of it can be changed and signed again."""

    def __init__(self, folder: Path, programs=None):
        self.folder = write_image(folder)
        self.signer = new_signer()
        self.keys = {self.signer.key_id: self.signer.public}
        image = load_image(folder)
        self.programs = programs or program_hashes(image, PROGRAMS)
        self.manifest = Manifest("house", 3, file_hashes([folder]), self.programs, self.signer.key_id)
        self.policy = load_policy(folder / "house.psl", image.catalogue)
        self.statement = Statement("house.psl", 2, self.policy.sha256, self.manifest.image_sha256, self.signer.key_id)
        self.sign()

    def sign(self, **changes):
        """Sign the manifest, with some of it changed."""
        self.manifest = replace(self.manifest, **changes)
        (self.folder / "manifest.json").write_bytes(self.manifest.text())
        (self.folder / "manifest.sig").write_bytes(signature_text(self.signer, self.manifest))
        self.sign_policy(image_sha256=self.manifest.image_sha256)

    def sign_policy(self, **changes):
        """Sign the policy, with some of its statement changed."""
        self.statement = replace(self.statement, **changes)
        (self.folder / "house.psl.sig").write_bytes(statement_text(self.signer, self.statement))
