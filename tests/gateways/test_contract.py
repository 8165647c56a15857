"""The published contract of the HTTP door."""

import re
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

import main
from gateways import openapi
from tests.kit.doors import ROUTES, Client


def described() -> dict[str, Any]:
    return openapi.document(ROUTES)


def test_is_valid_openapi_3_1() -> None:
    assert list(OpenAPIV31SpecValidator(described()).iter_errors()) == []


def test_names_every_route() -> None:
    document = described()
    for route in ROUTES:
        path = re.sub(r":[^{}]*}", "}", route.path)
        operation = document["paths"][path][route.method.lower()]
        assert operation["summary"]
        assert "default" in operation["responses"]
    ids = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))


def test_a_pattern_of_the_router_is_no_part_of_a_name() -> None:
    document = openapi.document(main.routes())
    for path, operations in document["paths"].items():
        assert ":" not in path
        for operation in operations.values():
            named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert named == set(re.findall(r"{([^}]+)}", path))


def test_says_which_requests_need_a_key() -> None:
    post = described()["paths"]["/v1/accounts/{account_id}/orders"]["post"]
    assert "Idempotency-Key" in [each["name"] for each in post["parameters"]]


async def test_is_served_with_a_page_of_local_files(trader: Client) -> None:
    nobody = trader.with_token("")
    response, document = await nobody.ask("GET", "/openapi.json")
    assert (response.status, document["openapi"]) == (200, "3.1.0")
    response, page = await nobody.ask("GET", "/docs")
    assert response.status == 200
    for link in re.findall(r'(?:src|href)="([^"]+)"', page.decode()):
        assert link.startswith("/")
        response, _ = await nobody.ask("GET", link)
        assert response.status == 200
    response, _ = await nobody.ask("GET", "/docs/static/..%2f__init__.py")
    assert response.status == 404


async def test_answers_an_order_in_the_shape_it_promises(trader: Client) -> None:
    document = described()
    _, order = await trader.place()
    promised = document["components"]["schemas"]["OrderView"]
    assert set(order) == set(promised["properties"])
