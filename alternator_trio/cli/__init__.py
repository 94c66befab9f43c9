"""The ``alternator-trio`` command; `main` is its entry point.

How it is layered, from the top: ``command`` runs what ``arguments`` asks for; ``demo`` is the run, made of
``workload``, ``guarded``, ``outage`` and ``read_back``; ``tally``, ``ledger``, ``latencies`` and ``report`` are values
and arithmetic; ``render`` and ``live`` draw them with rich, and nothing else imports it.
"""

from __future__ import annotations

from alternator_trio.cli.command import main

__all__ = ["main"]
