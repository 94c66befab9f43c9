"""The operations that are measured: the request that every subject sends and the bytes that the server answers."""

from __future__ import annotations

import json
from dataclasses import dataclass

TABLE = "users"
KEY = {"id": {"S": "ada-lovelace-0001"}}
ITEM = {
    **KEY,
    "born": {"N": "1815"},
    "active": {"BOOL": True},
    "note": {"S": "The Analytical Engine weaves algebraical patterns just as the loom weaves flowers and leaves."},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation as it goes over the wire, both ways."""

    name: str
    request: dict[str, object]
    answer: dict[str, object]

    @property
    def answer_text(self) -> str:
        """The body as the server sends it, without spaces, as ScyllaDB does."""
        return json.dumps(self.answer, separators=(",", ":"))


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(name="GetItem", request={"TableName": TABLE, "Key": KEY}, answer={"Item": ITEM}),
        Operation(name="PutItem", request={"TableName": TABLE, "Item": ITEM}, answer={}),
    )
}

CHECKPOINTS_PER_CALL = 100
CHECKPOINT = Operation(name="checkpoint", request={"checkpoints": CHECKPOINTS_PER_CALL}, answer={})
