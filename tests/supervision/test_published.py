"""Published values: snapshots that one task replaces and others keep."""

from __future__ import annotations

from alternator_trio._supervision import Published


def test_who_read_before_keeps_what_it_read() -> None:
    """A publication replaces the value, and changes none that was taken."""
    published = Published(("a",))
    taken = published.value
    published.publish(("a", "b"))
    assert (taken, published.value) == (("a",), ("a", "b"))
