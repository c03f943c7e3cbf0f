"""Rules of the house that no linter knows. The rings themselves are import-linter's, in lint."""

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_bitbucket_auth

PACKAGE = Path(django_bitbucket_auth.__file__).parent
TESTS = Path(__file__).parents[1]
SOURCES = sorted([*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py")])
NEEDS = {
    "django60",
    "django61",
    "before-django60",
    "before-django61",
    "sqlite",
    "postgresql",
    "mysql",
    "row-locks",
}


def nodes(path: Path) -> Iterator[ast.AST]:
    yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imported(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports, relative ones left out."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_exceptions_imports_of_django_only_its_exceptions() -> None:
    modules = {name for name in imported(PACKAGE / "exceptions.py") if name.startswith("django")}
    assert modules == {"django.core.exceptions"}


def test_warnings_are_errors() -> None:
    with pytest.raises(UserWarning, match="said"):
        warnings.warn("said", stacklevel=1)


def test_markers_name_needs_that_some_environment_has() -> None:
    named = {path: re.findall(r"#\x20needs: (.+)", path.read_text(encoding="utf-8")) for path in SOURCES}
    needs = {(path, need) for path, lines in named.items() for line in lines for need in line.split(", ")}
    assert needs
    assert {(path, need) for path, need in needs if need not in NEEDS} == set()


def test_nothing_of_ours_is_mocked() -> None:
    names = [(path, name) for path in SOURCES for name in imported(path)]
    assert names
    assert [(path, name) for path, name in names if name.startswith(("unittest.mock", "mock"))] == []


def asserts(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a test's body states anything: by ``assert``, or by calling what does."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2].lstrip("_")
            if name.startswith(("assert", "check", "expect", "raises")) or "_assert" in name:
                return True
    return False


def test_every_test_asserts() -> None:
    tests = [
        (path, node)
        for path in SOURCES
        if path.name.startswith("test_")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    assert tests
    assert [(path, test.name) for path, test in tests if not asserts(test)] == []


@pytest.mark.parametrize(
    ("body", "states"),
    [
        ("assert 1", True),
        ("with pytest.raises(ValueError): int('x')", True),
        ("self.assertEqual(1, 1)", True),
        ("client.get('/')", False),
        ("pass", False),
    ],
)
def test_what_counts_as_asserting(body: str, states: bool) -> None:
    (test,) = ast.parse(f"def test():\n    {body}").body
    assert isinstance(test, ast.FunctionDef)
    assert asserts(test) is states
