"""Random and damaged texts for the readers of policies and descriptions: they may refuse, never fail otherwise."""

from __future__ import annotations

import traceback
from pathlib import Path

from secureos.policy import PolicyError, compile_policy
from secureos.xdl import Catalogue
from secureos.xdl.source import read_source
from tests.secureos.policy.reference.policies import PolicyMaker
from tests.secureos.policy.reference.world import FILES

ROOT = Path(__file__).parents[2]
SCRAPS = (
    *("{", "}", "(", ")", "[", "]", ",", ":", ";", ".", "=", '"', "//", "/*", "*/", "@", "{%", "%}", "\\", "\0", "_"),
    *("request", "choice", "match", "audit", "profile", "use", "EDL", "policy object", "type", "config", "assert"),
    *("interface", "package", "struct", "sequence<", "const", "components", "endpoints", "task class", "union"),
    *("0x", "-1", "99999999999999999999", "true", "()", "~", "!", "==>", "&&", "|", "\ufeff", "\r\n", "\x85", "é"),
)


class ReaderFuzzer:
    """Damages texts and reads them from files, as bytes.

    Args:
        source: Where chance comes from.
        folder: An empty folder to write in.
    """

    def __init__(self, source, folder):
        self.source = source
        self.folder = folder
        for name, text in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        shipped = [path for pattern in ("*.psl", "*.?dl") for path in (ROOT / "twin").rglob(pattern)]
        self.descriptions = [text.encode() for text in FILES.values()]
        self.policies = [path.read_bytes() for path in sorted(shipped) if path.suffix == ".psl"]
        self.descriptions += [path.read_bytes() for path in sorted(shipped) if path.suffix != ".psl"]

    def step(self):
        """One text; None, or what failed with the text that did it."""
        if self.source.random() < 0.5:
            seed = PolicyMaker(self.source).text().encode() if self.source.random() < 0.5 else self._pick(self.policies)
            path, read = self.folder / "damaged.psl", self._policy
        else:
            suffix = self.source.choice(("edl", "cdl", "idl"))
            path, seed, read = self.folder / f"w/Damaged.{suffix}", self._pick(self.descriptions), self._description
        damaged = self.damage(seed)
        path.write_bytes(damaged)
        try:
            read(path)
        except PolicyError as refusal:
            if not refusal.diagnostics or not str(refusal):
                return f"a refusal without a place: {damaged!r}"
        except Exception:
            return f"{traceback.format_exc()}\nby {damaged!r}"
        finally:
            path.unlink()
        return None

    def _policy(self, path):
        compile_policy(read_source(path), Catalogue([self.folder]), include=(self.folder,))

    def _description(self, path):
        catalogue, name = Catalogue([self.folder]), "w.Damaged"
        if path.suffix == ".edl":
            catalogue.task_class(name)
        elif path.suffix == ".idl":
            catalogue.package(name)
        else:
            whole = self.folder / "w/Whole.edl"
            whole.write_text("task class w.Whole\ncomponents { it : w.Damaged }\n")
            catalogue.task_class("w.Whole")

    def _pick(self, texts):
        return self.source.choice(texts)

    def damage(self, text):
        """A few cuts, copies, swaps and insertions; sometimes nothing of the text is left."""
        if self.source.random() < 0.05:
            return self.source.randbytes(self.source.randrange(200))
        damaged = bytearray(text)
        for _ in range(self.source.randint(1, 6)):
            start = self.source.randrange(len(damaged) + 1)
            end = min(len(damaged), start + self.source.choice((0, 1, 2, 8, 40, 200)))
            piece = self.source.choice(
                (
                    b"",
                    self.source.choice(SCRAPS).encode() * self.source.choice((1, 1, 1, 2, 300)),
                    self.source.randbytes(2),
                    bytes(damaged[start:end]) * 2,
                )
            )
            damaged[start:end] = piece
        return bytes(damaged)
