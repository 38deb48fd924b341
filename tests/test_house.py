"""Rules of the house that no linter knows."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("secureos", "twin", "scenarios", "dashboards")


def modules(*packages):
    return [path for package in packages for path in (ROOT / package).rglob("*.py")]


def texts(path):
    """Every text in a module but its docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


@pytest.mark.parametrize("path", modules("secureos", "twin"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_of_the_twin_asks_which_policy_is_in_force(path):
    for text in texts(path):
        for name in ("permissive", "enforcing", "security.psl"):
            assert name not in text.lower(), f"{path} holds `{text}`"


def test_the_player_turns_the_policys_name_into_a_file_and_asks_no_more():
    tree = ast.parse((ROOT / "scenarios" / "player.py").read_text())
    asking = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and node.value in ("permissive", "enforcing")
    }
    assert asking == {"policy_file"}


def test_the_secure_os_names_no_equipment():
    for path in modules("secureos"):
        for text in texts(path):
            assert not any(word in text.lower().split() for word in ("breaker", "valve", "feeder", "pump")), path


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_a_readme_of_a_few_lines(package):
    rooms = [ROOT / package, *(p.parent for p in (ROOT / package).glob("*/__init__.py"))]
    for room in rooms:
        readme = room / "README.md"
        if room.name in ("actions", "catalogue"):  # described with their parent
            continue
        assert readme.is_file(), f"{room} has no README"
        assert len(readme.read_text().splitlines()) <= 45


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small_and_names_say_something(path):
    assert len(path.read_text().splitlines()) <= 600
    assert path.stem not in ("utils", "helpers", "manager", "handler", "common", "misc")


def test_pins_are_plain():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        name, equals, version = line.partition("==")
        assert name
        assert equals
        assert version
        assert "/" not in line
