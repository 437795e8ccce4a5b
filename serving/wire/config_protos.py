"""Messages of TensorFlow Serving's configuration files: batching, monitoring and TLS.

pip's tensorflow-serving-api lacks their protos (session_bundle_config, monitoring_config,
ssl_config), so they are built here from the public definitions. The files are text: field names and
types count, field numbers do not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from tfrec.errors import ServingError

_PACKAGE = "tensorflow.serving"
_FIELDS = {
    "BatchingParameters": {
        "max_batch_size": "Int64Value",
        "batch_timeout_micros": "Int64Value",
        "max_enqueued_batches": "Int64Value",
        "num_batch_threads": "Int64Value",
        "thread_pool_name": "StringValue",
        "allowed_batch_sizes": "repeated int64",
        "pad_variable_length_inputs": "bool",
        "enable_large_batch_splitting": "BoolValue",
        "max_execution_batch_size": "Int64Value",
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
    "SSLConfig": {"server_key": "string", "server_cert": "string", "custom_ca": "string", "client_verify": "bool"},
}
_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"int64": _FIELD.TYPE_INT64, "bool": _FIELD.TYPE_BOOL, "string": _FIELD.TYPE_STRING}


def read(flag: str, path: str | Path, message_type: Any) -> Any:
    """Read the text file that `flag` names; ServingError where it is missing or malformed."""
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), message_type())
    except OSError as error:
        raise ServingError(
            f"{flag} is {path} but it can't be read ({error.strerror}); name a file that this process may read"
        ) from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ServingError(
            f"{flag}: Invalid protobuf file: '{path}' ({error}); "
            f"write it as a {message_type.DESCRIPTOR.name} in protobuf's text format"
        ) from error


def _build_classes() -> dict[str, Any]:
    """Build the message classes, by full name."""
    file = descriptor_pb2.FileDescriptorProto(
        name="serving_settings.proto", package=_PACKAGE, syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, type_name) in enumerate(fields.items(), start=1):
            message.field.add(name=field, number=number, **_field_type(type_name))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


def _field_type(type_name: str) -> dict[str, Any]:
    """Label and type of a field, as a descriptor holds them."""
    label = _FIELD.LABEL_REPEATED if type_name.startswith("repeated ") else _FIELD.LABEL_OPTIONAL
    name = type_name.removeprefix("repeated ")
    if name in _SCALARS:
        return {"label": label, "type": _SCALARS[name]}
    package = _PACKAGE if name in _FIELDS else "google.protobuf"
    return {"label": label, "type": _FIELD.TYPE_MESSAGE, "type_name": f".{package}.{name}"}


_CLASSES = _build_classes()
BatchingParameters = _CLASSES[f"{_PACKAGE}.BatchingParameters"]
MonitoringConfig = _CLASSES[f"{_PACKAGE}.MonitoringConfig"]
SSLConfig = _CLASSES[f"{_PACKAGE}.SSLConfig"]
