"""Any endpoint that speaks OpenAI's chat completions: one POST, held to limits of time and size."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from sixfold._core.errors import DefinitionError, ServiceError

__all__ = ["Chat", "Generator", "Message"]


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation: who speaks ("system" or "user"), and what."""

    role: str
    content: str


class Generator(Protocol):
    """Writes a reply; deterministic or not, it is asked once, and what it said is kept with the decision."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def complete(self, messages: tuple[Message, ...]) -> str:
        """The reply; raises ServiceError if there is none in time."""
        ...


@dataclass(frozen=True, slots=True)
class Chat:
    """The model `model` behind `base`, asked by `POST {base}/v1/chat/completions`.

    The key, if the endpoint wants one, comes from the environment variable `key_from`, never from a file. Redirects are
    not followed, so that the passages go to no other host. Prompts longer than `most_prompt` characters are not sent,
    and of replies longer than `most_bytes` nothing is taken.
    """

    base: str
    model: str
    key_from: str = "SIXFOLD_GENERATOR_KEY"
    timeout_s: float = 20.0
    most_tokens: int = 300
    most_prompt: int = 24_000
    most_bytes: int = 65_536

    def __post_init__(self) -> None:
        parts, problems = urlsplit(self.base), []
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.query:
            problems.append(
                f"base must be an address such as https://host:8000, without a key in it, not {self.base!r}"
            )
        if min(self.timeout_s, self.most_tokens, self.most_prompt, self.most_bytes) <= 0:
            problems.append("the limits of time and size must be positive")
        if problems:
            raise DefinitionError(problems)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model

    def complete(self, messages: tuple[Message, ...], environ: Mapping[str, str] = os.environ) -> str:
        """The reply's text; raises ServiceError if there is none in time, or not in the form that was expected."""
        import httpx

        size = sum(len(message.content) for message in messages)
        if size > self.most_prompt:
            raise ServiceError(f"the prompt has {size} characters; at most {self.most_prompt} are sent")
        key = environ.get(self.key_from, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = {
            "model": self.model,
            "messages": msgspec.to_builtins(messages),
            "max_tokens": self.most_tokens,
            "temperature": 0.0,
        }
        url = f"{self.base.rstrip('/')}/v1/chat/completions"
        try:
            # The environment's proxies are not used: the address is the one that was declared.
            with (
                httpx.Client(timeout=self.timeout_s, trust_env=False) as client,
                client.stream("POST", url, json=body, headers=headers) as reply,
            ):
                return self._text(reply.status_code, self._read(reply))
        except httpx.HTTPError as error:
            raise ServiceError(f"{self.base} did not answer: {type(error).__name__}") from error

    def _read(self, reply: Any) -> bytes:
        """The body, given up as soon as it is too long or takes too long altogether."""
        import time

        began, taken = time.monotonic(), bytearray()
        for piece in reply.iter_bytes():
            taken += piece
            if len(taken) > self.most_bytes:
                raise ServiceError(f"{self.base} answered with more than {self.most_bytes} bytes")
            if time.monotonic() - began > self.timeout_s:
                raise ServiceError(f"{self.base} took more than {self.timeout_s} s to answer")
        return bytes(taken)

    def _text(self, status: int, body: bytes) -> str:
        if status != 200:
            raise ServiceError(f"{self.base} answered with status {status}")
        try:
            found = msgspec.json.decode(body, type=_Completion)
        except msgspec.DecodeError as error:
            raise ServiceError(f"{self.base} answered with something else than a completion: {error}") from error
        if not found.choices or not found.choices[0].message.content:
            raise ServiceError(f"{self.base} answered without a text")
        return found.choices[0].message.content


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said


class _Completion(msgspec.Struct):
    choices: list[_Choice]
