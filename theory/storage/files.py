"""Write a file, or a folder of files, so that it is there whole or not at all, whatever ends the process that writes it."""

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "BEFORE",
    "PARTIAL",
    "Content",
    "leftovers",
    "make_folder",
    "read_content",
    "remove",
    "remove_leftovers",
    "sync",
    "write_whole",
]

Content = bytes | Mapping[str, bytes]
"""Either the bytes of a file, or those of all files in a folder by their paths in it, such as "a/zarr.json"."""

PARTIAL, BEFORE = ".partial", ".before"
"""Endings of what is being written, and of what is just being replaced: `.name.<unique>.partial`, `.name.<unique>.before`."""


def write_whole(path: Path, content: Content) -> Path:
    """Write a file or a folder in place of an earlier one, and return its path once it is on the disk.

    It is written under a name of its own, fsynced and then renamed. A folder needs two renames, so that for a moment only the
    earlier one is there, under its `.before` name: `read_content` looks there, too.
    """
    make_folder(path.parent)
    unique = f".{path.name}.{uuid.uuid4().hex}"
    partial, before = path.with_name(unique + PARTIAL), path.with_name(unique + BEFORE)
    try:
        if isinstance(content, bytes):
            _write(partial, content)
            os.replace(partial, path)
        else:
            for name, part in content.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                _write(partial / name, part)
            for folder in (*(inner for inner in partial.rglob("*") if inner.is_dir()), partial):
                sync(folder)
            if path.exists():
                os.rename(path, before)
            os.rename(partial, path)
        sync(path.parent)
    except OSError as error:
        raise OSError(f"{path} could not be written: [Errno {error.errno}] {error.strerror}") from error
    finally:
        remove(partial)
    remove(before)
    return path


def make_folder(path: Path) -> None:
    """Make a folder and those around it, where they do not exist, and wait until they are on the disk."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in new:
        sync(made.parent)


def read_content(path: Path) -> Content | None:
    """Return a file or a folder, or None where there is none. While a folder is replaced this may be the earlier one."""
    try:
        if path.is_dir():
            return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if not file.is_dir()}
        if path.exists():
            return path.read_bytes()
        earlier = next(path.parent.glob(f".{path.name}.*{BEFORE}"), None)
        return None if earlier is None else read_content(earlier)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):  # replaced while it was read
        return None


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left in a folder; an earlier version whose successor never came gets its name back.

    Only for the process that holds the lock of the folder: another one's unfinished files look the same.
    """
    for partial in folder.glob(f".*{PARTIAL}"):
        remove(partial)
    for before in folder.glob(f".*{BEFORE}"):
        path = before.with_name(before.name.removesuffix(BEFORE)[1:].rpartition(".")[0])
        if path.exists():
            remove(before)
        else:
            os.rename(before, path)


def leftovers(folder: Path) -> list[Path]:
    """Return what killed writers left in a folder."""
    return sorted((*folder.glob(f".*{PARTIAL}"), *folder.glob(f".*{BEFORE}")))


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if os.name == "nt" and path.is_dir():  # Windows opens no folder; it keeps their names by itself
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
