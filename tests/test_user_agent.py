"""The User-Agent header: what is sent for each choice, and which choices are refused."""

from __future__ import annotations

import pytest

from alternator_trio.errors import ConfigurationError
from alternator_trio.user_agent import DEFAULT_USER_AGENT, user_agent_text
from tests.scripted_nodes import ScriptedNodes


def explode(default: str) -> str:
    raise LookupError(default)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (None, DEFAULT_USER_AGENT),
        (False, None),
        ("orders/2", "orders/2"),
        (lambda default: f"orders/2 ({default})", f"orders/2 ({DEFAULT_USER_AGENT})"),
    ],
)
async def test_what_is_sent(autojump_clock, choice, text):
    """The default, none, one's own, one made of the default: by operations and by discovery alike."""
    async with ScriptedNodes(1) as nodes, nodes.open_client(user_agent=choice) as client:
        await client.refresh()
        await client.list_tables()
    assert {request.header("user-agent") for request in nodes.requests} == {text}
    assert {request.is_discovery for request in nodes.requests} == {True, False}


async def test_a_callable_is_called_once_for_each_client(autojump_clock):
    """When the client is built: not when the options are read, and not for every request."""
    calls = []

    def transform(default):
        calls.append(default)
        return "x"

    async with ScriptedNodes(1) as nodes:
        async with nodes.open_client(user_agent=transform) as client:
            await client.list_tables()
            await client.with_options(attempt_timeout=1.0).list_tables()
    assert calls == [DEFAULT_USER_AGENT]


@pytest.mark.parametrize("made", ["", "two\r\nlines: x", " padded", "größe", None, 7, b"bytes"], ids=repr)
def test_what_a_callable_makes_is_checked(made):
    """It reaches a header, as a text given outright does."""
    with pytest.raises(ConfigurationError, match=r"^user_agent: the callable made"):
        user_agent_text(lambda _: made)


def test_what_a_callable_raises_is_the_cause():
    """One error for a wrong option, with what went wrong behind it."""
    with pytest.raises(ConfigurationError, match=r"^user_agent: the callable raised LookupError") as caught:
        user_agent_text(explode)
    assert isinstance(caught.value.__cause__, LookupError)


async def test_a_client_whose_callable_raises_is_never_opened(autojump_clock):
    """Nothing has been sent, and no task was started."""
    async with ScriptedNodes(1) as nodes:
        with pytest.raises(ConfigurationError, match="the callable raised"):
            async with nodes.open_client(user_agent=explode):
                raise AssertionError
        assert not nodes.connects
