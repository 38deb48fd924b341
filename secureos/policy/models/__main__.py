"""The models' documentation: `python -m secureos.policy.models FOLDER` writes a page for each, and a list of them."""

from __future__ import annotations

import sys
from pathlib import Path

from secureos.policy.models import MODELS
from secureos.policy.models.documentation import index, page


def main(arguments: list[str]) -> int:
    """Write the pages into the folder that is named; 2 if none is."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m secureos.policy.models FOLDER\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for kind, model in MODELS.items():
        (folder / f"{kind}.md").write_text(page(model), encoding="utf-8")
    (folder / "README.md").write_text(index(MODELS.values()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
