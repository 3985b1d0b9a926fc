"""Import paths of earlier versions: each leads to the module as it is called today."""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["keep"]


class _Earlier(MetaPathFinder, Loader):
    """Finds a module under its earlier name and gives the module of today, not a copy."""

    def __init__(self, today: dict[str, str]) -> None:
        self.today = today

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self.today else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.today[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Today's module has been executed: it only gets back the spec that the import put in place of its own."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def keep(today: dict[str, str]) -> None:
    """Let `import earlier.name` give today's module, for every earlier name of the table."""
    sys.meta_path.append(_Earlier(today))
