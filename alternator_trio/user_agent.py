"""The User-Agent header: the default text, one's own, one made of the default, or none.

Rules: what is sent is decided once, when a client is built; a bad text is refused, wherever it comes from; nothing here
does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, cast

from alternator_trio._version import __version__
from alternator_trio.errors import ConfigurationError

__all__ = ["DEFAULT_USER_AGENT", "UserAgent", "check_user_agent", "user_agent_text"]

UserAgent: TypeAlias = str | Callable[[str], str] | Literal[False] | None
"""A text; a callable from the default text to the one that is sent; False: no header; None: the default text."""

DEFAULT_USER_AGENT: Final = f"scylladb-alternator-client-trio/{__version__}"


def check_user_agent(choice: object) -> None:
    """Refuse what is no choice. A callable is not called.

    Raises:
        ConfigurationError: It is neither a text that a header can hold, nor callable, nor False, nor None.
    """
    if choice is None or choice is False or callable(choice):
        return
    if not isinstance(choice, str):
        raise ConfigurationError(f"user_agent: {choice!r} is neither a text, nor a callable, nor False")
    if not _is_header_text(choice):
        raise ConfigurationError(f"user_agent: {choice!r} is not printable ASCII text without spaces around it")


def user_agent_text(choice: UserAgent) -> str | None:
    """What the header says; None: it is not sent.

    Args:
        choice: The option ``user_agent``, checked. A callable is called, once.

    Raises:
        ConfigurationError: The callable raised, or made something that a header cannot hold.

    Example:
        >>> user_agent_text(lambda default: f"orders/2.1 {default}").startswith("orders/2.1 scylladb-alternator-")
        True
    """
    if choice is None:
        return DEFAULT_USER_AGENT
    if callable(choice):
        return _transformed(choice)
    return choice or None


def _transformed(transform: Callable[[str], str]) -> str:
    try:
        text = cast("object", transform(DEFAULT_USER_AGENT))
    except Exception as error:
        raise ConfigurationError(f"user_agent: the callable raised {error!r}") from error
    if not (isinstance(text, str) and _is_header_text(text)):
        raise ConfigurationError(
            f"user_agent: the callable made {text!r}, which is not printable ASCII text without spaces around it"
        )
    return text


def _is_header_text(text: str) -> bool:
    return text.isascii() and text.isprintable() and text != "" and text == text.strip()
