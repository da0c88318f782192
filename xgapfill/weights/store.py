"""Weights on disk, in the package and in the cache: find, fetch, verify, load once per process.

Arrays are in safetensors files (no pickle, so reading runs no code), with the card in a TOML file beside them.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xgapfill.options import OPTIONS
from xgapfill.weights.card import Card

SUFFIX = ".safetensors"
FOLDER = Path(__file__).parent / "files"
_KEPT = 8  # weights held in memory by one process
LARGEST = 1e9  # largest number in weights: single precision cannot square much larger ones
_opened: OrderedDict[tuple[str, str, str], Weights] = OrderedDict()
_lock = threading.RLock()


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """A fitted model: arrays and their card.

    Loaded weights are sent to dask workers as a `Handle` of a few hundred bytes; weights made in memory are sent whole.

    Attributes
    ----------
    card : Card
    arrays : mapping of str to ndarray
        Parameters by name. Floating arrays of any precision are loaded as float32.
    source : str or None
        Shipped name, path or URL of the file.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> card = Card(name="demo", method="diffusion", targets=("log10_chl",))
    >>> weights = Weights(card, {"bias": np.zeros(3, "float32")})
    >>> file = weights.save(tempfile.mkdtemp() + "/demo")
    >>> load(file)
    <Weights 'demo' (diffusion): fills log10_chl; 3 numbers, sha256 75122bca...>
    """

    card: Card
    arrays: Mapping[str, NDArray[Any]]
    source: str | None = field(default=None, kw_only=True)

    @cached_property
    def sha256(self) -> str:
        """Hash of the safetensors file, whether read or not yet written."""
        return self.card.sha256 if self.source is not None else hashlib.sha256(_pack(self.arrays)).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write ``path.safetensors`` and the card ``path.toml``; return the path of the first.

        Each file is written atomically; a reader that finds one new and one old file gets a clear error.
        """
        file = Path(f"{os.fspath(path).removesuffix(SUFFIX).removesuffix('.toml')}{SUFFIX}").expanduser()
        file.parent.mkdir(parents=True, exist_ok=True)
        packed = _pack(self.arrays)
        card = replace(self.card, sha256=hashlib.sha256(packed).hexdigest())
        _write(file, packed)
        _write(_card_of(file), card.to_toml().encode())
        return file

    def __repr__(self) -> str:
        card, numbers = self.card, sum(array.size for array in self.arrays.values())
        size = f"{numbers / 1e6:.1f} million numbers" if numbers >= 1e5 else f"{numbers} numbers"
        given = f" given {', '.join(card.conditions)}" if card.conditions else ""
        only = f"; simulated truth only: {', '.join(card.simulated_only)}" if card.simulated_only else ""
        licence = f", licence {card.licence}" if card.licence else ""
        return (
            f"<Weights '{card.name}' ({card.method}): fills {', '.join(card.targets)}{given}; "
            f"{size}, sha256 {self.sha256[:8]}...{licence}{only}>"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weights) and self.__dask_tokenize__() == other.__dask_tokenize__()

    def __hash__(self) -> int:
        return hash(self.__dask_tokenize__())

    def __dask_tokenize__(self) -> tuple[str, str, str]:
        # the card is included because a new calibration of the same arrays gives other results
        return ("xgapfill.Weights", self.sha256, replace(self.card, sha256="").digest)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.source is None:
            return Weights, (self.card, dict(self.arrays))
        return _open, (self.source, self.sha256, self.card.digest)


Source: TypeAlias = "str | os.PathLike[str] | Weights | Handle"


@dataclass(frozen=True)
class Handle:
    """Address and hashes of weights, which a task graph carries instead of the arrays.

    Attributes
    ----------
    source : str
        Shipped name, absolute path or URL; the card's name for weights that exist in memory only.
    sha256, card : str
        Hash of the arrays' file and of the card.
    held : Weights or None
        The weights themselves if there is no file.
    """

    source: str
    sha256: str
    card: str
    held: Weights | None = None

    def open(self) -> Weights:
        """Return the weights, loaded at most once per process."""
        return self.held if self.held is not None else _open(self.source, self.sha256, self.card)

    def __dask_tokenize__(self) -> tuple[str, str, str]:
        return ("xgapfill.Handle", self.sha256, self.card)


def handle(weights: Weights) -> Handle:
    """Return the handle of `weights`."""
    if weights.source is None:
        return Handle(weights.card.name, weights.sha256, weights.card.digest, weights)
    return Handle(weights.source, weights.sha256, weights.card.digest)


def shipped() -> tuple[str, ...]:
    """Names of the weights in the package.

    Examples
    --------
    >>> shipped()
    ('chl', 'chl-vae', 'psc-chl', 'psc-chl-vae')
    """
    return tuple(sorted(file.name.removesuffix(SUFFIX) for file in FOLDER.glob(f"*{SUFFIX}")))


def load(source: Source, sha256: str | None = None) -> Weights:
    """Load weights and verify them.

    Parameters
    ----------
    source : str, path, Weights or Handle
        A shipped name (no network), a path of a safetensors file with its card beside it, or an http(s) URL of one,
        ``https://.../mine.safetensors#sha256=...``. URLs are fetched once, into the ``cache_dir`` of
        `xgapfill.set_options`, of ``XGAPFILL_CACHE_DIR`` or the user's cache folder; with ``XGAPFILL_OFFLINE`` only
        files in this folder are used.
    sha256 : str, optional
        Hash of the safetensors file, 64 hexadecimal digits; required for a URL without it.

    Raises
    ------
    ValueError
        Unknown name, wrong hash, no card, not a safetensors file, URL without `sha256`; numbers on the card or in the
        arrays that are missing, infinite or too large.
    FileNotFoundError
        No such file.
    ConnectionError
        The URL cannot be reached, or is not in the cache while offline.

    Examples
    --------
    >>> load("chl").card.targets
    ('log10_chl',)
    """
    if isinstance(source, Handle):
        source = source.open()
    if isinstance(source, Weights):
        if sha256 is not None and _digits(sha256) != source.sha256:
            raise ValueError(f"expected {source!r} to have sha256 {sha256}, found {source.sha256}; leave sha256 out")
        if source.source is None:
            _check_arrays(source.arrays, f"weights {source.card.name!r}")
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"weights must be a name, path, URL or Weights, found {type(source).__name__}")
    name, _, given = os.fspath(source).partition("#sha256=")
    wanted = _digits(sha256 or given) if sha256 or given else None
    where, file = _locate(name, wanted)
    card = _read_card(file)
    packed = file.read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    for owner, expected in (("you gave", wanted), ("its card names", card.sha256)):
        if expected is not None and expected != found:
            raise ValueError(
                f"weights {file} have sha256 {found}, but {owner} {expected or 'none'}: the file is damaged, "
                "incomplete or belongs to another card; get both files again"
            )
    with _lock:
        key = (where, found, card.digest)
        if key not in _opened:
            _opened[key] = Weights(card, _unpack(packed, file), source=where)
        _opened.move_to_end(key)
        while len(_opened) > _KEPT:
            _opened.popitem(last=False)
        return _opened[key]


def cache_dir() -> Path:
    """Folder of files that xgapfill keeps between sessions.

    It is set by `xgapfill.set_options`, else by ``XGAPFILL_CACHE_DIR``, else it is the user's cache folder.
    """
    import pooch

    chosen = OPTIONS["cache_dir"] or os.environ.get("XGAPFILL_CACHE_DIR") or pooch.os_cache("xgapfill")
    return Path(chosen).expanduser()


def _open(source: str, sha256: str, card: str) -> Weights:
    """The weights of a handle, loaded once per process for any number of threads."""
    with _lock:
        if (source, sha256, card) in _opened:
            _opened.move_to_end((source, sha256, card))
            return _opened[source, sha256, card]
        weights = load(source, sha256)
        if weights.card.digest != card:
            raise ValueError(f"the card of weights {source} has changed since they were chosen; load them again")
        return weights


def _locate(source: str, sha256: str | None) -> tuple[str, Path]:
    """Source for a handle, and file on this machine, of a name, path or URL."""
    if "://" in source:
        return source, _fetch(source, sha256)
    if source in shipped():
        return source, FOLDER / f"{source}{SUFFIX}"
    file = Path(source).expanduser()
    if file.suffix == ".toml":
        file = file.with_suffix(SUFFIX)
    if file.suffix != SUFFIX and Path(f"{file}{SUFFIX}").exists():
        file = Path(f"{file}{SUFFIX}")
    if file.exists():
        return str(file.resolve()), file.resolve()
    if file.suffix or file.name != source:
        raise FileNotFoundError(f"no weights at {file.absolute()}")
    raise ValueError(
        f"no weights named {source!r}; shipped are {', '.join(shipped()) or 'none'}; "
        "give one of these, a path of a .safetensors file, or a URL with its sha256"
    )


def _fetch(url: str, sha256: str | None) -> Path:
    """The file of a URL, from the cache if it is there with the right hash; its card is fetched as well."""
    if not url.startswith(("http://", "https://")) or not url.endswith(SUFFIX):
        raise ValueError(f"weights are fetched from http(s) URLs that end in {SUFFIX}, found {url}")
    if sha256 is None:
        raise ValueError(f"weights from a URL need their hash, 64 hexadecimal digits: {url}#sha256=...")
    file = cache_dir() / "weights" / f"{sha256}{SUFFIX}"
    card = _card_of(file)
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        _download(url, file, sha256)
    if not card.exists() or sha256 not in card.read_text(encoding="utf-8"):
        card.unlink(missing_ok=True)
        _download(f"{url.removesuffix(SUFFIX)}.toml", card, None)
    return file


def _download(url: str, file: Path, sha256: str | None) -> None:
    advice = f"fetch {url} on a machine with network and put it at {file}" + (f" (sha256 {sha256})" if sha256 else "")
    if os.environ.get("XGAPFILL_OFFLINE", "").lower() not in ("", "0", "false", "no"):
        raise ConnectionError(f"XGAPFILL_OFFLINE is set and the cache has no such weights: {advice}")
    import pooch
    import requests

    agent = {"User-Agent": "xgapfill"}
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**20, headers=agent, timeout=60)
    known = f"sha256:{sha256}" if sha256 else None
    try:
        pooch.retrieve(url, known, fname=file.name, path=file.parent, downloader=fetch)
    except requests.RequestException as error:
        raise ConnectionError(f"could not fetch weights ({error}): {advice}") from error


def _card_of(file: Path) -> Path:
    return file.with_name(f"{file.name.removesuffix(SUFFIX)}.toml")


def _read_card(file: Path) -> Card:
    if file.suffix != SUFFIX:
        raise ValueError(
            f"{file} is not a {SUFFIX} file. xgapfill reads no pickles (.pt, .pkl), which can run code when opened; "
            "extract the arrays and write them with Weights(card, arrays).save(path)"
        )
    if not _card_of(file).exists():
        raise ValueError(f"weights {file} have no card; put {_card_of(file).name} beside them")
    try:
        return Card.from_toml(_card_of(file).read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{_card_of(file)}: {error}") from error


def _pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    from safetensors.numpy import save

    return bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def _unpack(packed: bytes, file: Path) -> dict[str, NDArray[Any]]:
    """Arrays of a safetensors file, floating ones as writable float32."""
    from safetensors import SafetensorError, deserialize

    try:
        views = deserialize(packed)
    except SafetensorError as error:
        raise ValueError(f"{file} is not a readable safetensors file ({error}); get it again") from error
    arrays = {name: _array(view).reshape(view["shape"]) for name, view in sorted(views)}
    _check_arrays(arrays, f"weights {file}")
    return arrays


def _check_arrays(arrays: Mapping[str, NDArray[Any]], where: str) -> None:
    """Raise ValueError for numbers that are missing, infinite or too large, as they would spread to fills."""
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{where}: expected floating or whole numbers in array {name!r}, found {array.dtype}")
        wrong = np.flatnonzero(~(np.abs(array.astype(np.float64)) <= LARGEST))
        if array.dtype.kind == "f" and wrong.size:
            place = tuple(int(n) for n in np.unravel_index(wrong[0], array.shape))
            raise ValueError(
                f"{where}: array {name!r} has {wrong.size} of {array.size} numbers that are not finite or beyond "
                f"{LARGEST:g}, the first {array[place]} at {list(place)}; get the file again, or train anew"
            )


_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}


def _array(view: Mapping[str, Any]) -> NDArray[Any]:
    if view["dtype"] == "BF16":  # not in numpy: a float32 without its lower 16 bits
        return (np.frombuffer(view["data"], "<u2").astype(np.uint32) << 16).view(np.float32)
    if view["dtype"] not in _DTYPES:
        raise ValueError(f"expected floating or whole numbers in weights, found a {view['dtype']} array")
    array = np.frombuffer(view["data"], _DTYPES[view["dtype"]])
    with np.errstate(over="ignore"):  # numbers beyond single precision are refused afterwards
        return array.astype(np.float32) if array.dtype.kind == "f" else array.copy()


def _digits(sha256: str) -> str:
    digits = sha256.removeprefix("sha256:").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError(f"a sha256 has 64 hexadecimal digits, found {sha256!r}")
    return digits


def _write(file: Path, content: bytes) -> None:
    """Write a file atomically."""
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(content)
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
