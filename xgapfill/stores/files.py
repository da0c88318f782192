"""Reads and writes small files beside and in stores, on this machine or at a URL."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec


def place_of(given: str | os.PathLike[str]) -> str:
    """Return a URL unchanged, or an absolute path with ``~`` expanded.

    Workers of a cluster may run in other folders, and libraries differ in their expansion of paths.
    """
    text = os.fspath(given)
    if not isinstance(text, str):
        raise TypeError(f"a path or URL must be text or a Path, found {type(given).__name__}")
    if not text.strip():
        raise ValueError("the path of the store is empty; pass a name such as 'filled.zarr'")
    text = re.sub(r"^(file|local)://", "", text)
    return text.rstrip("/") if is_url(text) else os.path.abspath(os.path.expanduser(text))


def is_url(place: str) -> bool:
    """Whether a place is a URL, not a path on this machine."""
    return "://" in place


def files_of(place: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path on it."""
    files, path = fsspec.core.url_to_fs(place, **options)
    return files, str(path)


def read_file(place: str, options: Mapping[str, Any]) -> bytes:
    """Return the current content of a file; FileNotFoundError if there is none."""
    if not is_url(place):
        return Path(place).read_bytes()
    files, path = files_of(place, options)
    return bytes(files.cat_file(path))


def replace_file(place: str, options: Mapping[str, Any], content: bytes) -> None:
    """Write a file atomically: readers find the old or the new content, never a part."""
    if is_url(place):
        files, path = files_of(place, options)
        files.pipe_file(path, content)
        return
    part = Path(f"{place}.{uuid.uuid4().hex}.partial")
    try:
        part.write_bytes(content)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def create_file(place: str, options: Mapping[str, Any], content: bytes) -> None:
    """Create a file; FileExistsError if it exists.

    Object stores cannot create exclusively, so their existence is checked first.
    """
    if not is_url(place):
        with open(place, "xb") as file:
            file.write(content)
        return
    files, path = files_of(place, options)
    files.invalidate_cache()
    if files.exists(path):
        raise FileExistsError(place)
    files.pipe_file(path, content)


def remove_file(place: str, options: Mapping[str, Any]) -> None:
    """Remove a file if it exists."""
    if not is_url(place):
        Path(place).unlink(missing_ok=True)
        return
    files, path = files_of(place, options)
    try:
        files.rm_file(path)
    except FileNotFoundError:
        return


def remove_tree(place: str, options: Mapping[str, Any]) -> None:
    """Remove a folder with its content if it exists."""
    files, path = files_of(place, options)
    files.invalidate_cache()
    if files.exists(path):
        files.rm(path, recursive=True)
