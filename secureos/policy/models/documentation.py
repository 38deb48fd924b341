"""A model's docstring as a page: it is written for reading in the source, and says everything the page says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Final

from secureos.policy.models.model import Model

SECTIONS: Final = ("Parameters", "Rules", "Expressions", "Semantics", "Errors", "Example", "Source")
"""What the docstring of every model has, in that order."""

_HEADING: Final = re.compile(r"^([A-Z][a-z]+)(?: \((.*)\))?::?$")
_LISTED: Final = frozenset({"Parameters", "Rules", "Expressions"})


def page(model: type[Model]) -> str:
    """The page of one model, in Markdown.

    Raises:
        ValueError: The docstring does not have the sections.
    """
    summary, parts, notes = _parts(model)
    lines = [f"# {model.kind}", "", summary, ""]
    for title in SECTIONS:
        note = f" ({notes[title]})" if title in notes else ""
        lines += [f"## {title}", "", *([f"In {note.strip(' ()')}:", ""] if note else [])]
        if title == "Example":
            lines += ["```", *parts[title], "```", ""]
        else:
            lines += [*(_listed(parts[title]) if title in _LISTED else parts[title]), ""]
    return "\n".join(lines)


def index(models: Iterable[type[Model]]) -> str:
    """The list of all models, in Markdown, with what each is for."""
    rows = [f"| [{model.kind}]({model.kind}.md) | {_parts(model)[0]} |" for model in models]
    return "\n".join(["# Security models", "", "| model | what it does |", "|---|---|", *rows, ""])


def example(model: type[Model]) -> str:
    """The example of a model: a piece of a policy, with tests of its own."""
    return "\n".join(_parts(model)[1]["Example"]) + "\n"


def _parts(model: type[Model]) -> tuple[str, Mapping[str, list[str]], Mapping[str, str]]:
    """The first sentence, the lines of each section without their common indent, and what stands behind a title."""
    summary, *lines = (inspect.getdoc(model) or "").splitlines()
    parts: dict[str, list[str]] = {}
    notes: dict[str, str] = {}
    title = ""
    for line in lines:
        heading = _HEADING.match(line)
        if heading:
            title = heading[1]
            parts[title] = []
            if heading[2]:
                notes[title] = heading[2].replace("`", "")
        elif title:
            parts[title].append(line.removeprefix("    "))
    if tuple(parts) != SECTIONS:
        message = f"model `{model.kind}` is documented under {', '.join(parts)}; {', '.join(SECTIONS)} are due"
        raise ValueError(message)
    return summary, {title: _trimmed(part) for title, part in parts.items()}, notes


def _trimmed(lines: list[str]) -> list[str]:
    return "\n".join(lines).strip("\n").splitlines()


def _listed(lines: list[str]) -> list[str]:
    """Entries `term: text` with further lines indented, as a list; a text without terms stays one."""
    found: list[str] = []
    for line in lines:
        term = re.match(r"^((?:[^:{]|\{[^}]*\})+?)(?: = .*)?: (.*)$", line)
        if line.startswith("    ") or term is None:
            found.append(f"  {line.strip()}" if found and found[0].startswith("- ") else line.strip())
            continue
        name = line[: line.index(term[2], len(term[1]))].rstrip(": ")
        found.append(f"- `{name}`: {term[2]}")
    return found
