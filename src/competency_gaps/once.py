"""Values that are made when they are first asked for, once, however many threads ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class made_once(Generic[T]):
    """A cached property with a lock.

    ``functools.cached_property`` has none from Python 3.12 on, and one for all objects before: a table that two
    requests ask for at once would be read twice, or two runs would wait for each other. Here each object has a lock of
    its own, so one value of an object is made at a time; a value may ask for others of the same object. A value that
    fails is made again when it is asked for again.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        # Kept under its own name, a value is found before this is called: only the first askers come here.
        held = instance.__dict__
        with held.setdefault(" lock", threading.RLock()):
            if self._name not in held:
                held[self._name] = self._make(instance)
            value: T = held[self._name]
            return value
