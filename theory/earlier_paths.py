"""Keep the import paths of earlier versions: each of them gives the module under its name of today."""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["keep"]


class _Earlier(MetaPathFinder, Loader):
    """An import hook that finds a module under its earlier name and gives today's module itself, not a copy."""

    def __init__(self, today: dict[str, str]) -> None:
        self.today = today

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self.today else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.today[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's own spec, which the import has replaced; the module has been executed already."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def keep(today: dict[str, str]) -> None:
    """Make `import earlier.name` give today's module, for every pair earlier name -> today's name of the table."""
    sys.meta_path.append(_Earlier(today))
