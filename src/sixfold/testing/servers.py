"""Real servers for tests, each on a port of its own."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sixfold._core.errors import ServiceError

__all__ = ["free_port", "has_redis", "redis_server"]

_START_S = 20.0


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def has_redis() -> bool:
    """Whether a redis-server can be started here."""
    return shutil.which("redis-server") is not None


@contextmanager
def redis_server(folder: Path, *options: str, port: int | None = None) -> Iterator[str]:
    """The address of a new Redis server that keeps its files in `folder`; killed at the end, not shut down.

    `options` are those of its command line, `("--appendonly", "yes")`. Raises ServiceError if it is not installed or
    does not start.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise ServiceError("redis-server is not installed", hint="apt-get install redis-server")
    port = port or free_port()
    base = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--daemonize", "no")
    with subprocess.Popen([binary, *base, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:  # noqa: S603
        try:
            _wait(server, port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0) as probe:
            probe.sendall(b"PING\r\n")
            if probe.recv(16).startswith((b"+PONG", b"-NOAUTH")):
                return
        time.sleep(0.02)
    raise ServiceError(f"redis-server did not start on port {port} within {_START_S:.0f} s")
