"""The client against the API's OpenAPI description: methods, parameters, types of answers."""

from __future__ import annotations

import re
from inspect import signature
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import httpx
import pytest

from conftest import ANYTHING, KEY
from stack import ROOT, Stack
from torale import Admin, ToraleClient

ROUTES = ROOT / "shared" / "platform" / "src" / "routes.rs"
ID = "a0000000-0000-4000-8000-000000000001"
# A value for every argument of every method.
ARGUMENTS: dict[str, Any] = {
    "metric": "executions",
    "bucket": "hour",
    "status": "failed",
    "hours": 1,
    "page": 1,
    "limit": 1,
    "page_size": 1,
    "active_only": True,
    "q": "ada@",
    "error_type": "TimeoutError",
    "state": "active",
    "search_query": "When?",
    "include_paused": True,
    "include_timezone": True,
    "principal": ID,
    "action": "users.list",
    "user_id": ID,
    "task_id": ID,
    "execution_id": ID,
    "user_ids": [ID],
}
METHODS = sorted(name for name in vars(Admin) if not name.startswith("_"))


def requests(method: str) -> list[httpx.Request]:
    """The requests of a method that is called with all its arguments."""
    asked = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ANYTHING)

    with ToraleClient(KEY, "https://api.example.com", transport=httpx.MockTransport(handle)) as client:
        call = getattr(client.admin, method)
        answer = call(**{name: ARGUMENTS[name] for name in signature(call).parameters})
        if method.startswith("iter_"):
            assert list(answer) == []
    return asked


def test_every_route_has_a_method() -> None:
    routes = re.findall(r'\("([A-Z]+)", "(/admin/[^"]+)"\)', ROUTES.read_text())
    sent = {(request.method, request.url.path.replace(ID, "{id}")) for name in METHODS for request in requests(name)}
    assert sent == set(routes)


def test_every_list_has_an_iter_method() -> None:
    lists = [name for name in METHODS if "limit" in signature(getattr(Admin, name)).parameters]
    walks = [name for name in METHODS if name.startswith("iter_")]
    assert walks == [name.replace("get_", "iter_") for name in lists]
    for name in lists:
        of_one, of_all = (
            set(signature(getattr(Admin, each)).parameters) for each in (name, name.replace("get_", "iter_"))
        )
        assert of_all == of_one - {"page", "limit"} | {"page_size"}


@pytest.fixture(scope="module")
def description(stack: Stack) -> dict[str, Any]:
    with ToraleClient(stack.key, stack.url) as client:
        return client.admin.get_openapi()


def operation(description: dict[str, Any], method: str) -> dict[str, Any]:
    (request,) = requests(method)
    found: dict[str, Any] = description["paths"][request.url.path.replace(ID, "{id}")][request.method.lower()]
    return found


@pytest.mark.parametrize("method", METHODS)
def test_method_has_all_query_parameters_of_its_endpoint(description: dict[str, Any], method: str) -> None:
    parameters = operation(description, method).get("parameters", [])
    named = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert set(requests(method)[0].url.params) == named


@pytest.mark.parametrize("method", [name for name in METHODS if not name.startswith("iter_")])
def test_return_type_is_the_schema_of_the_endpoint(description: dict[str, Any], method: str) -> None:
    answer = operation(description, method)["responses"]["200"]["content"]["application/json"]["schema"]
    hint = get_type_hints(getattr(Admin, method))["return"]
    assert difference(hint, answer, description["components"]["schemas"]) is None


SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def difference(hint: Any, schema: dict[str, Any], named: dict[str, Any]) -> str | None:  # noqa: PLR0911
    """The first difference between a type and a JSON Schema."""
    if "$ref" in schema:
        return difference(hint, named[schema["$ref"].rsplit("/", 1)[1]], named)
    if is_typeddict(hint):
        fields, properties = get_type_hints(hint), schema["properties"]
        if set(fields) != set(properties) or hint.__required_keys__ != set(schema["required"]):
            return f"{hint.__name__}: {sorted(set(fields) ^ set(properties))}"
        found = (difference(fields[name], properties[name], named) for name in fields)
        return next((f"{hint.__name__}: {each}" for each in found if each), None)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list:
        return difference(arguments[0], schema["items"], named)
    if origin is dict:
        said = schema.get("additionalProperties", True)
        return None if said is True and arguments[1] is Any else difference(arguments[1], said, named)
    if origin is Literal and "enum" in schema:
        return None if set(arguments) == set(schema["enum"]) else f"{arguments} is not {schema['enum']}"
    if "anyOf" in schema:
        found = (difference(*pair, named) for pair in zip(arguments, schema["anyOf"], strict=True))
        return next((each for each in found if each), None)
    if origin is Literal:
        arguments = (type(arguments[0]),)
    kinds = {SCALARS[each] for each in arguments or (hint,)}
    said = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return None if kinds == set(said) else f"{kinds} is not {said}"
