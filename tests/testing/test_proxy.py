"""The counting proxy over real sockets: where it is, whom it refuses, and that it ends."""

from __future__ import annotations

import contextlib
import functools

import pytest
import trio

from alternator_trio.testing.proxy import CountingProxy
from tests.testing.proxied_nodes import LOCAL, OTHER, connect, exchange, heard_until_end, is_reset, node, proxied, until


async def test_seeds_are_the_targets_addresses_on_one_port() -> None:
    """Every seed has its target's address and the one port of the proxy."""
    async with node(address=LOCAL) as one, node(address=OTHER) as two, CountingProxy([one, two]) as proxy:
        assert proxy.seeds == (f"http://{LOCAL}:{proxy.port}", f"http://{OTHER}:{proxy.port}")


async def test_seeds_keep_the_scheme_of_targets_given_as_urls() -> None:
    """Targets may be the seeds of a cluster, and the proxy's seeds then have their scheme."""
    async with CountingProxy([f"https://{LOCAL}:1"]) as proxy:
        assert proxy.seeds == (f"https://{LOCAL}:{proxy.port}",)


async def test_scheme_can_be_given() -> None:
    """The scheme argument decides for targets that have none."""
    async with CountingProxy([f"{LOCAL}:1"], scheme="https") as proxy:
        assert proxy.seeds == (f"https://{LOCAL}:{proxy.port}",)


@pytest.mark.parametrize(
    "targets",
    [
        [],
        ["127.0.0.1"],
        ["127.0.0.1:0"],
        ["127.0.0.1:http"],
        ["127.0.0.1:99999"],
        ["localhost:8000"],
        [":8000"],
        [""],
        ["127.0.0.1:8000", "127.0.0.1:8001"],
        ["http://127.0.0.1:8000", "https://127.0.0.2:8000"],
    ],
    ids=repr,
)
def test_unusable_targets_are_refused(targets: list[str]) -> None:
    """What is no address and port, or makes no set of nodes, is a ValueError at construction."""
    with pytest.raises(ValueError, match="target"):
        CountingProxy(targets)


async def test_address_of_another_machine_is_an_error_that_says_what_to_do() -> None:
    """Where 127.0.0.2 does not exist (here: a documentation address), the error has the command that adds it."""
    with pytest.raises(OSError, match=r"sudo ifconfig lo0 alias 192\.0\.2\.1 up"):
        async with CountingProxy([f"{LOCAL}:1", "192.0.2.1:1"]):
            pass


def test_port_is_unknown_before_entering() -> None:
    """Asking a proxy for its port before it listens is an error."""
    with pytest.raises(RuntimeError, match="before it is entered"):
        _ = CountingProxy([f"{LOCAL}:1"]).port


async def test_proxy_is_entered_once() -> None:
    """A second entry of the same proxy is an error."""
    proxy = CountingProxy([f"{LOCAL}:1"])
    async with proxy:
        pass
    with pytest.raises(RuntimeError, match="once"):
        async with proxy:
            pass


async def test_listening_cannot_be_changed_after_the_block() -> None:
    """`accept` on a closed proxy does not open a listener behind its back."""
    async with CountingProxy([f"{LOCAL}:1"]) as proxy:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        proxy.accept()


async def test_unknown_address_is_an_error() -> None:
    """A control method names the addresses that it knows."""
    async with CountingProxy([f"{LOCAL}:1"]) as proxy:
        with pytest.raises(ValueError, match=rf"no link to '{OTHER}', only to {LOCAL}"):
            proxy.cut(OTHER)


@pytest.mark.parametrize("latency", [-0.1, float("inf"), float("nan")])
async def test_impossible_latency_is_an_error(latency: float) -> None:
    """Latency is a finite, non-negative number of seconds."""
    async with CountingProxy([f"{LOCAL}:1"]) as proxy:
        with pytest.raises(ValueError, match="latency"):
            proxy.latency = latency


# How it ends


async def leave(way: str, outer: trio.CancelScope) -> None:
    if way == "exception":
        raise LookupError("the body's own")
    if way == "cancellation":
        outer.cancel()
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("way", ["return", "exception", "cancellation"])
@pytest.mark.parametrize("trouble", ["none", "latency", "black_hole", "refuse"])
async def test_nothing_outlives_the_block(way: str, trouble: str) -> None:
    """Whatever ends the block, and in whatever trouble, no task is left, every connect has its disconnect, and both
    ends of every connection have learnt of it."""
    ended = trio.Event()
    async with node(functools.partial(heard_until_end, heard=bytearray(), ended=ended)) as target:
        before = trio.lowlevel.current_statistics().tasks_living
        with trio.fail_after(5), trio.CancelScope() as outer, contextlib.suppress(LookupError):
            async with CountingProxy([target]) as proxy:
                stream = await connect(proxy)
                await stream.send_all(b"?")
                await until(lambda: proxy.connects)
                if trouble == "latency":
                    proxy.latency = 60.0
                elif trouble != "none":
                    getattr(proxy, trouble)()
                await stream.send_all(b"?")
                await leave(way, outer)
        assert (proxy.connects, proxy.disconnects) == (1, 1)
        assert await is_reset(stream)
        await ended.wait()
        await until(lambda: trio.lowlevel.current_statistics().tasks_living == before)
        await stream.aclose()


async def test_port_is_free_after_the_block() -> None:
    """The listener is closed with the block."""
    async with proxied() as proxy:
        pass
    with pytest.raises(OSError, match=LOCAL):
        await connect(proxy)


async def test_exception_of_the_body_leaves_bare_from_a_cancelled_scope() -> None:
    """Leaving takes no checkpoint that a cancellation could strike: the body's exception is not replaced by it."""

    async def fail(scope: trio.CancelScope, proxy: CountingProxy) -> None:
        async with proxy:
            streams.append(await connect(proxy))
            await exchange(streams[0])
            scope.cancel()
            raise LookupError("the body's own")

    streams: list[trio.SocketStream] = []
    async with node() as target:
        # The scope inside: it would swallow a Cancelled in the exception's place.
        with pytest.raises(LookupError, match="own"), trio.CancelScope() as scope:
            await fail(scope, CountingProxy([target]))
        await streams[0].aclose()
