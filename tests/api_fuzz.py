"""Requests made from the OpenAPI document, good ones and broken ones, and what every answer must keep to.

Used by a test (a few hundred) and by `bench/api_fuzz.py` (ten thousand). Streams are left out: they never end; the
tests of the live feeds look at them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

#: What an answer must keep to. "Good requests are accepted" is not among them: whether a bill of that id exists, or a
#: cursor is ours, no schema can say.
RULES: tuple[CheckFunction, ...] = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
)
ENDLESS = ("lanes_stream", "events_stream")


@dataclass
class Fuzzed:
    """What came of it.

    Attributes:
        cases: requests that were sent.
        statuses: how often each was answered.
        broken: operation and rule -> the first message.
    """

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)


def fuzz(app: Flask, cases: int, random_seed: int) -> Fuzzed:
    """Send at least `cases` requests, about the same number to each operation, half of them broken on purpose."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    # 412 and 413 refuse, too; the list of the library lacks them.
    refusals = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429]
    schema.config.checks.negative_data_rejection.expected_statuses = [str(status) for status in refusals]
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [one for one in operations if one.definition.raw["operationId"] not in ENDLESS]
    told = Fuzzed()
    while told.cases < cases:
        # An operation without input has nothing that could be broken: what it leaves over goes to the others.
        each = max(1, -(-(cases - told.cases) // (2 * len(operations))))
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _fuzz_one(operation, mode, each, random_seed, told)
        random_seed += 1
    return told


def _fuzz_one(operation, mode, count: int, random_seed: int, told: Fuzzed) -> None:
    name = operation.definition.raw["operationId"]
    sent = 0

    @seed(random_seed)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), derandomize=False,
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case) -> None:
        nonlocal sent
        sent += 1
        told.cases += 1
        try:
            response = case.call()
        except Exception as err:  # the transport hands on what the application did not catch: a 500 to anybody else
            told.statuses[500] += 1
            told.broken.setdefault(f"{name} {mode.value}", f"{type(err).__name__}: {err}\n{case.as_curl_command()}")
            return
        told.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=list(RULES))
        except (FailureGroup, AssertionError) as err:
            told.broken.setdefault(f"{name} {mode.value}", _first(err, case))

    try:
        send()
    except Exception as err:
        if type(err).__name__ not in ("Unsatisfiable",):
            raise
        # Nothing about this operation can be broken (it takes no input), or nothing good can be made.
        assert sent == 0, name


def _first(err: BaseException, case) -> str:
    failures = getattr(err, "exceptions", (err,))
    return f"{'; '.join(str(one) for one in failures)}\n{case.as_curl_command()}"
