"""Errors: what they say, and that they survive copying and pickling with all that they carry."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from collections.abc import Callable

import pytest

from alternator_trio import errors
from alternator_trio._service_errors import BY_CODE
from alternator_trio.errors import (
    AlternatorError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    DiscoveryError,
    EncodingError,
    IndeterminateWriteError,
    ServiceError,
    TlsError,
    TransportError,
    UnknownServiceError,
)

CLASSES = [getattr(errors, name) for name in errors.__all__]
FACTS = {"operation": "PutItem", "node": "http://10.0.0.1:8000", "attempts": 2, "may_have_happened": True}
REMAKES = [
    copy.copy,
    copy.deepcopy,
    *(lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol)) for protocol in range(6)),
]
Remake = Callable[[AlternatorError], AlternatorError]


def make(cls: type[AlternatorError]) -> AlternatorError:
    """An error of the class with everything that it can carry."""
    if cls is DiscoveryError:
        return DiscoveryError("no list", failures=[("http://a", "refused"), ("http://b", "status 500")])
    if issubclass(cls, ServiceError):
        response = {"Error": {"Code": "Busy", "Message": "later"}, "Item": {"id": {"S": "a"}}}
        return cls("later", code="Busy", status=400, response=response, **FACTS)
    return cls("it broke", **FACTS)


def test_all_errors_are_in_the_tree_and_listed() -> None:
    """Whoever catches `AlternatorError` catches everything, and nothing is left out of the list."""
    assert all(issubclass(cls, AlternatorError) for cls in CLASSES)
    defined = [name for name, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]
    assert sorted(errors.__all__) == sorted(defined)


@pytest.mark.parametrize("remake", REMAKES)
@pytest.mark.parametrize("cls", CLASSES)
def test_errors_copy_and_pickle_with_their_attributes(cls: type[AlternatorError], remake: Remake) -> None:
    """Same class, same arguments, same attributes, same text."""
    error = make(cls)
    again = remake(error)
    assert again is not error
    assert (type(again), again.args, vars(again), str(again)) == (type(error), error.args, vars(error), str(error))


@pytest.mark.parametrize("remake", REMAKES)
def test_notes_survive(remake: Remake) -> None:
    """What was noted on an error stays on its copy."""
    error = make(ConnectError)
    error.add_note("during discovery")
    assert remake(error).__notes__ == ["during discovery"]


@pytest.mark.parametrize("remake", REMAKES)
def test_a_note_on_a_copy_is_not_on_the_original(remake: Remake) -> None:
    """A copy is an error of its own."""
    error = make(ConnectError)
    error.add_note("on both")
    remake(error).add_note("on the copy")
    assert error.__notes__ == ["on both"]


@pytest.mark.parametrize("remake", REMAKES[1:])
def test_an_error_that_leads_to_itself_survives(remake: Remake) -> None:
    """An attribute set by the user may lead back to the error."""
    error = make(ConnectError)
    error.seen = [error]
    again = remake(error)
    assert again.seen == [again]


def test_a_deep_copy_shares_nothing() -> None:
    """The response belongs to its error."""
    error = make(UnknownServiceError)
    assert copy.deepcopy(error).response is not error.response


class UserError(ConnectError):
    """A subclass with a constructor of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}", node="http://a")
        self.code = code


@pytest.mark.parametrize("remake", REMAKES)
def test_a_subclass_with_another_constructor_survives(remake: Remake) -> None:
    """Remaking an error does not call its constructor."""
    again = remake(UserError(7))
    assert (type(again), again.code, str(again)) == (UserError, 7, "code 7 (node http://a)")


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "it broke"),
        ({"operation": "GetItem"}, "it broke (GetItem)"),
        ({"node": "http://a"}, "it broke (node http://a)"),
        ({"attempts": 1}, "it broke (1 attempt)"),
        ({"attempts": 3}, "it broke (3 attempts)"),
        ({"may_have_happened": True}, "it broke (the write may have happened)"),
        (FACTS, "it broke (PutItem, node http://10.0.0.1:8000, 2 attempts, the write may have happened)"),
    ],
)
def test_the_text_tells_the_facts_that_are_known(facts: dict[str, object], text: str) -> None:
    """Operation, node, attempts, and whether a write may have happened."""
    assert str(AlternatorError("it broke", **facts)) == text


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (AlternatorError("it broke"), "AlternatorError('it broke')"),
        (
            ConnectError("refused", node="http://a", attempts=2),
            "ConnectError('refused', node='http://a', attempts=2)",
        ),
        (
            UnknownServiceError("later", code="Busy", status=400, operation="PutItem", may_have_happened=True),
            "UnknownServiceError('later', code='Busy', status=400, operation='PutItem', may_have_happened=True)",
        ),
    ],
)
def test_the_representation_tells_the_facts_as_well(error: AlternatorError, shown: str) -> None:
    """A log of representations says node and attempts, too."""
    assert repr(error) == shown


def test_the_representation_of_a_service_error_shows_no_item() -> None:
    """What the service sent along is the user's data."""
    assert "{'S'" not in repr(make(UnknownServiceError))


@pytest.mark.parametrize("cls", BY_CODE.values())
def test_service_errors_are_at_home_where_users_import_them(cls: type[ServiceError]) -> None:
    """Tracebacks and pickles name the public package."""
    assert getattr(sys.modules[cls.__module__], cls.__name__) is cls
    assert cls.__module__ == "alternator_trio"
    assert type(pickle.loads(pickle.dumps(make(cls)))) is cls


def test_the_text_follows_facts_that_are_filled_in_later() -> None:
    """Who raises may not know the operation; who lets it pass does."""
    error = ConnectError("refused", node="http://a")
    error.operation, error.attempts = "PutItem", 2
    assert str(error) == "refused (PutItem, node http://a, 2 attempts)"


def test_a_discovery_error_names_each_candidate_and_why() -> None:
    """In the order of asking."""
    error = make(DiscoveryError)
    assert str(error) == "no list: http://a: refused; http://b: status 500"
    assert error.failures == (("http://a", "refused"), ("http://b", "status 500"))


def test_a_discovery_error_without_candidates_says_only_what_it_is() -> None:
    """No trailing punctuation."""
    assert str(DiscoveryError("nobody to ask")) == "nobody to ask"


def test_a_service_error_begins_with_its_code() -> None:
    """The code is what one searches for."""
    error = ServiceError("no such table", code="ResourceNotFoundException", status=400, node="http://a", attempts=1)
    assert str(error) == "ResourceNotFoundException: no such table (node http://a, 1 attempt)"


def test_a_service_error_without_a_response_has_an_empty_one() -> None:
    """Code that reads the response needs no check."""
    assert ServiceError("x", code="X", status=500).response == {}


def test_an_indeterminate_write_may_have_happened() -> None:
    """That is its meaning: nobody has to say so."""
    assert IndeterminateWriteError("no answer").may_have_happened


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (ConfigurationError, ValueError),
        (EncodingError, ValueError),
        (TlsError, ConnectError),
        (ConnectError, TransportError),
        (errors.ConnectionLostError, TransportError),
        (errors.AttemptTimeoutError, TransportError),
        (errors.ProtocolError, TransportError),
        (UnknownServiceError, ServiceError),
    ],
)
def test_the_tree(cls: type[AlternatorError], base: type[Exception]) -> None:
    """What is caught by which name."""
    assert issubclass(cls, base)


@pytest.mark.parametrize("cls", [ClientClosedError, IndeterminateWriteError, errors.PoolTimeoutError])
def test_what_is_no_transport_error(cls: type[AlternatorError]) -> None:
    """A closed client, an unknown outcome and a full pool say nothing about a node."""
    assert not issubclass(cls, TransportError)
