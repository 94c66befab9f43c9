"""botocore's service models of DynamoDB and DynamoDB Streams, read as one model.

Rules: only files that botocore itself ships count; shapes that both models have must agree; whatever the models and
the words do not both know stops the run by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypedDict, cast

from botocore import xform_name  # type: ignore[import-untyped]  # botocore has no type information
from botocore.loaders import Loader  # type: ignore[import-untyped]  # the same

from operations.words import ERRORS, FURTHER_ERRORS, OPEN_STRUCTURES, OPERATIONS

SERVICES: Final = ("dynamodb", "dynamodbstreams")

Side = Literal["input", "output"]


class ShapeReference(TypedDict):
    """Where the model names a shape."""

    shape: str


class Shape(TypedDict, total=False):
    """The parts of a shape in the model's JSON that matter here."""

    type: str
    enum: list[str]
    members: dict[str, ShapeReference]
    required: list[str]
    member: ShapeReference
    key: ShapeReference
    value: ShapeReference
    exception: bool


class RawOperation(TypedDict, total=False):
    """The parts of an operation in the model's JSON that matter here."""

    input: ShapeReference
    output: ShapeReference


class ServiceModel(TypedDict):
    """The parts of a service-2.json that matter here."""

    metadata: dict[str, str]
    operations: dict[str, RawOperation]
    shapes: dict[str, Shape]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation; a side that the model gives no shape has no members."""

    name: str
    target: str
    shapes: Mapping[Side, str | None]

    @property
    def method(self) -> str:
        return cast("str", xform_name(self.name))


@dataclass(frozen=True, kw_only=True)
class Model:
    """Both service models as one: operations in alphabetical order, shapes by name."""

    api_version: str
    prefix: str
    operations: tuple[Operation, ...]
    shapes: Mapping[str, Shape]

    @cached_property
    def users(self) -> Mapping[Side, Mapping[str, tuple[str, ...]]]:
        """For each side, the shapes that requests or answers contain, each with the operations that contain it."""
        sides: dict[Side, dict[str, list[str]]] = {"input": {}, "output": {}}
        for operation in self.operations:
            for side, root in operation.shapes.items():
                for name in self._below(root):
                    sides[side].setdefault(name, []).append(operation.name)
        return {side: {name: tuple(users) for name, users in shapes.items()} for side, shapes in sides.items()}

    @cached_property
    def nested_structures(self) -> tuple[str, ...]:
        """The structures inside requests and answers, without those two themselves and without the open ones."""
        roots = {shape for operation in self.operations for shape in operation.shapes.values()}
        return tuple(
            name
            for name in sorted(self.users["input"].keys() | self.users["output"].keys())
            if self.shapes[name]["type"] == "structure" and name not in roots
        )

    @cached_property
    def enums(self) -> tuple[str, ...]:
        reached = self.users["input"].keys() | self.users["output"].keys()
        return tuple(sorted(name for name in reached if "enum" in self.shapes[name]))

    @cached_property
    def errors(self) -> Mapping[str, str]:
        """Every error to write and its sentence."""
        refuse_differences("errors", (name for name, shape in self.shapes.items() if shape.get("exception")), ERRORS)
        return dict(sorted({**ERRORS, **FURTHER_ERRORS}.items()))

    def members(self, shape: str | None) -> Mapping[str, ShapeReference]:
        return {} if shape is None else self.shapes[shape]["members"]

    def required(self, shape: str | None) -> tuple[str, ...]:
        return () if shape is None else tuple(self.shapes[shape].get("required", ()))

    def _below(self, root: str | None) -> frozenset[str]:
        seen: set[str] = set()
        pending = [] if root is None else [root]
        while pending:
            name = pending.pop()
            if name not in seen and name not in OPEN_STRUCTURES:
                seen.add(name)
                pending.extend(contained_shapes(self.shapes[name]))
        return frozenset(seen)


def read_model() -> Model:
    """The models of the installed botocore; files of the user's own model directory do not count."""
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    raw = [cast("ServiceModel", loader.load_service_model(service, "service-2")) for service in SERVICES]
    operations = sorted((each for model in raw for each in read_operations(model)), key=lambda each: each.name)
    refuse_differences("operations", (each.name for each in operations), OPERATIONS)
    (api_version,) = {model["metadata"]["apiVersion"] for model in raw}
    return Model(
        api_version=api_version,
        prefix=raw[0]["metadata"]["targetPrefix"],
        operations=tuple(operations),
        shapes=merged_shapes(raw),
    )


def read_operations(model: ServiceModel) -> Iterator[Operation]:
    for name, raw in model["operations"].items():
        yield Operation(
            name=name,
            target=f"{model['metadata']['targetPrefix']}.{name}",
            shapes={
                "input": raw["input"]["shape"] if "input" in raw else None,
                "output": raw["output"]["shape"] if "output" in raw else None,
            },
        )


def merged_shapes(models: Iterable[ServiceModel]) -> Mapping[str, Shape]:
    """The shapes of all models; two of one name must agree in all that is used here."""
    merged: dict[str, Shape] = {}
    for model in models:
        for name, shape in model["shapes"].items():
            known = merged.setdefault(name, shape)
            if essence(known) != essence(shape):
                raise SystemExit(f"the models disagree about {name}")
    return merged


def essence(shape: Shape) -> object:
    """What two shapes of one name must have in common; bounds on lengths, for one, do not matter here."""
    members = list(shape.get("members", {}))
    return shape["type"], shape.get("enum"), members, list(contained_shapes(shape)), shape.get("required")


def contained_shapes(shape: Shape) -> Iterator[str]:
    """The names of the shapes that a shape is made of."""
    for reference in (*shape.get("members", {}).values(), shape.get("member"), shape.get("key"), shape.get("value")):
        if reference is not None:
            yield reference["shape"]


def refuse_differences(what: str, modelled: Iterable[str], worded: Iterable[str]) -> None:
    """Stop, naming what only one of the model and the words has."""
    if different := sorted(set(modelled) ^ set(worded)):
        raise SystemExit(f"{what} that either the model or the words lack: {', '.join(different)}")
