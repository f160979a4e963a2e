"""Peers in environments of their own: made from a lock file, kept in a cache folder, run as processes."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Peer", "PeerError", "redis_server"]

_HERE = Path(__file__).parent.parent / "peers"


class PeerError(Exception):
    """A peer that could not be installed or did not run, with the reason."""


class Peer:
    """The environment of one peer, made on first use."""

    def __init__(self, name: str, cache: Path) -> None:
        lock = (_HERE / f"{name}.txt").read_bytes()
        self._name = name
        self._home = cache / f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"
        self._python = self._home / "bin" / "python"

    def install(self) -> None:
        """Make the environment if it is not there; raises PeerError with pip's last words."""
        if (self._home / "complete").exists():
            return
        shutil.rmtree(self._home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(self._home)])
        _run([str(self._python), "-m", "pip", "install", "--quiet", "-r", str(_HERE / f"{self._name}.txt")])
        (self._home / "complete").touch()

    def run(self, script: str, *arguments: str) -> dict[str, Any]:
        """What a script in `peers/` prints as its last line of JSON."""
        self.install()
        out = _run([str(self._python), str(_HERE / script), *arguments])
        return json.loads(out.strip().splitlines()[-1])  # type: ignore[no-any-return]


def _run(command: list[str]) -> str:
    found = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"FEAST_USAGE": "False"}
    )
    if found.returncode:
        last = (found.stderr.strip().splitlines() or ["no output"])[-1]
        raise PeerError(f"{Path(command[0]).name} {' '.join(command[1:3])} failed ({found.returncode}): {last}")
    return found.stdout


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """The port of a Redis server that lives as long as the block and writes no file; PeerError if there is none."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise PeerError("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL) as server:
        try:
            _wait(port)
            yield port
        finally:
            server.terminate()


def _wait(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise PeerError("redis-server did not answer within five seconds")
