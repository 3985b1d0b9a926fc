"""A folder of finished files, with `manifest.json`, which lists the sha256 of each.

    manifest.json     {"files": {"identity/moons-8 mlp.zarr": ["<sha256>"], "report.html": ["<sha256>"]}, "sha256": "<of files>"}
    lock              held while a file takes its place

Every file is written whole, read whole and compared with the manifest before a number is made of it. While one file takes the
place of another the manifest lists both, and either is sound. An empty list stands for a file to be made again.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from theory.storage.files import Content, leftovers, make_folder, read_content, remove, remove_leftovers, write_whole
from theory.storage.locks import is_locked, locked

__all__ = ["MANIFEST", "ResultsFolder", "digest", "json_digest", "keep", "staying"]

MANIFEST = "manifest.json"

Listed = Mapping[str, tuple[str, ...]]
"""The sha256 that a file may have, by its path in the folder."""


@dataclass(frozen=True)
class ResultsFolder:
    """A folder whose finished files `manifest.json` lists."""

    path: Path

    @classmethod
    def made(cls, path: Path) -> "ResultsFolder":
        """Make the folder and its manifest where they do not exist, and remove what killed writers left in it."""
        make_folder(path)
        folder = cls(path)
        with folder._locked():
            if not (path / MANIFEST).exists():
                folder._list({})
            for inner in folder._inner(folder.listed()):
                remove_leftovers(inner)
        return folder

    @classmethod
    def around(cls, file: Path) -> "ResultsFolder | None":
        """Return the innermost results folder that a file lies in, if there is one."""
        return next((cls(folder) for folder in file.absolute().parents if (folder / MANIFEST).exists()), None)

    def listed(self) -> Listed:
        """Return what the manifest lists; nothing where there is none. A damaged one is refused."""
        try:
            record = cast(dict[str, Any], json.loads((self.path / MANIFEST).read_bytes()))
            files = {str(name): tuple(map(str, sha256)) for name, sha256 in record["files"].items()}
            sound = record["sha256"] == json_digest(files)
        except FileNotFoundError:
            return {}
        except (ValueError, LookupError, TypeError, AttributeError):
            files, sound = {}, False
        if not sound:
            raise OSError(f"{self.path / MANIFEST} was edited or damaged, so that no result can be trusted; {self._remedy}")
        return files

    def put(self, name: str, content: Content) -> Path:
        """Write a file or a folder of files under this name, and list it. The same content is not written again."""
        path, new = self.path / name, digest(content)
        with self._locked():
            listed = self.listed()
            before = listed.get(name, ())
            remove_leftovers(path.parent)
            if before == (new,) and (found := read_content(path)) is not None and digest(found) == new:
                return path
            self._list({**listed, name: tuple(dict.fromkeys((*before, new)))})
            try:
                write_whole(path, content)
            except OSError:
                self._list(listed)
                raise
            self._list({**listed, name: (new,)})
        return path

    def get(self, name: str) -> Content:
        """Read what `put` wrote, the earlier or the later content while it is replaced; anything else is refused by name."""
        content, reason = self._settled(name)
        if content is None:
            raise OSError(f"{self.path / name} {reason}; {self._remedy}")
        return content

    def check(self, *, repair: bool = False) -> tuple[list[str], int]:
        """Compare every listed file with its sha256: (what is wrong, one line each; how many files are yet to be made again).

        `repair` removes damaged files. Their names stay in the manifest, so that nobody works without them unawares. It forgets
        files that are missing.
        """
        if repair:
            with self._locked():
                return self._check(repair=True)
        return self._check(repair=False)

    def _check(self, *, repair: bool) -> tuple[list[str], int]:
        faults: list[str] = []
        results = {path.relative_to(self.path).as_posix() for path in self.path.glob("*/*.zarr")}
        try:
            listed = dict(self.listed())
            lost = bool(results) and not (self.path / MANIFEST).exists()
            if lost:
                faults.append(f"{self.path / MANIFEST} is missing, and there are results")
        except OSError as error:
            faults.append(str(error).partition(";")[0])
            listed, lost = {}, True
        for name in sorted({*listed, *results}):
            content, reason = self._settled(name) if listed.get(name) else (None, _NOT_LISTED)
            if content is not None or listed.get(name) == ():
                continue
            if not lost:  # else one line has said it of all
                faults.append(f"{self.path / name} {reason}")
            if repair and listed.get(name) and not (self.path / name).exists():
                del listed[name]
                continue
            if repair and listed.get(name):
                remove(self.path / name)
            listed[name] = ()
        if repair:
            for inner in self._inner(listed):
                remove_leftovers(inner)
            if faults:
                self._list(listed)
        elif not is_locked(self.path / _LOCK):
            left = [path for inner in self._inner(listed) for path in leftovers(inner)]
            faults += [f"{path} was left by a process that was killed" for path in left]
        return faults, sum(not sha256 for sha256 in listed.values())

    def _settled(self, name: str) -> tuple[Content | None, str]:
        """Read a file until it is one that the manifest lists: the content, or None and what is wrong with it."""
        reason = ""
        for _ in range(_ATTEMPTS):
            content = read_content(self.path / name)
            reason = self._fault(name, content)
            if not reason:
                return content, ""
            time.sleep(_MOMENT)
        return None, reason

    def _fault(self, name: str, content: Content | None) -> str:
        """Say what is wrong with the content of a file; nothing is the empty text."""
        listed = self.listed().get(name)
        if listed is None:
            return _NOT_LISTED
        if not listed:
            return "was dropped as damaged, or its sha256 was lost, and it has not been made again"
        if content is None:
            return f"is missing, and {MANIFEST} lists it"
        return "" if digest(content) in listed else f"is damaged: its sha256 is not the one that {MANIFEST} lists"

    def _inner(self, names: Iterable[str]) -> set[Path]:
        """Return the folders that listed files lie in."""
        return {self.path, *((self.path / name).parent for name in names)}

    def _list(self, files: Listed) -> None:
        record = {"files": {name: list(files[name]) for name in sorted(files)}, "sha256": json_digest(files)}
        write_whole(self.path / MANIFEST, (json.dumps(record, indent=1) + "\n").encode())

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.path / _LOCK, str(self.path), patience=60.0)

    @property
    def _remedy(self) -> str:
        return f"`python -m sims check '{self.path}' --repair` drops what is damaged, and the command that made it makes it again"


@contextmanager
def staying(path: Path) -> Generator[Callable[[], None]]:
    """Make a results folder for the time of this block; FileNotFoundError if it is removed or replaced before the end.

    The function that the block gets looks at once, so that no file goes into another folder at the same place.
    """
    ResultsFolder.made(path)
    begun = _opened(path)  # as long as it is open, no other folder gets its number

    def require() -> None:
        if not path.exists() or (begun is not None and not os.path.samestat(os.fstat(begun), path.stat())):
            raise FileNotFoundError(f"{path} was removed or replaced while it was written: run the same command again")

    try:
        yield require
        require()
    finally:
        if begun is not None:
            os.close(begun)


def _opened(folder: Path) -> int | None:
    """Open a folder; Windows opens none."""
    try:
        return os.open(folder, os.O_RDONLY)
    except PermissionError:
        return None


def keep(file: Path, content: bytes) -> Path:
    """Write a file whole; in a results folder, list it."""
    folder = ResultsFolder.around(file)
    if folder is None:
        write_whole(file, content)
    else:
        folder.put(file.absolute().relative_to(folder.path).as_posix(), content)
    return file


def digest(content: Content) -> str:
    """Return the sha256 of a file, or of a folder: of the paths, sizes and bytes of its files, sorted."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    whole = hashlib.sha256()
    for name in sorted(content):
        whole.update(f"{name}\0{len(content[name])}\0".encode() + content[name])
    return whole.hexdigest()


def json_digest(values: Any) -> str:
    """Return the sha256 of plain JSON values, whatever the order of names."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


_LOCK, _ATTEMPTS, _MOMENT = "lock", 5, 0.02
_NOT_LISTED = f"is not listed in {MANIFEST}: an earlier version of this program wrote it, or it was copied to this place"
