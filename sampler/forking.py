"""Forked processes: what begins anew there.

A child has the memory of its parent and a single thread, the one that forked. Its thread pools have
no threads, a lock that another thread held stays locked, and what that thread was changing stays
half changed. So whatever has threads, locks or work under way forgets them and begins anew, before
anything else runs in the child.
"""

import os
import weakref
from collections.abc import Callable
from typing import Any

# by their objects, which are not kept alive (a `WeakMethod` would complain as the interpreter ends)
_methods: weakref.WeakKeyDictionary[object, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def call_in_children(method: Callable[[], None]) -> None:
    """None; `method` is called in each forked process from now on, as long as its object lives.

    Parameters
    ----------
    method : bound to an object, which is not kept alive; one for each object; waits for nothing
    """
    bound: Any = method
    _methods[bound.__self__] = bound.__func__


def _call_all() -> None:
    for owner, function in list(_methods.items()):
        function(owner)


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_call_all)
