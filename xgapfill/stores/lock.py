"""One run at a time writes a store: a lock file beside it says which, and every block that is written looks at it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from xgapfill.stores.base import WriteError, writing
from xgapfill.stores.files import create_file, is_url, read_file, remove_file, replace_file

BEAT_SECONDS = 20.0  # between two signs of life
DEAD_SECONDS = 600.0  # without a sign of life, a run counts as dead; clocks of machines may differ by minutes
_OURS: set[str] = set()  # tokens of the locks that this process holds


@dataclass(frozen=True)
class Lock:
    """The lock of a run: small enough to travel to every worker."""

    place: str
    options: tuple[tuple[str, Any], ...]
    token: str

    def check(self) -> None:
        """WriteError where the run does not hold the store any more: it was interrupted, or another took over."""
        holder = self.holder()
        if holder.get("token") != self.token:
            now = f"has {_words(holder)}" if holder else "is gone: the run was interrupted, or somebody removed it"
            raise WriteError(f"{self.store} is no longer written by this run: its lock {now}")

    @property
    def store(self) -> str:
        """The store that is locked."""
        return self.place.removesuffix(".lock")

    def holder(self) -> dict[str, Any]:
        """Who holds the lock; nobody if its file is not there or cannot be understood."""
        for pause in (0.0, 0.1, 0.4):  # being written just now, or being replaced on a network file system
            time.sleep(pause)
            with suppress(FileNotFoundError, ValueError):
                found = json.loads(read_file(self.place, dict(self.options)))
                return found if isinstance(found, dict) else {}
        return {}


@contextmanager
def locked(store: str | None, options: Mapping[str, Any]) -> Iterator[Lock | None]:
    """Hold the lock of a store; None where it needs none.

    Raises
    ------
    OSError
        Another run holds it. The lock of a run that was killed is taken over: at once if its process was on this
        machine, else 10 minutes after its last sign of life.
    """
    if store is None:
        yield None
        return
    lock = Lock(f"{store}.lock", tuple(options.items()), uuid.uuid4().hex)
    since = _now()
    with writing(store):
        _take(lock, since)
    _OURS.add(lock.token)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(lock, since, ended), daemon=True)
    beating.start()
    try:
        yield lock
    finally:
        ended.set()
        beating.join(timeout=BEAT_SECONDS)
        _OURS.discard(lock.token)
        with suppress(OSError):
            lock.check()
            remove_file(lock.place, options)


def _take(lock: Lock, since: str) -> None:
    options = dict(lock.options)
    if not is_url(lock.place):
        os.makedirs(os.path.dirname(lock.place), exist_ok=True)
    try:
        create_file(lock.place, options, _content(lock, since))
    except FileExistsError:
        holder = lock.holder()
        if _alive(holder):
            raise WriteError(
                f"{lock.store} is being written by another call: {_words(holder)}. Wait until it ends, or give another "
                f"store. If that process is gone, remove {lock.place} and call again"
            ) from None
        replace_file(lock.place, options, _content(lock, since))
    lock.check()  # of two that took it at once, one has it


def _alive(holder: Mapping[str, Any]) -> bool:
    if not holder:
        return False
    if holder.get("host") == socket.gethostname() and os.name == "posix":
        pid = int(holder.get("pid", 0))
        if pid == os.getpid():
            return holder.get("token") in _OURS
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
    return time.time() - float(holder.get("beat", 0.0)) < DEAD_SECONDS


def _beat(lock: Lock, since: str, ended: threading.Event) -> None:
    """Give signs of life until the run ends or the lock is another's."""
    while not ended.wait(BEAT_SECONDS):
        try:
            lock.check()
            replace_file(lock.place, dict(lock.options), _content(lock, since))
        except WriteError:
            return
        except OSError:
            continue


def _content(lock: Lock, since: str) -> bytes:
    holder = {"token": lock.token, "host": socket.gethostname(), "pid": os.getpid(), "since": since}
    return json.dumps(holder | {"beat": time.time()}).encode()


def _words(holder: Mapping[str, Any]) -> str:
    ago = time.time() - float(holder.get("beat", 0.0))
    return f"process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}, alive {ago:.0f} s ago"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
