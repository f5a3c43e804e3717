"""What is to happen before and after a cluster's starts and stops, and before and after each test that uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from labctl import words
from labctl.errors import UsageError

Event = Literal["before_start", "after_start", "before_stop", "after_stop", "before_test", "after_test"]
EVENTS: tuple[Event, ...] = get_args(Event)
Hook = Callable[..., object]


class Hooks:
    """The hooks of one cluster, each called with it as the one argument."""

    def __init__(self) -> None:
        self._hooks: dict[Event, list[Hook]] = {event: [] for event in EVENTS}

    def add(self, event: Event, hook: Hook) -> None:
        """Have a hook called at an event, after those that are there.

        Raises:
            UsageError: there is no such event.
        """
        if event not in self._hooks:
            raise UsageError(
                f"there is no event {event!r}",
                hint=words.hint(event, EVENTS, f"there are {', '.join(EVENTS)}"),
            )
        self._hooks[event].append(hook)

    def call(self, event: Event, cluster: object) -> None:
        """Call those of an event in the order in which they came; the first that fails is heard."""
        for hook in self._hooks[event]:
            hook(cluster)
