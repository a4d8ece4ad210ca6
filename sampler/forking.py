"""Forked processes: what begins anew there.

A child has the memory of its parent and a single thread, the one that forked. Its thread pools have
no threads, a lock that another thread held stays locked, and what that thread was changing stays
half changed. So whatever has threads, locks or work under way forgets them and begins anew, before
anything else runs in the child.
"""

import os
import weakref
from collections.abc import Callable

_Method = Callable[[], None]
_methods: set[weakref.WeakMethod[_Method]] = set()


def call_in_children(method: _Method) -> None:
    """None; `method` is called in each forked process from now on, as long as its object lives.

    Parameters
    ----------
    method : bound to an object, which is not kept alive; must wait for nothing
    """
    _methods.add(weakref.WeakMethod(method, _methods.discard))


def _call_all() -> None:
    for reference in list(_methods):
        method = reference()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_call_all)
