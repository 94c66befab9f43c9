"""Small inputs for each target, good and bad, to begin with."""

from __future__ import annotations

import zlib
from typing import Final

from tests.fuzz.h11_oracle import ONLY_H11, ONLY_OURS

__all__ = ["SEEDS", "WORDS"]

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CHUNKED: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n"

SEEDS: Final[dict[str, list[bytes]]] = {
    "response": [
        b"\x10" + answer
        for answer in (
            _OK + b"Content-Length: 2\r\n\r\n{}",
            _CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
            _CHUNKED + b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\nA: b\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"Content-Length: 0\r\n\r\n",
            b"HTTP/1.0 400 Bad\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            _OK + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}" + _OK,
            *(difference.example for difference in (*ONLY_H11, *ONLY_OURS)),
        )
    ],
    "localnodes": [
        b'["10.0.0.1","10.0.0.2"]',
        b'["2001:db8::1","::ffff:1.2.3.4","fe80::1%lo","node-1.example"]',
        b'["0.0.0.0","8d5ed9f4-7764-4dbd-bad8-43fddce94b7c","a\\r\\nb",null,7,[]]',
        b"[]",
    ],
    "error_body": [
        b'd{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"no"}',
        b'd{"message":"not found","code":"404"}',
        b"\xc8<html>Oops</html>",
        b":Throttling:http://x",
    ],
    "json_body": [
        b'{"Item":{"id":{"B":"YWJj"},"s":{"BS":["YQ=="]},"n":{"N":"1"},"l":{"L":[{"NULL":true}]}}}',
        b'{"Count":1.5e3,"x":-0.0,"y":18446744073709551616,"\\ud83d\\ude00":"\\u0000"}',
        b'{"B":1,"BS":{}}',
    ],
    "update_expression": [
        b"SET a.#b[3] = if_not_exists(a, :v) + :n, c = list_append(:x, (d)) REMOVE e ADD f :g DELETE h :i",
        b"set #a=:a",
        b"ADD #a :a",
    ],
    "affinity": [
        b'\0{"TableName":"users","Item":{"id":{"S":"ada"}}}',
        b'\1{"TableName":"users","Key":{"id":{"N":"1"}},"AttributeUpdates":{"n":{"Action":"ADD"}}}',
        b'\2{"TableName":"t","Key":{"B":{"B":"YWJj"}},"ReturnValues":"ALL_OLD","Expected":{}}',
        b'\3{"RequestItems":{"users":[{"PutRequest":{"Item":{"id":{"B":"YQ=="}}}},{"DeleteRequest":{"Key":{}}}],"x":[0]}}',
    ],
    "compression": [b"\0" + zlib.compress(b"abc" * 50, 9, 31), b"\x80" + zlib.compress(b"abc" * 2000), b"\0"],
}

WORDS: Final[dict[str, list[bytes]]] = {
    "response": [b"HTTP/1.1 ", b"\r\n\r\n", b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"0\r\n\r\n",
                 b"Connection: ", b"close", b"keep-alive", b"Upgrade: ", b" 100 ", b"200", b"\t", b"\0"],
    "localnodes": [b'"', b"[", b"]", b",", b"::", b"10.0.0.", b"%", b"-", b"_", b"\\u"],
    "error_body": [b'"__type"', b'"message"', b'"Message"', b'"code"', b"#", b":", b"{", b"}", b'"', b"\\u"],
    "json_body": [b"{", b"}", b"[", b"]", b'"B"', b'"BS"', b":", b",", b"null", b"1e308", b"-", b"\\u", b"=="],
    "update_expression": [b"SET ", b"REMOVE ", b"ADD ", b"DELETE ", b"if_not_exists(", b"list_append(", b")", b"#a",
                          b":a", b":n", b"[", b"]", b".", b",", b"=", b"+", b"-"],
    "affinity": [b'"TableName"', b'"users"', b'"Item"', b'"Key"', b'"id"', b'"S"', b'"N"', b'"B"', b'"RequestItems"',
                 b'"PutRequest"', b'"DeleteRequest"', b"null", b"[]", b"{}", b":", b","],
    "compression": [b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"\x78\x9c", b"\x03\0", b"\0\0\xff\xff"],
}  # fmt: skip
"""What mutations are made of."""
