"""Listening: a socket, a uvicorn server on it, and a graceful end."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Self

import uvicorn

from sixfold._core.errors import ServiceError
from sixfold.serve.discretion import Discreet
from sixfold.serve.http import application
from sixfold.serve.service import Deployment, Service

__all__ = ["RunningService", "listen", "serve"]

_BACKLOG = 512


class _Server(uvicorn.Server):
    """uvicorn, except that the signals are ours: a stop that was asked for ends with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises ServiceError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted connections inherit it: an answer must not wait until what went before it is acknowledged.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ServiceError(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            hint="stop the process that uses the port, or choose another with --port",
        ) from error
    except OverflowError as error:
        sock.close()
        raise ServiceError(f"port {port} does not exist", hint="choose one from 1 to 65535") from error
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket) -> str:
    """Where a bound socket is reached."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    deployment: Deployment,
    *,
    host: str = "127.0.0.1",
    port: int = 8600,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish what was begun and return. `ready` is called with the URL."""
    sock = listen(host, port)
    if deployment.ingest.personal:
        said = logging.StreamHandler()
        said.addFilter(Discreet())
        logging.getLogger().addHandler(said)

    def started(server: _Server, url: str) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, partial(setattr, server, "should_exit", True))
        # What was built at start lives as long as the process: the collector need not walk it again.
        gc.collect()
        gc.freeze()
        ready(url)

    with sock, asyncio.Runner(loop_factory=_event_loop()) as runner:
        runner.run(_run(deployment, sock, started))


class RunningService:
    """A service on a thread of its own, for as long as the `with` block lasts; `url` says where."""

    def __init__(self, deployment: Deployment, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._sock = listen(host, port)
        self._deployment = deployment
        self._ready = threading.Event()
        self._server: _Server | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="service")
        self.url = url_of(self._sock)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise ServiceError(f"the service did not start: {self._error}") from self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join()
        self._sock.close()

    def _started(self, server: _Server, url: str) -> None:
        self._server = server
        self._ready.set()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_event_loop()) as runner:
                runner.run(_run(self._deployment, self._sock, self._started))
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()


async def _run(deployment: Deployment, sock: socket.socket, ready: Callable[[_Server, str], None]) -> None:
    """Start the service, serve on the socket until the server is told to exit, stop the service."""
    service = Service(deployment)
    server = _Server(_config(service))
    await service.start()
    try:
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        ready(server, url_of(sock))
        await serving
    finally:
        await service.stop()


def _config(service: Service) -> uvicorn.Config:
    quiet: dict[str, Any] = {"log_config": None, "access_log": False}
    return uvicorn.Config(application(service), lifespan="off", timeout_graceful_shutdown=10, **quiet)


def _event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed."""
    return uvicorn.Config("", log_config=None, access_log=False).get_loop_factory()
