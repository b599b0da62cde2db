"""Produces what the Python client cannot: header names that are no text."""

from __future__ import annotations

import ctypes
from pathlib import Path

import confluent_kafka

_PRODUCER = 0
_OK = 0
_TOPIC, _PARTITION, _VALUE, _MESSAGE_FLAGS, _HEADER = 1, 3, 4, 7, 9
_COPY = 2


class _Memory(ctypes.Structure):
    _fields_ = (("ptr", ctypes.c_char_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("val", ctypes.c_char_p), ("size", ctypes.c_ssize_t))


class _Union(ctypes.Union):
    _fields_ = (
        ("cstr", ctypes.c_char_p),
        ("i", ctypes.c_int),
        ("i32", ctypes.c_int32),
        ("mem", _Memory),
        ("header", _Header),
        ("_pad", ctypes.c_char * 64),
    )


class _Argument(ctypes.Structure):
    _fields_ = (("vtype", ctypes.c_int), ("u", _Union))


def produce_with_header_name(servers: str, topic: str, value: bytes, name: bytes) -> None:
    """One event on partition 0 with one header of this name, by the C client of the wheel."""
    (library,) = Path(confluent_kafka.__file__).parent.parent.glob(
        "confluent_kafka.libs/librdkafka*.so*"
    )
    c = ctypes.CDLL(str(library))
    for function in (c.rd_kafka_conf_new, c.rd_kafka_new, c.rd_kafka_produceva):
        function.restype = ctypes.c_void_p
    conf, error = ctypes.c_void_p(c.rd_kafka_conf_new()), ctypes.create_string_buffer(200)
    c.rd_kafka_conf_set(conf, b"bootstrap.servers", servers.encode(), error, 200)
    client = ctypes.c_void_p(c.rd_kafka_new(_PRODUCER, conf, error, 200))
    arguments = [
        _Argument(_TOPIC, _Union(cstr=topic.encode())),
        _Argument(_PARTITION, _Union(i32=0)),
        _Argument(_VALUE, _Union(mem=_Memory(value, len(value)))),
        _Argument(_MESSAGE_FLAGS, _Union(i=_COPY)),
        _Argument(_HEADER, _Union(header=_Header(name, b"1", 1))),
    ]
    array = (_Argument * len(arguments))(*arguments)
    assert c.rd_kafka_produceva(client, array, ctypes.c_size_t(len(arguments))) is None
    assert c.rd_kafka_flush(client, 30_000) == _OK
    c.rd_kafka_destroy(client)
