"""Topics, streams and the published contracts -> what anybody may listen to: AsyncAPI 3.0, generated from the table.

Kafka's channels carry Avro, whose published text is the payload's schema; a door's channels carry JSON. The actions are
Tapeline's own: it sends events, it receives commands.
"""

from collections.abc import Iterable
from typing import Any

from domain.kernel.messages import Command, Event
from gateways.openapi import referenced
from gateways.routes import Route
from infra.avro import contracts
from infra.avro.contracts import LockedSchema
from infra.catalogue import Carried
from infra.tokens import Scope

Json = dict[str, Any]

AVRO = "application/vnd.apache.avro+json;version=1.9.0"
_TEXT: Json = {"type": "string"}
COMMAND_HEADERS: dict[str, str] = {
    "command-id": "Id of the command.",
    "digest": "SHA-256 of what was asked, raw bytes.",
    "traceparent": "W3C trace context of the request that began it, where there was one.",
}
EVENT_HEADERS: dict[str, str] = {
    "command-id": "Id of the command that was decided.",
    "digest": "SHA-256 of what its sender asked for, raw bytes.",
    "ce_specversion": "CloudEvents: 1.0.",
    "ce_id": "CloudEvents: id of the event.",
    "ce_type": "CloudEvents: name of the event, so that nobody must decode it to know it.",
    "ce_source": "CloudEvents: topic and partition.",
    "traceparent": COMMAND_HEADERS["traceparent"],
}
SOMETIMES = {"traceparent"}
"""Headers that only some records have."""


def document(carried: Iterable[Carried], routes: Iterable[Route]) -> Json:
    """The contract of these topics and of the routes that stream."""
    newest = {entry.name: entry for entry in contracts.locked()}
    found: Json = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tapeline",
            "version": "1",
            "description": "Everything that can be listened to: the tape in Kafka, and the streams of the gateway.",
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {},
        "operations": {},
        "components": {
            "messages": {},
            "schemas": {},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": f"Scopes: {', '.join(Scope)}.",
                }
            },
        },
    }
    for topic in carried:
        _add_topic(found, topic, newest)
    for route in routes:
        if route.says:
            _add_stream(found, route)
    return found


def _servers() -> Json:
    return {
        "tape": {
            "host": "{brokers}",
            "protocol": "kafka",
            "description": "Read it read_committed; nothing that was aborted is part of the tape.",
            "variables": {"brokers": {"default": "127.0.0.1:9092", "description": "TAPELINE_KAFKA."}},
        },
        "gateway": {
            "host": "{gateway}",
            "protocol": "http",
            "description": "Streams as websocket and as server-sent events; the token goes along.",
            "variables": {"gateway": {"default": "127.0.0.1:8080", "description": "Host and port of the gateway."}},
            "security": [{"$ref": "#/components/securitySchemes/token"}],
        },
    }


def _add_topic(found: Json, topic: Carried, newest: dict[str, LockedSchema]) -> None:
    spec, names = topic.spec, [contracts.name_of(message) for message in topic.messages]
    for message, name in zip(topic.messages, names, strict=True):
        found["components"]["messages"].setdefault(name, _message(message, topic, newest[name]))
    found["channels"][spec.name] = {
        "address": spec.name,
        "description": _told_of(topic),
        "servers": [{"$ref": "#/servers/tape"}],
        "messages": {_short(name): {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [spec.cleanup],
                    "retention.ms": spec.retention_ms,
                    "max.message.bytes": spec.max_message_bytes,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }
    is_command = issubclass(topic.messages[0], Command)
    found["operations"][spec.name] = {
        "action": "receive" if is_command else "send",
        "channel": {"$ref": f"#/channels/{spec.name}"},
        "summary": f"Decide on {spec.name}." if is_command else f"Tell {spec.name}.",
    }


def _told_of(topic: Carried) -> str:
    key = f"Keyed by {topic.key}." if topic.key else "Without a key: the same records stand in every partition."
    if issubclass(topic.messages[0], Command):
        return f"Orders given, each to be decided once. {key}"
    if issubclass(topic.messages[0], Event):
        return f"Facts, decided and in order: every partition is dense in `sequence` and chained by `previous`. {key}"
    return f"What the outside said, as it came; repeats are possible. {key}"


def _message(message: type, topic: Carried, entry: LockedSchema) -> Json:
    schema = contracts.published(entry)
    made: Json = {
        "name": entry.name,
        "title": message.__name__,
        "summary": schema["doc"],
        "contentType": "application/vnd.confluent.avro",
        "payload": {"schemaFormat": AVRO, "schema": schema},
        "bindings": {
            "kafka": {
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "TopicRecordNameStrategy",
                "bindingVersion": "0.5.0",
            }
        },
        "x-schema-id": entry.id,
        "x-schema-version": entry.version,
    }
    if topic.key:
        made["bindings"]["kafka"]["key"] = {"type": "string", "description": f"The {topic.key}, as UTF-8."}
    headers = _headers(message)
    if headers:
        made["headers"] = {
            "type": "object",
            "properties": {name: {**_TEXT, "description": doc} for name, doc in headers.items()},
            "required": sorted(headers.keys() - SOMETIMES),
        }
        made["correlationId"] = {"location": "$message.payload#/meta/correlation_id"}
    return made


def _headers(message: type) -> dict[str, str]:
    if issubclass(message, Command):
        return COMMAND_HEADERS
    return EVENT_HEADERS if issubclass(message, Event) else {}


def _add_stream(found: Json, route: Route) -> None:
    is_socket = 101 in route.answers  # noqa: PLR2004  switching protocols
    name = f"{'websocket' if is_socket else 'sse'}:{route.path}"
    schemas, messages = found["components"]["schemas"], found["components"]["messages"]
    told: Json = {}
    for kind in (*route.says, *route.hears):
        reference = referenced(kind, schemas)
        messages[kind.__name__] = {"name": kind.__name__, "title": kind.__name__, "payload": reference}
        told[kind.__name__] = {"$ref": f"#/components/messages/{kind.__name__}"}
    channel: Json = {
        "address": route.path,
        "title": route.summary,
        "description": f"{'A websocket' if is_socket else 'Server-sent events'}. Needs the scope `{route.scope}`.",
        "servers": [{"$ref": "#/servers/gateway"}],
        "messages": told,
    }
    parameters = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    if parameters:
        channel["parameters"] = {each: {"description": f"The {each.replace('_', ' ')}."} for each in parameters}
    if is_socket:
        channel["bindings"] = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}
    found["channels"][name] = channel
    for action, kinds in (("send", route.says), ("receive", route.hears)):
        if kinds:
            found["operations"][f"{action}:{name}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{_pointer(name)}"},
                "messages": [{"$ref": f"#/channels/{_pointer(name)}/messages/{each.__name__}"} for each in kinds],
            }


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _pointer(name: str) -> str:
    """The name as a step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
