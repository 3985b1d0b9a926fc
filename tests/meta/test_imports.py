"""Who may import whom, read from the source: theory neither sims nor figures, sims not figures, figures not sims."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {"theory": {"sims", "figures"}, "sims": {"figures"}, "figures": {"sims"}}
EVERYWHERE = {"tests", "strategies", "assertions", "conftest"}


def imported_packages(source, package=""):
    """Top-level names of everything a module imports, wherever in it the import stands; a relative import is of `package`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add(package if node.level else node.module.split(".")[0])
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            names |= {str(a.value).split(".")[0] for a in node.args if isinstance(a, ast.Constant)}
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_import_only_what_they_may(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"no sources found under {ROOT / package}"
    for file in files:
        found = imported_packages(file.read_text(encoding="utf-8"), package) & (FORBIDDEN[package] | EVERYWHERE)
        assert not found, f"{file.relative_to(ROOT)} imports {sorted(found)}, which {package} may not"


@pytest.mark.parametrize(
    "source",
    [
        "import sims",
        "import numpy, sims.learners as s",
        "from sims.learners import Logistic",
        "def f():\n    from sims import learners",
        "import importlib\nimportlib.import_module('sims.learners')",
        "if TYPE_CHECKING:\n    import sims.learners.linear.erm",
    ],
)
def test_every_way_to_import_is_seen(source):
    assert "sims" in imported_packages(source, "theory")


@pytest.mark.parametrize(
    "source", ["from theory.laws import sims", "x = 'import sims'", "# import sims", "from . import simsalabim"]
)
def test_a_name_that_is_not_imported_is_not_seen(source):
    assert "sims" not in imported_packages(source, "theory")
