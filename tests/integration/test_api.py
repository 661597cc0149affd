"""The API's promises: pages, tags, repeated requests, problems, corrections, settings, on a real appliance."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.bills import _cell
from app.api.routes import all_operations, api_document
from core.clock import ManualClock
from core.records import DecisionKind
from store.idempotency import ABANDONED_S, KEPT_S, Answer, IdempotencyKeys, KeyInUse, KeyOfAnotherRequest
from tests.api_fuzz import fuzz
from tests.api_site import ApiSite, api_site, made_bill, made_events
from tests.postgres import fresh_database, server_url

SNAPSHOT = Path(__file__).parents[1] / "golden" / "api_paths.json"


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[ApiSite]:
    """One appliance for the tests that only read, and for those that change what nobody else looks at."""
    with api_site(tmp_path_factory.mktemp("api"), bills=25) as site:
        yield site


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server_url() as server, fresh_database(server) as url:
        yield url


def problem_of(response, status: int) -> dict:
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    told = response.get_json()
    assert told["status"] == status
    return told


# --- the document ---------------------------------------------------------------------------------------------------


def test_the_paths_of_the_document_are_those_of_the_snapshot():
    """A path that vanishes breaks somebody's program. New ones: TRAYLANE_RENEW=1 is not there on purpose; edit it."""
    document = api_document()
    paths = {
        path: {method: one["operationId"] for method, one in methods.items()}
        for path, methods in document["paths"].items()
    }
    assert paths == json.loads(SNAPSHOT.read_text())


def test_the_document_is_served_and_every_operation_has_an_endpoint(shared):
    served = shared.get("/openapi.json")
    assert served["openapi"] == "3.1.0"
    endpoints = {rule.endpoint for rule in shared.app.url_map.iter_rules()}
    assert {f"api.{operation.name}" for operation in all_operations()} <= endpoints
    assert len({operation.name for operation in all_operations()}) == len(all_operations())


def test_the_page_shows_every_operation_and_runs_no_script(shared):
    response = shared.web.get("/api/v1/docs")
    page = response.get_data(as_text=True)
    for operation in all_operations():
        assert f'id="{operation.name}"' in page
    assert "<script" not in page
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert "style=" not in page


def test_answers_keep_to_the_document_whatever_is_asked(tmp_path):
    with api_site(tmp_path, bills=10) as site:
        site.open_bill()
        told = fuzz(site.app, 120, 7)
    assert told.cases >= 120
    assert not [status for status in told.statuses if status >= 500]
    assert not told.broken, "\n".join(told.broken.values())


# --- pages ----------------------------------------------------------------------------------------------------------


def walk(site: ApiSite, address: str, between=lambda number: None) -> list[dict]:
    found, number = [], 0
    while address is not None:
        response = site.web.get(address)
        page = response.get_json()
        rows = page.get("bills") or page.get("events") or []
        found += rows
        link = response.headers.get("Link")
        assert (link is None) == (page["next"] is None)
        if link is not None:
            assert link == f'<{page["next"]}>; rel="next"'
        address, number = page["next"], number + 1
        between(number)
        assert number < 200
    return found


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_pages_neither_lose_nor_double_while_bills_arrive(tmp_path, request, engine):
    url = request.getfixturevalue("postgres") if engine == "postgresql" else ""
    with api_site(tmp_path, url=url, bills=40) as site:
        wanted = {f"bill-{number:05d}" for number in range(40)}

        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(limit=st.integers(1, 17), arrivals=st.lists(st.integers(0, 3), max_size=12), salt=st.integers(0, 10**6))
        def check(limit: int, arrivals: list[int], salt: int) -> None:
            def arrive(number: int) -> None:
                for k in range(arrivals[number] if number < len(arrivals) else 0):
                    new = made_bill(1000 + salt * 100 + 10 * number + k)
                    site.store.append(made_events(new), [new])

            told = [one["bill_id"] for one in walk(site, f"/api/v1/bills?limit={limit}", arrive)]
            assert len(told) == len(set(told))
            assert wanted <= set(told)

        check()
        seqs = [one["seq"] for one in walk(site, "/api/v1/events?limit=13&lane=lane1")]
        assert seqs == sorted(set(seqs))
        assert seqs == [one.seq for one in site.store.events("lane1", limit=10_000)]


def test_filters_find_what_a_slow_loop_finds(shared):
    everything = walk(shared, "/api/v1/bills?limit=500")
    cases = [
        ("dish=cake", lambda b: any(line["dish"] == "cake" for line in b["lines"])),
        ("min_total=3", lambda b: b["total"] >= 3),
        ("max_total=2.00&state=closed", lambda b: b["total"] <= 2 and b["closed_at"]),
        ("state=open", lambda b: b["closed_at"] is None),
        ("from=2025-06-15T15:10:00Z&to=2025-06-15T15:20:00%2B00:00",
         lambda b: "2025-06-15T15:10:00Z" <= b["opened_at"] < "2025-06-15T15:20:00Z"),
        ("lane=lane1&asked=true", lambda b: False),
    ]  # fmt: skip
    for query, fits in cases:
        told = [one["bill_id"] for one in walk(shared, f"/api/v1/bills?limit=4&{query}")]
        assert told == [one["bill_id"] for one in everything if fits(one)], query


@pytest.mark.parametrize(
    ("address", "parameter"),
    [
        ("/bills?limit=0", "limit"), ("/bills?limit=501", "limit"), ("/bills?limit=1e2", "limit"),
        ("/bills?limits=5", "limits"), ("/bills?limit=1&limit=2", "limit"), ("/bills?closed=yes", "closed"),
        ("/bills?corrected=1", "corrected"), ("/bills?from=yesterday", "from"), ("/bills?from=1700000000", "from"),
        ("/bills?cursor=abc", "cursor"), ("/bills?min_total=nan", "min_total"), ("/events?after=-1", "after"),
        ("/lanes?x=1", "x"), ("/events?cursor=%00", "cursor"), ("/bills?dish=%00", "dish"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_wrong_is_named(shared, address, parameter):
    told = problem_of(shared.web.get(f"/api/v1{address}"), 400)
    assert [one["parameter"] for one in told["errors"]] == [parameter]


def test_a_cursor_is_for_its_own_list_and_filters(shared):
    page = shared.get("/bills?limit=2&dish=cake")
    cursor = page["next"].partition("cursor=")[2]
    problem_of(shared.web.get(f"/api/v1/bills?limit=2&cursor={cursor}"), 400)
    problem_of(shared.web.get(f"/api/v1/events?cursor={cursor}"), 400)
    problem_of(shared.web.get(f"/api/v1/bills?limit=2&dish=cake&cursor={cursor[:-3]}"), 400)


# --- the table ------------------------------------------------------------------------------------------------------


@given(st.text())
@settings(database=None, max_examples=50)
def test_no_cell_is_a_formula_and_every_cell_comes_back(text):
    row = next(csv.reader(io.StringIO(_cell(text) + ",end\r\n", newline="")))
    assert row[0][:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert row[0] in (text, f"'{text}")
    assert row[1] == "end"


@pytest.mark.parametrize(("address", "headers"), [("/bills.csv", {}), ("/bills", {"Accept": "text/csv"})])
def test_the_table_has_a_row_for_each_line(shared, address, headers):
    response = shared.web.get(f"/api/v1{address}?state=closed", headers=headers)
    assert response.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.get_data().decode("utf-8-sig"), newline="")))
    bills = walk(shared, "/api/v1/bills?state=closed&limit=100")
    assert len(rows) == sum(len(one["lines"]) for one in bills)
    assert sum(float(one["line_total"]) for one in rows) == pytest.approx(sum(one["total"] for one in bills))


# --- tags -----------------------------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(shared):
    first = shared.web.get("/api/v1/bills/bill-00001")
    tag = first.headers["ETag"]
    for given_tag in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = shared.web.get("/api/v1/bills/bill-00001", headers={"If-None-Match": given_tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert shared.web.get("/api/v1/bills/bill-00001", headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_change_of_what_has_changed_is_refused(shared):
    tag = shared.web.get("/api/v1/bills/bill-00002").headers["ETag"]
    address, body = "/api/v1/bills/bill-00002/lines", {"dish": "soup"}
    # A weak tag says "about the same": not enough to overwrite.
    problem_of(shared.web.post(address, json=body, headers={"If-Match": f"W/{tag}"}), 412)
    assert shared.web.post(address, json=body, headers={"If-Match": tag}).status_code == 200
    problem_of(shared.web.post(address, json=body, headers={"If-Match": tag}), 412)
    assert len(shared.get("/bills/bill-00002")["lines"]) == 2


# --- repeated requests ----------------------------------------------------------------------------------------------


def test_a_repeated_request_is_done_once(shared):
    address, body = "/api/v1/bills/bill-00004/lines", {"dish": "soup"}
    sent = [shared.web.post(address, json=body, headers={"Idempotency-Key": "k-4"}) for _ in range(3)]
    assert [one.status_code for one in sent] == [200, 200, 200]
    assert [one.headers.get("Idempotent-Replayed") for one in sent] == [None, "true", "true"]
    assert len({one.data for one in sent}) == 1
    assert {one.content_type for one in sent} == {"application/json"}
    assert len(shared.get("/bills/bill-00004")["lines"]) == 2
    other = shared.web.post(address, json={"dish": "cup"}, headers={"Idempotency-Key": "k-4"})
    assert problem_of(other, 422)["errors"][0]["parameter"] == "Idempotency-Key"


def test_a_refusal_is_repeated_too(shared):
    address = "/api/v1/bills/bill-00006/lines/9/correction"
    sent = [shared.web.post(address, json={"action": "remove"}, headers={"Idempotency-Key": "k-6"}) for _ in range(2)]
    assert [problem_of(one, 409)["title"] for one in sent] == ["CorrectionRefused"] * 2
    assert sent[1].headers["Idempotent-Replayed"] == "true"


def test_many_at_once_with_one_key_change_once(shared):
    codes: list[int] = []

    def send() -> None:
        client = shared.app.test_client()
        body = {"dish": "soup"}
        codes.append(
            client.post("/api/v1/bills/bill-00008/lines", json=body, headers={"Idempotency-Key": "k-8"}).status_code
        )

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) <= {200, 409}
    assert 200 in codes
    assert len(shared.get("/bills/bill-00008")["lines"]) == 2


def test_keys_expire_and_an_abandoned_one_is_refused_for_a_while(shared):
    clock = ManualClock(utc_s=1000.0)
    keys = IdempotencyKeys(shared.store, clock)
    assert keys.begin("s", "a", "h") is None
    with pytest.raises(KeyInUse):
        keys.begin("s", "a", "h")
    assert keys.begin("other scope", "a", "h2") is None
    clock.advance(ABANDONED_S + 1)
    assert keys.begin("s", "a", "h") is None
    keys.keep("s", "a", Answer(201, (("X", "y"),), "ü"))
    assert keys.begin("s", "a", "h") == Answer(201, (("X", "y"),), "ü")
    with pytest.raises(KeyOfAnotherRequest):
        keys.begin("s", "a", "h3")
    clock.advance(KEPT_S)
    assert keys.begin("s", "a", "h3") is None


# --- problems -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "address", "sent", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/bills/none", {}, 404),
        ("GET", "/lanes/none", {}, 404),
        ("DELETE", "/bills", {}, 405),
        ("POST", "/lanes/lane1/answers", {"data": "x=1"}, 415),
        ("POST", "/lanes/lane1/answers", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/lanes/lane1/answers", {"json": {"track_id": "7", "dish": ""}}, 422),
        ("POST", "/lanes/lane1/answers", {"json": {"track_id": 7, "dish": "", "x": 1}}, 422),
        ("POST", "/lanes/lane1/answers", {"data": b" " * 2_000_000, "content_type": "application/json"}, 413),
        ("PUT", "/settings", {"json": {"text": ""}}, 428),
        ("GET", "/bills/x/lines", {}, 405),
        ("GET", "/models/UPPER@1", {}, 400),
        ("GET", "/models/none@1", {}, 404),
        ("POST", "/models/rollback", {"json": {}}, 409),
        ("POST", "/models/traynet@1/promotion", {"json": {"channel": "lane9"}}, 422),
    ],
)
def test_everything_that_goes_wrong_is_told_in_one_shape(shared, method, address, sent, status):
    response = shared.web.open(f"/api/v1{address}", method=method, **sent)
    told = problem_of(response, status)
    assert told["detail"]
    if status == 405:
        assert "GET" in response.headers["Allow"] or "POST" in response.headers["Allow"]
    if status == 422:
        assert all(one["pointer"].startswith("#/") for one in told["errors"])


# --- corrections ----------------------------------------------------------------------------------------------------


def test_an_open_bill_is_corrected_by_its_lane(tmp_path):
    with api_site(tmp_path) as site:
        bill_id = site.open_bill()["bill_id"]
        address = f"/api/v1/bills/{bill_id}"
        done = site.web.post(
            f"{address}/lines/1/correction", json={"action": "replace", "dish": "cake", "reason": "looked"}
        )
        assert [line["dish"] for line in done.get_json()["bill"]["lines"]] == ["cake", "cup"]
        site.web.post(f"{address}/lines", json={"dish": "cake"})
        site.web.post(f"{address}/lines/2/correction", json={"action": "remove"})
        site.go_on.set()
        site.site._views["lane1"].lane.drain(20)
        bill = site.get(f"/bills/{bill_id}")
        assert bill["closed_at"] is not None
        assert [(line["line_no"], line["dish"]) for line in bill["lines"]] == [(1, "cake"), (3, "cake")]
        steps = site.get(f"/bills/{bill_id}/revisions")["revisions"]
        assert [one["revision"] for one in steps] == list(range(1, len(steps) + 1))
        corrections = [one["event"] for one in steps if one["event"]["kind"] == "correction"]
        assert [one["detail"]["action"] for one in corrections] == ["replace", "add", "remove"]
        assert corrections[0]["detail"]["by"] == "demo"
        assert [one["bill_id"] for one in site.get("/bills?corrected=true")["bills"]] == [bill_id]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_corrections_of_a_closed_bill_at_the_same_moment_are_all_kept(tmp_path, request, engine):
    url = request.getfixturevalue("postgres") if engine == "postgresql" else ""
    with api_site(tmp_path, url=url, bills=3) as site:
        before = site.get("/bills/bill-00001")

        def add() -> None:
            client = site.app.test_client()
            assert client.post("/api/v1/bills/bill-00001/lines", json={"dish": "cup"}).status_code == 200

        threads = [threading.Thread(target=add) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = site.get("/bills/bill-00001")
        assert len(after["lines"]) == len(before["lines"]) + 6
        assert after["revision"] == before["revision"] + 12
        assert after["closed_at"] == before["closed_at"]
        kinds = [one["event"]["kind"] for one in site.get("/bills/bill-00001/revisions")["revisions"]]
        assert kinds.count(str(DecisionKind.CORRECTION)) == 6
        stats = site.get("/stats?dish=cup&corrected=true")
        assert (stats["bills"], stats["corrected_bills"]) == (1, 1)


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_are_changed_with_their_comments_and_taken_back(tmp_path):
    with api_site(tmp_path) as site:
        first = site.web.get("/api/v1/settings")
        before, tag = first.get_json(), first.headers["ETag"]
        assert not before["restart_needed"]
        body = {"changes": [{"key": "lanes.lane1.detect.fps", "value": 12}, {"key": "site.name", "value": "hall"}]}
        changed = site.web.patch("/api/v1/settings", json=body, headers={"If-Match": tag})
        assert changed.status_code == 200, changed.get_json()
        text = (site.folder / "site.yaml").read_text()
        assert text.replace("0123456789abcdef", "<hidden>") == changed.get_json()["text"]
        assert "0123456789abcdef" in text, "what nobody sees is kept"
        assert "# The canteen." in text
        assert "# what people call it" in text
        assert "# the only one" in text
        assert "fps: 12" in text
        assert changed.get_json()["restart_needed"]
        problem_of(site.web.patch("/api/v1/settings", json=body, headers={"If-Match": tag}), 412)

        tag = changed.headers["ETag"]
        bad = {"changes": [{"key": "lanes.lane1.detect.fps", "value": -1}]}
        told = problem_of(site.web.patch("/api/v1/settings", json=bad, headers={"If-Match": tag}), 422)
        assert "lanes.lane1.detect.fps" in told["detail"]
        through = {"changes": [{"key": "site.name.x", "value": 1}]}
        problem_of(site.web.patch("/api/v1/settings", json=through, headers={"If-Match": tag}), 422)
        assert (site.folder / "site.yaml").read_text() == text

        old = site.get("/settings/versions")["versions"]
        assert [one["sha256"] for one in old] == [before["sha256"]]
        back = site.web.post("/api/v1/settings/rollback", json={"sha256": old[0]["sha256"]}, headers={"If-Match": tag})
        assert back.get_json()["text"] == before["text"]
        assert not back.get_json()["restart_needed"]


def test_a_configuration_is_checked_without_saving(shared):
    text = shared.get("/settings")["text"]
    checked = shared.web.post("/api/v1/settings/check", json={"text": text}).get_json()
    assert checked == {"valid": True, "faults": [], "diff": []}
    told = shared.web.post("/api/v1/settings/check", json={"text": text + "nonsense: 1\n"}).get_json()
    assert not told["valid"]
    assert told["faults"] == [
        {
            "line": text.count("\n") + 1,
            "key": "nonsense",
            "message": "unknown key; check the spelling against docs/config.md",
        }
    ]
    assert shared.get("/settings")["text"] == text
