"""Binary attribute values in a request: Alternator refuses text that is no base64, the engine keeps it as it is.

Rules: what the engine refuses by itself (a B that is no text, a BS that is no list) is left to it.
"""

from __future__ import annotations

import base64
import re
from typing import Final, cast

import orjson

__all__ = ["bad_binary"]

_find_binary: Final = re.compile(rb'"BS?"').search  # most requests hold none, and are not parsed twice


def bad_binary(body: bytes) -> str | None:
    """The first text in a request that stands for binary data and is no base64; None: there is none.

    Example:
        >>> bad_binary(b'{"Item": {"id": {"B": "YQ"}}}')
        'YQ'
    """
    if not _find_binary(body):
        return None
    try:
        stack: list[object] = [orjson.loads(body)]
    except orjson.JSONDecodeError:
        return None  # which the engine finds as well
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(cast("list[object]", value))
        elif isinstance(value, dict):
            members = cast("dict[str, object]", value)
            for text in _binary_texts(members):
                if not _is_base64(text):
                    return text
            stack.extend(members.values())
    return None


def _binary_texts(value: dict[str, object]) -> list[str]:
    members = value.get("BS")
    candidates = [value.get("B"), *(cast("list[object]", members) if isinstance(members, list) else ())]
    return [text for text in candidates if isinstance(text, str)]


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True
