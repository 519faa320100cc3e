"""Call things many times from compiled code: what a call costs, without the loop's own Python."""

from libc.string cimport memset

from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport Ladder, MarketView, view_from_py


def call_bare(object function not None, object argument, Py_ssize_t n):
    """Call a Python function with one argument, n times; its answers are dropped."""
    cdef Py_ssize_t _call
    for _call in range(n):
        function(argument)


def call_strategy(Strategy strategy not None, view, Py_ssize_t n):
    """Ask a strategy for its ladder as the pipeline does, n times; return how often it quoted.

    Args:
        view: every field of `quotes.MarketView` by name (those of `quotes.QUIET` may be left out).
    """
    cdef MarketView view_ = view_from_py(view)
    cdef Ladder ladder
    cdef Py_ssize_t _call
    cdef Py_ssize_t quoted = 0
    memset(&ladder, 0, sizeof(Ladder))
    for _call in range(n):
        quoted += strategy.quote_c(&view_, &ladder)
    return quoted
