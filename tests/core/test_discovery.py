"""A refresh: whom it asks in which order, when it is over, and what the answers make together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.discovery import MAX_CONTACTS, ClusterRefresh, ScopeAnswer, ScopeRefresh, united
from alternator_trio.nodes import Node

A, B, C, D, E = (Node("http", f"10.0.0.{number}", 8000) for number in range(1, 6))


class Cluster(ClusterRefresh):
    """A refresh in cluster scope, with its result taken alone."""

    def __init__(self, known, contacts, seeds):
        super().__init__((*known, *contacts, *seeds))
        self.contacts = contacts

    def result(self):
        whole = united([self], self.contacts)
        nodes = whole.answers[0].nodes if whole.answers else ()
        return SimpleNamespace(nodes=nodes, contacts=whole.contacts, answered=whole.answered, failures=whole.failures)


def result_of(*refreshes, old_contacts=()):
    return united(refreshes, old_contacts)


def names(*nodes):
    return {node.endpoint for node in nodes}


def asked_by(refresh, answers):
    """Drive a refresh one candidate at a time: a list is an answer, anything else the reason of a failure."""
    asked = []
    while refresh.is_wanting and (node := refresh.next_candidate()) is not None:
        asked.append(node)
        answer = answers.get(node, "refused")
        if isinstance(answer, str):
            refresh.fail(node, answer)
        else:
            refresh.answer(node, answer)
    return asked


def test_candidates_are_asked_in_their_order():
    """Known nodes, then contacts, then seeds, is how they are given."""
    assert asked_by(ClusterRefresh([B, A, D, E, C]), {}) == [B, A, D, E, C]


def test_nobody_is_a_candidate_twice():
    """A seed that is known as well is asked in its first place only."""
    assert asked_by(ClusterRefresh([B, A, A, C, C, B]), {}) == [B, A, C]


def test_one_answer_that_covers_all_is_enough():
    """Nobody is asked whom an answer lists."""
    refresh = ClusterRefresh([A, B, C])
    assert asked_by(refresh, {A: [A, B, C]}) == [A]
    assert result_of(refresh).answers == (ScopeAnswer(position=0, nodes=(A, B, C)),)


def test_an_answer_covers_the_node_that_gave_it():
    """Also one that does not list itself; it has then answered without being a node."""
    refresh = ClusterRefresh([A])
    assert asked_by(refresh, {A: [B]}) == [A]
    assert (list(refresh.nodes), result_of(refresh).answered) == ([B], (A,))


def test_answers_are_united_in_the_order_of_coming():
    """Each datacenter's list is a part of the whole."""
    refresh = ClusterRefresh([A, C])
    assert asked_by(refresh, {A: [A, B], C: [C, B, D]}) == [A, C]
    assert list(refresh.nodes) == [A, B, C, D]


def test_a_failed_node_is_passed_over_and_named():
    """Failures are kept in the order in which they came to light."""
    refresh = ClusterRefresh([A, B, C])
    assert asked_by(refresh, {A: "refused", B: "status 500", C: [A, B, C]}) == [A, B, C]
    assert result_of(refresh).failures == ((A.endpoint, "refused"), (B.endpoint, "status 500"))


def test_in_cluster_scope_an_empty_answer_is_a_failure():
    """It covers nobody, not even the node that gave it, and makes no contact."""
    refresh = ClusterRefresh([A])
    assert asked_by(refresh, {A: []}) == [A]
    result = result_of(refresh)
    assert result.failures == ((A.endpoint, "an empty node list"),)
    assert (result.answers, result.contacts, result.answered) == ((), (), ())


@pytest.mark.parametrize("answer", [[A, B], []])
def test_in_another_scope_the_first_valid_answer_ends_it(answer):
    """Also an empty one, which says that the datacenter or the rack has no nodes."""
    refresh = ScopeRefresh([A, B, C])
    assert asked_by(refresh, {A: "refused", B: answer}) == [A, B]
    assert not refresh.is_wanting
    assert refresh.next_candidate() is None
    assert result_of(refresh).answers == (ScopeAnswer(position=0, nodes=tuple(answer)),)


def test_in_another_scope_failures_lead_through_all_candidates():
    """Then it is over without an answer, which is not the same as an empty one."""
    refresh = ScopeRefresh([A, B])
    assert asked_by(refresh, {}) == [A, B]
    assert not refresh.is_wanting
    assert result_of(refresh).answers == ()


@pytest.mark.parametrize("kind", [ClusterRefresh, ScopeRefresh])
def test_it_wants_the_answers_that_are_still_out(kind):
    """With all candidates asked it is not over before one of them has answered."""
    refresh = kind([A, B])
    assert [refresh.next_candidate(), refresh.next_candidate(), refresh.next_candidate()] == [A, B, None]
    refresh.fail(A, "refused")
    assert refresh.is_wanting
    refresh.answer(B, [A, B])
    assert not refresh.is_wanting


def test_a_late_answer_from_a_covered_node_counts():
    """Two were asked at once; the second lists a node more."""
    refresh = ClusterRefresh([A, B])
    refresh.next_candidate(), refresh.next_candidate()
    refresh.answer(A, [A, B])
    assert not refresh.is_wanting
    refresh.answer(B, [B, C])
    assert list(refresh.nodes) == [A, B, C]


def test_giving_up_names_who_did_not_answer_and_who_was_not_asked():
    """Nobody is left out of the account but those whom an answer covers."""
    refresh = ClusterRefresh([A, B, C, D, E])
    for _ in range(3):
        refresh.next_candidate()
    refresh.answer(A, [A, D])
    refresh.give_up("no answer within 5 s")
    failures = dict(result_of(refresh).failures)
    assert failures.keys() == names(B, C, E)
    assert failures[B.endpoint] == failures[C.endpoint] == "no answer within 5 s"
    assert failures[E.endpoint].startswith("not asked")
    assert (refresh.is_wanting, refresh.in_flight) == (False, [])


def test_each_scopes_answer_has_its_place_in_the_chain():
    """A scope without an answer has none; failures of all scopes are told."""
    first, second, third = ScopeRefresh([A, B]), ScopeRefresh([B, C]), ClusterRefresh([C])
    asked_by(first, {B: []})
    asked_by(second, {})
    asked_by(third, {C: [C, D]})
    result = result_of(first, second, third)
    assert result.answers == (ScopeAnswer(position=0, nodes=()), ScopeAnswer(position=2, nodes=(C, D)))
    assert [name for name, _ in result.failures] == [A.endpoint, B.endpoint, C.endpoint]
    assert result.answered == (B, C)


def test_who_answered_is_a_contact():
    """Those who were only listed are not: they have shown nothing yet."""
    refresh = ClusterRefresh([A, B, C])
    asked_by(refresh, {A: [A, B], C: [C]})
    assert result_of(refresh).contacts == (A, C)


def test_a_contact_whom_no_answer_covers_any_more_stays_one():
    """So that a datacenter that dropped out can come back; one that is covered gives way to who answered."""
    refresh = ClusterRefresh([A])
    asked_by(refresh, {A: [A, B]})
    assert result_of(refresh, old_contacts=[B, D]).contacts == (A, D)


def test_contacts_are_few():
    """Those who answered just now come first, and the rest is cut off."""
    old = [Node("http", f"old-{number}", 8000) for number in range(MAX_CONTACTS + 5)]
    refresh = ClusterRefresh([A])
    asked_by(refresh, {A: [A]})
    assert result_of(refresh, old_contacts=old).contacts == (A, *old[: MAX_CONTACTS - 1])


nodes = st.sampled_from([A, B, C, D, E])
some_nodes = st.lists(nodes, max_size=5)


@given(some_nodes, st.dictionaries(nodes, some_nodes | st.just("refused")), st.data())
def test_whatever_the_cluster_is_like(candidates, world, data):
    """Nobody is asked twice or after being covered; all others are; the result is the union of the answers."""
    refresh = ClusterRefresh(candidates)
    out, asked, covered, union, failed = [], [], set(), set(), set()
    while refresh.is_wanting:
        asks = not out or (len(out) < 3 and data.draw(st.booleans()))
        node = refresh.next_candidate() if asks else None
        if node is not None:
            assert node not in asked
            assert node not in covered
            asked.append(node)
            out.append(node)
        elif out:
            node = out.pop(data.draw(st.integers(0, len(out) - 1)))
            answer = world.get(node, "refused")
            if isinstance(answer, str):
                refresh.fail(node, answer)
                failed.add(node)
            else:
                refresh.answer(node, answer)
                covered |= {node, *answer} if answer else set()
                union |= set(answer)
                failed |= set() if answer else {node}
    assert set(candidates) <= covered | failed
    assert set(refresh.nodes) == union
    assert dict(result_of(refresh).failures).keys() == names(*failed)
