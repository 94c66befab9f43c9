"""The generated files agree with one another and with DynamoDB's names; botocore is not needed to see it."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import Required, get_origin, get_type_hints

import pytest

import alternator_trio
from alternator_trio import _operations, _service_errors, types
from alternator_trio._operations import Operations
from alternator_trio._service_errors import BY_CODE, error_class
from alternator_trio._wire import operation_names
from alternator_trio._wire.operation_names import MEMBERS, REQUIRED, SUPPORTED_BY_ALTERNATOR, TARGETS, target
from alternator_trio.errors import EncodingError, ServiceError, UnknownServiceError

CORE_METHODS = (
    "batch_get_item",
    "batch_write_item",
    "create_table",
    "delete_item",
    "delete_table",
    "describe_table",
    "get_item",
    "list_tables",
    "put_item",
    "query",
    "scan",
    "update_item",
    "update_table",
)
STREAMS_OPERATIONS = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
SENT_WITHOUT_A_MODEL = (
    "AccessDeniedException",
    "IncompleteSignatureException",
    "InternalServerError",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "PayloadTooLarge",
    "SerializationException",
    "ServiceUnavailable",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
)


class Recorder(Operations):
    """Answers every operation with its name and its parameters."""

    async def _perform(self, operation: str, parameters: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
        return operation, parameters


def methods() -> dict[str, object]:
    return {name: each for name, each in vars(Operations).items() if not name.startswith("_")}


def wire_types() -> list[type]:
    return [getattr(types, name) for name in types.__all__ if inspect.isclass(getattr(types, name))]


def hints(name: str) -> dict[str, object]:
    return get_type_hints(getattr(types, name), include_extras=True)


def required(name: str) -> set[str]:
    return {member for member, hint in hints(name).items() if get_origin(hint) is Required}


def pickled(error: ServiceError) -> object:
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("name", CORE_METHODS)
def test_the_core_operations_are_methods(name):
    """Each operation that a table needs has its method."""
    assert name in methods()


def test_every_method_is_a_coroutine_function():
    """Tools that ask before they call see that a method must be awaited."""
    assert all(inspect.iscoroutinefunction(each) for each in methods().values())


async def test_every_method_performs_the_operation_of_its_name():
    """A method's name is its operation's name in snake case, and no operation lacks a method."""
    performed = {name: (await getattr(Recorder(), name)())[0] for name in methods()}
    assert {name: operation.lower() for name, operation in performed.items()} == {
        name: name.replace("_", "") for name in methods()
    }
    assert sorted(performed.values()) == sorted(TARGETS)


async def test_a_method_hands_its_arguments_on():
    """Keyword arguments reach the operation as they are."""
    assert (await Recorder().get_item(TableName="t", Key={"id": {"S": "a"}}))[1] == {
        "TableName": "t",
        "Key": {"id": {"S": "a"}},
    }


def test_a_class_without_perform_cannot_be_made():
    """Nobody gets operations that nothing performs."""
    with pytest.raises(TypeError, match="_perform"):
        Operations()


@pytest.mark.parametrize("operation", TARGETS)
def test_the_docstring_says_what_alternator_lacks(operation):
    """A method whose operation Alternator does not have says so."""
    (method,) = (each for name, each in methods().items() if name.replace("_", "") == operation.lower())
    assert ("Alternator does not support it" in method.__doc__) is (operation not in SUPPORTED_BY_ALTERNATOR)


def test_alternator_supports_what_its_documentation_lists():
    """Twenty-four operations, all of them known."""
    assert len(SUPPORTED_BY_ALTERNATOR) == 24
    assert SUPPORTED_BY_ALTERNATOR.issubset(TARGETS)


def test_importing_the_operations_does_not_import_their_types():
    """The types are for type checkers, and their import takes longer than all the rest."""
    program = "import sys, alternator_trio._operations; print('alternator_trio.types' in sys.modules)"
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 -- our own
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize("operation", TARGETS)
def test_targets_have_their_service_s_prefix(operation):
    """The streams' operations go to the streams' API, the others to DynamoDB's."""
    prefix = "DynamoDBStreams_20120810" if operation in STREAMS_OPERATIONS else "DynamoDB_20120810"
    assert target(operation) == f"{prefix}.{operation}"


def test_an_operation_that_the_model_lacks_goes_to_dynamodb():
    """A newer operation can be called before the model has it."""
    assert target("FoldTable") == "DynamoDB_20120810.FoldTable"


@pytest.mark.parametrize("name", ["", "Get Item", "GetItem\r\nX-Evil: 1", "GetÍtem", "DynamoDB_20120810.GetItem"])
def test_a_target_takes_names_only(name):
    """What is no operation's name never becomes a header."""
    with pytest.raises(EncodingError, match="no operation's name"):
        target(name)


@pytest.mark.parametrize("operation", TARGETS)
def test_the_names_know_the_parameters_that_the_types_know(operation):
    """What is refused before sending is what a type checker refuses."""
    assert MEMBERS[operation] == hints(f"{operation}Input").keys()
    assert set(REQUIRED[operation]) == required(f"{operation}Input")


def test_every_type_resolves():
    """Annotations name only what the module has; an operation without parameters has an empty type."""
    assert {each.__name__ for each in wire_types() if not get_type_hints(each)} == {
        "DescribeEndpointsInput",
        "DescribeLimitsInput",
    }


@pytest.mark.parametrize("operation", TARGETS)
def test_every_answer_has_response_metadata(operation):
    """Also the answers of operations whose model has none."""
    assert "ResponseMetadata" in required(f"{operation}Output")


def test_vector_search_is_alternator_s():
    """Alternator's vector members, which the model lacks, are there; Amazon's definitions of them are not."""
    assert "VectorSearch" in MEMBERS["Query"]
    assert "FLOAT32VECTOR" in hints("AttributeValue")
    assert not hasattr(types, "VectorIndex")


@pytest.mark.parametrize("module", [_operations, _service_errors, operation_names, types])
def test_every_exported_name_exists(module):
    """A star import works."""
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_every_error_class_is_found_by_its_name():
    """The class of a code bears the code as its name, and no exported class is missing."""
    classes = set(_service_errors.__all__)
    assert {code: each.__name__ for code, each in BY_CODE.items()} == {name: name for name in classes}


@pytest.mark.parametrize("code", SENT_WITHOUT_A_MODEL)
def test_errors_of_the_protocol_s_front_have_classes(code):
    """Errors that servers send and no operation of the model lists can be caught by name."""
    assert issubclass(error_class(code), ServiceError)
    assert error_class(code).__name__ == code


def test_an_unknown_code_becomes_an_unknown_service_error():
    """A code without a class can still be caught."""
    assert error_class("SomethingNew") is UnknownServiceError


@pytest.mark.parametrize("code", BY_CODE)
@pytest.mark.parametrize("duplicate", [copy.copy, pickled])
def test_errors_pickle_and_copy(code, duplicate):
    """An error survives the way to another process with all that it says."""
    error = error_class(code)(
        "no",
        code=code,
        status=400,
        response={"Error": {"Code": code}},
        operation="PutItem",
        node="http://n",
        attempts=2,
    )
    twin = duplicate(error)
    assert type(twin) is type(error)
    assert (vars(twin), str(twin)) == (vars(error), str(error))


def test_the_errors_are_public():
    """Everything that a caller catches is imported from the package."""
    for name in [*_service_errors.__all__, "ServiceError", "TransportError", "UnknownServiceError"]:
        assert name in alternator_trio.__all__
        assert issubclass(getattr(alternator_trio, name), alternator_trio.AlternatorError)
