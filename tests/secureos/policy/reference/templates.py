"""Templates in their plainest form: Python itself reads the conditions."""

from __future__ import annotations

import re


class Value(str):
    """What a variable stands for; some texts are not true."""

    __slots__ = ()

    def __bool__(self):
        return str(self).lower() not in ("", "0", "no", "off", "false")


def expand(text, definitions):
    """The text without marks, with as many lines."""
    values, lines, open_branches = {name: Value(value) for name, value in definitions.items()}, [], []
    for line in text.split("\n"):
        mark = re.fullmatch(r"\{% (if|else|endif) ?(.*?) ?%\}", line)
        if mark is None:
            counts = all(open_branches)
            lines.append(re.sub(r"@(\w+)@", lambda found: definitions[found[1]], line) if counts else "")
            continue
        lines.append("")
        if mark[1] == "if":
            open_branches.append(bool(eval(mark[2], {"__builtins__": {}}, values)))
        elif mark[1] == "else":
            open_branches[-1] = not open_branches[-1]
        else:
            open_branches.pop()
    return "\n".join(lines)
