"""The model `Launch`: only signed programs that are known, and never an older one again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import TEXT, name_out_of
from secureos.policy.models.changes import put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.values import BOOLEAN, COMPUTED, INTEGER

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

_MAX_VERSION: Final = 2**32 - 1
_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Program:
    """Who may sign a program, from which version on, and optionally which images alone."""

    signers: frozenset[str]
    floor: int
    images: frozenset[str] | None


class Launch(Model):
    """Decides which programs may be loaded, from facts that the host has established about their images.

    Parameters (`config = { … }`):
        NAME: For each program, by its name, `{ signers, floor }`: who may sign it, and the lowest version that may
            run, 0 to 2^32 - 1; and optionally `images`, a list of the SHA-256 digests (64 small hexadecimal digits)
            that alone may run.

    Rules:
        admit {program, image, signer, version, verified}: Granted if the program is known, the host has verified the
            signature, the signer may sign it, the image is listed (if there is a list), and the version is not lower
            than the floor or than any version admitted before; then the version becomes the new floor.

    Expressions:
        floor {program}: The lowest version that may run now; without value (the event is denied) for an unknown
            program.

    Semantics:
        The model verifies nothing itself: `verified` is what the host found, and must be true. The floor only ever
        rises (no roll-back); with `images` a version is still asked for. Whether an admitted program is then started
        is no longer the model's business.

    Errors:
        Refused at load: no program, a program without signers, digests in another form, versions outside their
        bounds, programs in the policy that do not exist.

    Example::

        policy object boot : Launch { config = { "control" : { signers : ["plant"], floor : 3 } } }
        request dst=Desk method=Load {
            boot.admit {program : message.program, image : message.image, signer : message.signer,
                        version : message.version, verified : message.verified == 1}
        }
        assert {
            sequence {
                grant request src=Panel dst=Desk method=Load
                    { program : "control", image : "a", signer : "plant", version : 5, verified : 1 }
                deny  request src=Panel dst=Desk method=Load
                    { program : "control", image : "a", signer : "plant", version : 4, verified : 1 }
                deny  request src=Panel dst=Desk method=Load
                    { program : "control", image : "a", signer : "plant", version : 5, verified : 0 }
                deny  request src=Panel dst=Desk method=Load
                    { program : "control", image : "a", signer : "guest", version : 5, verified : 1 }
                deny  request src=Panel dst=Desk method=Load
                    { program : "game", image : "a", signer : "plant", version : 5, verified : 1 }
            }
        }

    Source:
        IEC 62443-4-2 EDR 3.12 and EDR 3.14 (roots of trust, integrity of the boot process), CR 3.4; NIST SP 800-193
        on roll-back.
    """

    kind = "Launch"

    def __init__(self, name: str, *, programs: Mapping[str, Program]) -> None:
        super().__init__(name)
        self._programs = programs
        self.floors: dict[str, int] = {}  # of programs that were admitted: the highest version
        program = {"program": name_out_of("a program", tuple(programs))}
        self.rules = {
            "admit": Operation(
                self._admit, {**program, "image": TEXT, "signer": TEXT, "version": INTEGER, "verified": BOOLEAN}
            )
        }
        self.expressions = {"floor": Operation(self._floor, program, value=COMPUTED)}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the programs."""
        configuration.types()
        config = configuration.config()
        programs = {name: _program(configuration, row) for name, row in configuration.entries(config).items()}
        if config is not None and not programs and not configuration.mistakes:
            configuration.say(config.span, "there is no program in it")
        return partial(cls, configuration.name, programs=programs)

    def snapshot(self) -> Any:  # noqa: ANN401
        """The highest version admitted of each program."""
        return dict(sorted(self.floors.items()))

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.floors.clear()
        self.floors.update(state)

    def _admit(self, event: Event, undo: Undo, program: str, image: str, *signed: Any) -> str | None:  # noqa: ANN401
        signer, version, verified = signed
        row = self._programs.get(program)
        if row is None:
            return f"`{self.name}`: program `{program}` is not known"
        floor = self._floor(event, program)
        why = None
        if verified is not True:
            why = "its signature is not verified"
        elif signer not in row.signers:
            why = f"`{signer}` may not sign it"
        elif row.images is not None and image not in row.images:
            why = f"image `{image[:12]}…` is not listed"
        elif version < floor:
            why = f"version {version} is too low, {floor} is the lowest that may run now"
        if why is not None:
            return f"`{self.name}`: program `{program}` must not run: {why}"
        put(undo, self.floors, program, version)
        return None

    def _floor(self, _event: Event, program: str) -> int:
        row = self._programs.get(program)
        if row is None:
            raise Incorrect(f"`{self.name}`: program `{program}` is not known")
        return self.floors.get(program, row.floor)


def _program(configuration: Configuration, row: psl.Expression) -> Program:
    keys = configuration.keys(row, ("signers", "floor"), ("images",))
    signers = configuration.distinct_texts(keys.get("signers"))
    if "signers" in keys and not signers:
        configuration.say(keys["signers"].span, "somebody must be able to sign it")
    images = configuration.distinct_texts(keys.get("images"))
    for item, digest in zip(configuration.items(keys.get("images")), images, strict=True):
        if digest and _DIGEST.match(digest) is None:
            configuration.say(item.span, f"`{digest[:80]}` is no SHA-256 digest of 64 small hexadecimal digits")
    floor = configuration.integer(keys.get("floor"), 0, _MAX_VERSION)
    return Program(frozenset(signers), floor, frozenset(images) if "images" in keys else None)
