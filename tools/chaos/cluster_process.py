"""The cluster and the proxy in front of it, in a process of their own: ``cluster_process.py TOPOLOGY CREDENTIALS``.

Rules: the nodes are where the proxy has them; every answer says what the proxy has counted. The store is in this
process, not in the clients', whose memory is watched.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import trio
from apart.taking_orders import take_orders

from alternator_trio.testing import Answer, Close, CountingProxy, Hang, LocalCluster, Reset, Shed, Truncate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from alternator_trio.testing import LocalNode

_THROTTLED = b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slower"}'
_FAILED = b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"told to fail"}'


class World:
    """What orders are about."""

    def __init__(self, cluster: LocalCluster, proxy: CountingProxy) -> None:
        self.cluster = cluster
        self.proxy = proxy

    def begin(self, kind: str, number: int, arguments: Mapping[str, Any]) -> None:
        """Let a fault begin."""
        _BEGIN[kind](self, self.cluster.nodes[number], **arguments)

    def end(self, kind: str, number: int) -> None:
        """Let it pass; what has no duration has passed."""
        if kind in _END:
            _END[kind](self, self.cluster.nodes[number])

    def heal(self) -> None:
        """Let everything pass."""
        for node in self.cluster.nodes:
            node.start()
            for end in _END.values():
                end(self, node)

    def list_only(self, node: LocalNode, keep: list[bool]) -> None:
        """Answer with a part of the datacenter's nodes, whether they run or not."""
        same = [other for other in self.cluster.nodes if other.datacenter == node.datacenter]
        listed = [other.address for other, kept in zip(same, keep, strict=False) if kept] or [node.address]
        node.localnodes_answer = Answer(status=200, body=json.dumps(listed).encode())


def _set_delay(node: LocalNode, seconds: float) -> None:
    node.delay = seconds


def _set_latency(world: World, node: LocalNode, by: float) -> None:
    world.proxy.links[node.address].latency = by


def _set_list(node: LocalNode, answer: Answer | None) -> None:
    node.localnodes_answer = answer


def _restart(node: LocalNode) -> None:
    node.stop()
    node.start()


def _resume(node: LocalNode) -> None:
    node.start()
    node.resume()


_BEGIN: Mapping[str, Callable[..., object]] = {
    "kill": lambda _, node, listed_for: node.kill(listed_for=listed_for),
    "stop": lambda _, node: node.stop(),
    "restart": lambda _, node: _restart(node),
    "pause": lambda _, node: node.pause(),
    "reset": lambda _, node, executed, times: node.fail_next(Reset(executed=executed), times=times),
    "close": lambda _, node, executed, times: node.fail_next(Close(executed=executed), times=times),
    "hang": lambda _, node, executed, times: node.fail_next(Hang(executed=executed), times=times),
    "truncate": lambda _, node, body_bytes, chunked, times: node.fail_next(
        Truncate(body_bytes=body_bytes, chunked=chunked), times=times
    ),
    "5xx": lambda _, node, status, executed, times: node.fail_next(
        Answer(status=status, body=_FAILED if status == 500 else b"<html>", executed=executed),  # noqa: PLR2004
        times=times,
    ),
    "throttle": lambda _, node, times: node.fail_next(Answer(status=400, body=_THROTTLED), times=times),
    "shed": lambda _, node, drop, times: node.fail_next(Shed(drop=drop), times=times),
    "delay": lambda _, node, by: _set_delay(node, by),
    "stale list": lambda world, node, keep: world.list_only(node, keep),
    "empty list": lambda _, node: _set_list(node, Answer(status=200, body=b"[]")),
    "no list": lambda _, node: _set_list(node, Answer(status=503, body=b"<html>")),
    "cut": lambda world, node: world.proxy.cut(node.address),
    "cut after": lambda world, node, count, reset: world.proxy.cut_after(count, node.address, reset=reset),
    "refuse": lambda world, node: world.proxy.refuse(node.address),
    "half-open": lambda world, node: world.proxy.black_hole(node.address),
    "slow link": _set_latency,
    "stall": _set_latency,
}
_END: Mapping[str, Callable[[World, LocalNode], object]] = {
    **dict.fromkeys(("kill", "stop"), lambda _, node: node.start()),
    "pause": lambda _, node: _resume(node),
    **dict.fromkeys(
        ("reset", "close", "hang", "truncate", "5xx", "throttle", "shed"), lambda _, node: node.clear_faults()
    ),
    "delay": lambda _, node: _set_delay(node, 0.0),
    **dict.fromkeys(("stale list", "empty list", "no list"), lambda _, node: _set_list(node, None)),
    "cut after": lambda world, node: world.proxy.cut_after(None, node.address),
    "refuse": lambda world, node: world.proxy.accept(node.address),
    "half-open": lambda world, node: world.proxy.restore(node.address),
    **dict.fromkeys(("slow link", "stall"), lambda world, node: _set_latency(world, node, 0.0)),
}


async def main(topology: Mapping[str, Mapping[str, int]], credentials: Mapping[str, str] | None) -> None:
    """Run until stdin ends."""
    async with (
        LocalCluster(topology=topology, credentials=credentials, record_requests=False) as cluster,
        CountingProxy(cluster.seeds) as proxy,
    ):
        world = World(cluster, proxy)

        def carry_out(order: Mapping[str, Any]) -> Mapping[str, object]:
            _obey(world, order)
            return {
                "connects": proxy.connects,
                "disconnects": proxy.disconnects,
                "open_at_nodes": sum(node.open_connections for node in cluster.nodes),
            }

        await take_orders(cluster.nodes, proxy.seeds, carry_out)


def _obey(world: World, order: Mapping[str, Any]) -> None:
    match order["do"]:
        case "begin":
            world.begin(order["kind"], order["node"], order["arguments"])
        case "end":
            world.end(order["kind"], order["node"])
        case "heal":
            world.heal()
        case "look":
            pass
        case other:
            raise ValueError(f"no such order: {other!r}")


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]), json.loads(sys.argv[2]))
