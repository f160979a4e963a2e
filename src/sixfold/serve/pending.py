"""A decision that is made but for what it says in words: those may have to be asked for outside, and take seconds."""

from collections.abc import Callable
from functools import partial

from sixfold.serve.decision import Decision
from sixfold.serve.ladder import Ladder
from sixfold.serve.stages import Inquiry, Rendered

__all__ = ["Pending"]


class Pending:
    """All that is read of the state has been read: what happens from here on depends on the reply alone.

    `listen` asks outside and may run in another thread; a replay gives the reply that was heard then to `recall`.
    Without a reply, because there is none or none was sought, the rung `unheard` is taken and `finish` does without.
    """

    def __init__(
        self, ladder: Ladder, name: str, inquiry: Inquiry | None, decision: Callable[["Pending"], Decision]
    ) -> None:
        self._ladder, self._name, self._inquiry, self._decision = ladder, name, inquiry, decision
        self.heard: str | None = None

    @property
    def asks(self) -> bool:
        """Whether there is somebody outside to ask."""
        return self._inquiry is not None and self._inquiry.ask is not None

    def listen(self) -> None:
        """Ask, and wait for the reply."""
        if self._inquiry is not None and self._inquiry.ask is not None:
            self.heard = self._ladder.step(f"ask:{self._name}", "unheard", self._inquiry.ask, None)

    def recall(self, heard: str | None) -> None:
        """Take a reply that was heard before; nobody is asked."""
        if self.asks:
            self.heard = self._ladder.step(f"ask:{self._name}", "unheard", lambda: heard, None)

    def written(self) -> Rendered | None:
        """What is said in words; None where the pipeline writes nothing."""
        if self._inquiry is None:
            return None
        write = partial(self._inquiry.finish, self.heard)
        return self._ladder.step(f"write:{self._name}", "no_text", write, Rendered("", refused=True))

    def finish(self) -> Decision:
        """The decision."""
        return self._decision(self)
