"""The published vectors that all Alternator clients share: each case of each file under tests/vectors."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import mmh3
import pytest

from alternator_trio._core import go_rand_words
from alternator_trio._core.affinity import key_hash
from alternator_trio._core.endpoint import order_endpoints
from alternator_trio._core.go_rand import GoRand
from alternator_trio._core.health import (
    NEW,
    NodeState,
    active,
    after_probe_failure,
    after_probe_success,
    after_traffic_failure,
    after_traffic_success,
)
from alternator_trio._core.query_plan import preferred_plan, seeded_plan
from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import ConfigurationError
from alternator_trio.nodes import Node
from alternator_trio.routing import NodeHealth

VECTORS = Path(__file__).parent.parent / "vectors"
OBSERVATIONS = {
    "TF": after_traffic_failure,
    "TS": after_traffic_success,
    "PF": after_probe_failure,
    "PS": after_probe_success,
}


def read(kind):
    return json.loads((VECTORS / f"{kind}.json").read_text(encoding="utf-8"))


def cases(kind):
    return [pytest.param(case, id=str(case.get("case", case.get("name", at)))) for at, case in enumerate(read(kind))]


def consumed(plan):
    return list(iter(plan.next_node, None))


@pytest.mark.parametrize("case", cases("attribute_value_hash"))
def test_a_key_value_hashes_as_published(case):
    """The type byte and the value, through MurmurHash3, as a signed number."""
    text, encoded = case["value"], case["value_base64"]
    content = text if encoded is None else base64.b64decode(encoded)
    assert key_hash({case["type"]: content}) == case["int64"]


@pytest.mark.parametrize("case", [case for case in cases("attribute_value_hash") if case.values[0]["value_base64"]])
def test_a_binary_key_hashes_alike_in_base64(case):
    """A binary value may stand in a request as it goes on the wire."""
    assert key_hash({"B": case["value_base64"]}) == case["int64"]


@pytest.mark.parametrize("case", cases("murmur3_x64_128_h1"))
def test_murmur3_is_the_published_one(case):
    """The library's first half of the 128 bits, signed."""
    assert mmh3.hash64(bytes.fromhex(case["bytes_hex"]), seed=0, x64arch=True, signed=True)[0] == case["int64"]


@pytest.mark.parametrize("case", cases("seeded_plan"))
def test_a_seeded_plan_has_the_published_order(case):
    """The nodes are numbered from 1; the ring that they make is sorted as text."""
    nodes = [Node("http", f"node{number}.example.com", 8043) for number in range(1, case["node_count"] + 1)]
    plan = seeded_plan(sorted(nodes), case["seed"], lambda _: NodeState.ACTIVE)
    assert [nodes.index(node) + 1 for node in consumed(plan)] == case["order_of_node_numbers"]


@pytest.mark.parametrize("case", cases("preferred_plan"))
def test_a_preferred_plan_has_the_published_order(case):
    """The preferred nodes as they were given, then the rest of the ring."""

    def nodes(names):
        return [Node("http", name, 8000) for name in names]

    plan = preferred_plan(nodes(case["preferred"]), sorted(nodes(case["nodes"])), lambda _: NodeState.ACTIVE)
    assert consumed(plan) == nodes(case["order"])


@pytest.mark.parametrize("case", cases("endpoint_order"))
def test_endpoints_make_the_published_ring(case):
    """Canonical, each once, in bytewise order, and dialled as they were first spelled."""
    ring = order_endpoints(case["input"])
    assert [canonical for canonical, _ in ring] == case["canonical"]
    assert [spelling for _, spelling in ring] == case.get("representatives", [spelling for _, spelling in ring])


@pytest.mark.parametrize("case", cases("node_health_transitions"))
def test_health_moves_as_published(case):
    """One observation after the other leads to the state, the counts and the generation."""
    health = NodeHealth(**case["thresholds"])
    standing = active(health) if case["initial"] == "ACTIVE" else NEW
    for observation in case["observations"]:
        standing = OBSERVATIONS[observation](standing, health)
    reached = (standing.state.name, standing.failures, standing.successes, standing.generation)
    assert reached == (case["state"], case["failures"], case["successes"], case["generation"])


def test_the_defaults_of_node_health_are_the_published_ones():
    """Thresholds, probes at once, and how long one may take."""
    published = read("defaults")
    health = NodeHealth()
    for name in ("active_failure", "down_recovery", "quarantine_promotion", "quarantine_failure"):
        assert getattr(health, name) == published[f"{name}_threshold"]
    assert health.probe_concurrency == published["probe_concurrency"]
    assert health.probe_timeout * 1000 == published["probe_timeout_ms"]


@pytest.mark.parametrize("bound", ["min", "max"])
def test_probes_at_once_are_bounded_as_published(bound):
    """The bound itself is accepted, one beyond it is not."""
    limit = read("defaults")[f"probe_concurrency_{bound}"]
    assert NodeHealth(probe_concurrency=limit).probe_concurrency == limit
    with pytest.raises(ConfigurationError, match="probe_concurrency"):
        NodeHealth(probe_concurrency=limit + (1 if bound == "max" else -1))


def test_a_client_has_health_and_no_affinity_unless_told_otherwise():
    """What a fleet of clients does by default is the same for all."""
    config, published = AlternatorConfig(seeds=["http://10.0.0.1:8000"]), read("defaults")
    assert (config.node_health is None) == published["health_disabled"]
    assert (config.key_route_affinity is not None) == published["key_route_affinity"]


def test_the_cooked_words_are_the_published_ones():
    """A word that was mistyped would show in one plan of three hundred."""
    published = read("go_math_rand")["rng_cooked"]
    assert list(go_rand_words.COOKED) == [word % 2**64 for word in published]


@pytest.mark.parametrize("case", cases("rng"))
def test_the_generator_gives_the_published_numbers(case):
    """63 bits, 31 bits, and numbers below a bound that shrinks, each from a fresh generator."""
    seed = case["seed"]
    sources = [GoRand(seed) for _ in range(3)]
    assert [sources[0].int63() for _ in case["int63"]] == case["int63"]
    assert [sources[1].int31() for _ in case["int31"]] == case["int31"]
    assert [sources[2].intn(bound) for bound in range(10, 0, -1)] == case["intn_10_down_to_1"]
