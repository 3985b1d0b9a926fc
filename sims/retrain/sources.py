"""The source code that a learner reaches: modules by what they mean, and the installed packages that they import.

Imports are read from the source (`ast`) and resolved without executing anything. Modules of this project and of users are
followed, those of installed packages are recorded by their versions, and the standard library by that of Python.
"""

import ast
import hashlib
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from types import ModuleType
from typing import Any, cast

__all__ = [
    "Reached",
    "defined_in",
    "distributions",
    "file_of",
    "is_followed",
    "is_installed",
    "meaning",
    "reached",
    "version_of",
]


@dataclass(frozen=True)
class Reached:
    """What some modules import, directly or through others."""

    executed: frozenset[str]  # followed modules that are executed whenever the first ones are, these included
    later: frozenset[str]  # followed modules that a function may import
    packages: frozenset[str]  # top-level names of installed packages that are imported whenever the first ones are
    later_packages: frozenset[str]


def reached(modules: Iterable[str]) -> Reached:
    """Follow the imports of modules that are neither installed nor of the standard library."""
    executed, later, packages, later_packages = set[str](), set[str](), set[str](), set[str]()
    queue = [(name, True) for name in modules]
    while queue:
        name, now = queue.pop()
        if name in executed or (name in later and not now):
            continue
        file = file_of(name)
        if file is None or not _is_followed(name, file):
            if is_installed(name):
                (packages if now else later_packages).add(name.partition(".")[0])
            continue
        later.discard(name)
        (executed if now else later).add(name)
        queue += [(parent, now) for parent in _parents(name)]
        if not _only_offers(name, file):
            queue += [(other, now and at_once) for other, at_once in _imported_by(name, file)]
    return Reached(frozenset(executed), frozenset(later), frozenset(packages), frozenset(later_packages - packages))


def is_followed(name: str) -> bool:
    """Return whether a module is of this project or of a user, and not installed or of the standard library."""
    file = file_of(name)
    return file is not None and _is_followed(name, file)


def is_installed(name: str) -> bool:
    """Return whether a module is of an installed package, not of the standard library and not made by a program."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names | _OURS:
        return False
    file = file_of(top)
    around = sys.modules.get(top) or _spec(top) if file is None else None  # a folder without __init__.py
    where = getattr(around, "__path__", None) or getattr(around, "submodule_search_locations", None) or ()
    return any(Path(path).is_relative_to(folder) for path in (file or "", *where) for folder in _installed_folders())


def file_of(name: str) -> Path | None:
    """Find the file of a module, loaded or not, without executing anything; None where it has none."""
    module = sys.modules.get(name)
    if module is not None:
        path = getattr(module, "__file__", None)
    else:
        spec = _spec(name)
        path = spec.origin if spec is not None and spec.has_location else None
    return Path(path) if path is not None and Path(path).is_file() else None


def meaning(file: Path) -> str:
    """Digest what a source file says, whatever its comments, docstrings and format; any other file by its bytes."""
    return _source(file).digest


def defined_in(file: Path) -> tuple[str, ...]:
    """Name the functions and classes of a module, and the numbers and texts that it assigns once and no function changes."""
    return _source(file).defined


def distributions(reached: Reached) -> dict[str, str]:
    """Give the versions of the distributions that packages come from; of those imported at once, of all that they require too."""
    queue = [name for package in reached.packages for name in _distributions_of(package)]
    found = {name: version_of(name) for package in reached.later_packages for name in _distributions_of(package)}
    done = set[str]()
    while queue:
        name = queue.pop()
        if name not in done:
            done.add(name)
            found[name] = version_of(name)
            queue += _required_by(name)
    return {name: number for name, number in found.items() if number is not None}


@cache
def version_of(distribution: str) -> str | None:
    """Give the version of a distribution; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


# --- one module ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Import:
    """One name, or a whole module where `name` is empty, and whether it is imported as soon as the file is executed."""

    module: str
    name: str = ""
    level: int = 0
    at_once: bool = True


@dataclass(frozen=True)
class _Source:
    """What a source file says, and what is read from it."""

    digest: str
    imports: tuple[_Import, ...] = ()
    offers: tuple[_Import, ...] = ()  # what a module with `__getattr__` imports when a name of it is used
    attributes: frozenset[str] = frozenset()  # names after a dot
    defined: tuple[str, ...] = ()  # functions, classes and constants


def _source(file: Path) -> _Source:
    return _parsed(file.read_bytes(), file.suffix)


@cache
def _parsed(content: bytes, suffix: str) -> _Source:
    if suffix != ".py":
        return _Source(_short(content))
    tree = ast.parse(content)
    lazy = any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body)
    for_types = [node for node in tree.body if isinstance(node, ast.If) and _is_for_types(node)] if lazy else []
    imports = tuple(_imports_in(tree.body, at_once=True))
    offers = tuple(_imports_in([statement for node in for_types for statement in node.body], at_once=False))
    attributes = frozenset(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    definitions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef))
    defined = {*(node.name for node in definitions), *_constants_in(tree)}
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block: Any = getattr(node, name, None)
            if isinstance(block, list):
                setattr(node, name, [statement for statement in cast(list[ast.AST], block) if not _is_text(statement)])
    return _Source(_short(ast.dump(tree).encode()), imports, offers, attributes, tuple(sorted(defined)))


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _is_text(statement: ast.AST) -> bool:
    """A docstring, or a text below an attribute: it does nothing."""
    return (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    )


def _imports_in(nodes: Iterable[ast.AST], *, at_once: bool) -> Iterator[_Import]:
    """The imports below some nodes, those for type checkers and below `if __name__ == "__main__"` left out."""
    for node in nodes:
        below = at_once
        if isinstance(node, ast.Import):
            yield from (_Import(alias.name, at_once=at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (_Import(node.module or "", alias.name, node.level, at_once) for alias in node.names)
        elif isinstance(node, ast.Call) and _last_name(node.func) in ("import_module", "__import__") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
                yield _Import(first.value, at_once=at_once)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            below = False
        elif isinstance(node, ast.If) and _is_for_types(node):
            yield from _imports_in(node.orelse, at_once=at_once)
            continue
        elif isinstance(node, ast.If) and _is_for_scripts(node):
            continue
        yield from _imports_in(ast.iter_child_nodes(node), at_once=below)


def _is_for_types(node: ast.If) -> bool:
    return _last_name(node.test) == "TYPE_CHECKING"


def _is_for_scripts(node: ast.If) -> bool:
    return isinstance(node.test, ast.Compare) and _last_name(node.test.left) == "__name__"


def _last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _constants_in(tree: ast.Module) -> Iterator[str]:
    """Names assigned once, to a number or a text."""
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    elsewhere = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant | ast.UnaryOp):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            yield from (name for name in names if stored.count(name) == 1 and name not in elsewhere)


# --- from one module to others ---------------------------------------------------------------------------------------------


def _imported_by(name: str, file: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a module imports, and whether at once."""
    source = _source(file)
    for one in source.imports:
        base = _absolute(name, one, is_package=file.stem == "__init__")
        names = {one.name} if one.name and one.name != "*" else source.attributes & _offered_by(base)
        homes = {home for part in names for home in _homes(base, part)}
        yield from ((home, one.at_once and at_once) for home, at_once in {(base, True), *homes})


def _homes(package: str, name: str) -> Iterator[tuple[str, bool]]:
    """The modules behind a name of a package, and whether they are imported with it.

    One of its own, or those that a package of this project, or a module with `__getattr__`, takes the name from.
    """
    file = file_of(package)
    if file is None or not _is_followed(package, file):
        return
    if file.stem == "__init__" and file_of(f"{package}.{name}") is not None:
        yield f"{package}.{name}", True
    for one in _offers(package, file):
        if one.name == name:
            base = _absolute(package, one, is_package=file.stem == "__init__")
            yield base, one.at_once
            yield from ((home, one.at_once and at_once) for home, at_once in _homes(base, name))


def _offered_by(package: str) -> set[str]:
    file = file_of(package)
    return {one.name for one in _offers(package, file)} if file is not None and _is_followed(package, file) else set()


def _offers(name: str, file: Path) -> tuple[_Import, ...]:
    source = _source(file)
    return source.offers + (source.imports if _only_offers(name, file) else ())


def _only_offers(name: str, file: Path) -> bool:
    """Whether a module is a package of this project: these import for others to use, and compute nothing."""
    return name.partition(".")[0] in _OURS and file.stem == "__init__"


def _absolute(name: str, one: _Import, *, is_package: bool) -> str:
    """The full name of what a module imports from."""
    parts = name.split(".")
    around = parts[: len(parts) - one.level + is_package] if one.level else []
    return ".".join([*around, *([one.module] if one.module else [])])


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def _spec(name: str) -> ModuleSpec | None:
    """What `importlib.util.find_spec` finds, without its import of the packages around the module."""
    package = name.rpartition(".")[0]
    path: list[str] | None = None
    if package:
        around: ModuleType | ModuleSpec | None = sys.modules.get(package) or _spec(package)
        where = getattr(around, "__path__", None) or getattr(around, "submodule_search_locations", None)
        if where is None:
            return None
        path = list(where)
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(name, path) if find is not None else None
        if spec is not None:
            return spec
    return None


# --- what is installed -----------------------------------------------------------------------------------------------------


@cache
def _is_followed(name: str, file: Path) -> bool:
    top = name.partition(".")[0]
    if top in _OURS:
        return True
    return top not in sys.stdlib_module_names - {"__main__"} and not any(map(file.is_relative_to, _installed_folders()))


@cache
def _installed_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(Path(folder) for folder in (*folders, *site.getsitepackages(), site.getusersitepackages()))


def _distributions_of(package: str) -> list[str]:
    """The distributions that a package comes from: mostly of its own name, which spares a look at all that is installed."""
    return [package] if version_of(package) is not None else _packages_distributions().get(package, [])


_packages_distributions = cache(packages_distributions)


@cache
def _required_by(distribution: str) -> list[str]:
    """The names of what a distribution always requires."""
    listed = requires(distribution) if version_of(distribution) is not None else None
    wanted = [text for text in listed or [] if "extra ==" not in text]
    return [_canonical(match.group()) for text in wanted if (match := re.match(r"[\w.-]+", text))]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


_OURS = frozenset({"sims", "theory", "dfdw"})
"""Packages of this project: followed even where they are installed."""
