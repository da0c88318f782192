"""Locks a store for one run at a time: a lock file beside it names the run, and is checked before every block."""

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

BEAT_SECONDS = 20.0  # between two heartbeats
DEAD_SECONDS = 600.0  # without a heartbeat, a run counts as dead; clocks of machines may differ by minutes
_OURS: set[str] = set()  # tokens of the locks that this process holds


@dataclass(frozen=True)
class Lock:
    """The lock of a run; it is small, so it can be sent to every worker."""

    place: str
    options: tuple[tuple[str, Any], ...]
    token: str

    def check(self) -> None:
        """WriteError if the run no longer holds the store: it was interrupted, or another run took over."""
        holder = self.holder()
        if holder.get("token") != self.token:
            now = f"has {_words(holder)}" if holder else "is gone: the run was interrupted, or the lock was removed"
            raise WriteError(f"{self.store} is no longer written by this run: its lock {now}")

    @property
    def store(self) -> str:
        """The locked store."""
        return self.place.removesuffix(".lock")

    def holder(self) -> dict[str, Any]:
        """The holder of the lock; empty if its file is missing or unreadable."""
        for pause in (0.0, 0.1, 0.4):  # another process may be writing it, or a network file system replacing it
            time.sleep(pause)
            with suppress(FileNotFoundError, ValueError):
                found = json.loads(read_file(self.place, dict(self.options)))
                return found if isinstance(found, dict) else {}
        return {}


@contextmanager
def locked(store: str | None, options: Mapping[str, Any]) -> Iterator[Lock | None]:
    """Hold the lock of a store; None if the store needs no lock.

    Raises
    ------
    OSError
        Another run holds the lock. The lock of a killed run is taken over: at once if its process was on this machine,
        else 10 minutes after its last heartbeat.
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
                f"store. If that process no longer exists, remove {lock.place} and repeat the call"
            ) from None
        replace_file(lock.place, options, _content(lock, since))
    lock.check()  # if two runs took it at once, only the last one holds it


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
    """Write heartbeats until the run ends or another run holds the lock."""
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
