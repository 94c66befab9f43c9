"""boto3."""

from __future__ import annotations

import time
from functools import partial

import boto3
import botocore
import botocore.config
from botocore_asks import ask, get
from cell import MOMENT, SECONDS, Cell


def drive(cell: Cell) -> None:
    options = {
        "service_name": "dynamodb",
        "endpoint_url": cell.url,
        "region_name": "us-east-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
        "verify": cell.ca,
        "config": botocore.config.Config(
            retries={"total_max_attempts": 1}, connect_timeout=SECONDS, read_timeout=SECONDS
        ),
    }
    client = boto3.client(**options)
    cell.ready(f"boto3 {boto3.__version__}", f"botocore {botocore.__version__}")
    with cell.first() as got:
        got.append(ask(client, cell.kind, partial(boto3.resource, **options)))
    time.sleep(MOMENT)
    cell.calm()
    with cell.second() as got:
        got.append(get(client, "next"))
