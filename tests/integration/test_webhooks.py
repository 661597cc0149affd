"""Webhooks against a real HTTP server: order, signatures, refusals, back-off, kill -9, forbidden addresses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from checkout.webhook_settings import WebhookSettings, key_of
from core.clock import ManualClock, SystemClock
from core.errors import ConfigError
from core.settings import Settings, parse_settings
from fleet.addresses import AddressRefused, judged_addresses
from fleet.delivery import Outcome, Verdict, deliver
from fleet.event_text import event_text
from fleet.signing import is_genuine
from fleet.webhooks import Webhook
from store.engine import open_store
from store.outbox import Outbox
from store.sql_store import SqlStore
from tests.api_site import made_bill, made_events
from tests.postgres import fresh_database, server_url
from tests.store_records import make_event

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of the specification


@dataclass
class Receiver:
    """A server that takes webhooks.

    Attributes:
        took: (webhook id, lane, seq) of what was taken, in order.
        answers: statuses to give before 200, one a request.
        stall_s: seconds to wait before answering.
    """

    url: str = ""
    took: list[tuple[str, str, int]] = field(default_factory=list)
    forged: int = 0
    answers: list[int] = field(default_factory=list)
    refuse: set[int] = field(default_factory=set)
    stall_s: float = 0.0
    drip: bool = False


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if not is_genuine(key_of(SECRET), headers, body, time.time()):
                told.forged += 1
            content = json.loads(body)["data"]
            if told.drip:
                with contextlib.suppress(OSError):
                    for letter in b"HTTP/1.1 200 OK\r\n" * 100:
                        self.wfile.write(bytes([letter]))
                        self.wfile.flush()
                        time.sleep(0.05)
                return
            time.sleep(told.stall_s)
            status = told.answers.pop(0) if told.answers else 400 if content["seq"] in told.refuse else 200
            if status == 200:
                told.took.append((headers["webhook-id"], content["lane_id"], content["seq"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}/hook?x=1"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/t.db"
        if request.param == "postgresql":
            url = stack.enter_context(fresh_database(stack.enter_context(server_url())))
        opened = open_store(url)
        stack.callback(opened.close)
        yield opened


def hook_for(url: str, store: SqlStore, clock=None, send=deliver, **more: object) -> Webhook:
    values = {"name": "till", "url": url, "secret": SECRET, "allow_private": True, "from_start": True, **more}
    clock = clock or SystemClock()
    hook = Webhook(
        WebhookSettings(**values), Outbox(store, clock), clock, event_text, ["webhook:till"], threading.Event(), send,
        chance=lambda: 1.0,
    )  # fmt: skip
    hook._outbox.register(hook.consumer, hook.settings.from_start)
    return hook


def add_events(store: SqlStore, count: int, *lanes: str, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        store.append([make_event(number, lane) for lane in lanes or ("lane1",)], [])


def test_events_arrive_signed_in_order_and_once(store):
    with receiver() as till:
        add_events(store, 5, "lane1", "lane2")
        hook = hook_for(till.url, store)
        assert hook.step()
        assert not hook.step()
        assert till.forged == 0
        for lane in ("lane1", "lane2"):
            mine = [one for one in till.took if one[1] == lane]
            assert [one[0] for one in mine] == [f"{lane}-event-{n}" for n in range(5)]
            assert [one[2] for one in mine] == sorted(one[2] for one in mine)
        assert store.outbox_depth() == 0
        add_events(store, 1, begin=9)
        assert store.outbox_depth() == 1
        assert hook.step()
        assert till.took[-1][0] == "lane1-event-9"


def test_a_new_receiver_begins_with_what_comes_and_two_do_not_disturb_each_other(store):
    with receiver() as one, receiver() as other:
        add_events(store, 3)
        early, late = hook_for(one.url, store), hook_for(other.url, store, name="late", from_start=False)
        early.step()
        add_events(store, 2, begin=5)
        other.answers = [503]
        late.step()
        early.step()
        assert len(one.took) == 5
        assert other.took == []
        assert late._outbox.cursors("webhook:late")[0].attempts == 1


def test_only_the_wanted_kinds_and_lanes_are_sent_and_the_rest_is_settled(store):
    with receiver() as till:
        bill = made_bill(1, dishes=("soup", "cup"))
        store.append(made_events(bill), [bill])
        add_events(store, 4, "lane2")
        hook = hook_for(till.url, store, kinds=["bill_close"], lanes=["lane1"])
        hook.step()
        assert [one[0] for one in till.took] == ["bill-00001-4"]
        assert store.outbox_depth() == 0


def test_a_receiver_that_is_away_is_tried_later_and_later_in_order(store):
    clock, tries = ManualClock(utc_s=1000.0), []

    def send(settings, message_id, body, now_s):
        tries.append((round(clock.utc_s() - 1000.0, 3), message_id))
        return Outcome(Verdict.TAKEN) if len(tries) > 5 else Outcome(Verdict.AWAY, "no route")

    add_events(store, 2)
    hook = hook_for("http://till.example/", store, clock, send, first_s=1, factor=2, max_s=5)
    for _ in range(40):
        hook.step()
        clock.advance(0.5)
    assert [when for when, _ in tries[:6]] == pytest.approx([0.0, 1.0, 3.0, 7.0, 12.0, 17.0], abs=1.0)
    assert [one for _, one in tries] == ["lane1-event-0"] * 6 + ["lane1-event-1"]


def test_a_receiver_says_when_to_come_again(store):
    clock = ManualClock(utc_s=1000.0)
    add_events(store, 1)
    hook = hook_for("http://till.example/", store, clock, lambda *_: Outcome(Verdict.AWAY, "429", 40.0))
    hook.step()
    assert hook._outbox.cursors(hook.consumer)[0].next_try_s == 1040.0


def test_what_is_refused_becomes_a_dead_letter_that_can_be_sent_again(store):
    clock = ManualClock(utc_s=time.time())
    with receiver() as till:
        add_events(store, 3)
        till.refuse = {2}
        hook = hook_for(till.url, store, clock, refusals=3, first_s=1, max_s=1)
        for _ in range(5):
            hook.step()
            clock.advance(2.0)
        assert [one[0] for one in till.took] == ["lane1-event-0", "lane1-event-2"]
        outbox = hook._outbox
        letter = outbox.letters("webhook:till")[0]
        assert (letter.stored.event.event_id, letter.attempts) == ("lane1-event-1", 3)
        assert "400" in letter.error
        assert outbox.ask_again(letter.letter_id)
        hook.step()
        again = outbox.letter(letter.letter_id)
        assert (again.attempts, again.resend_at_s, again.resent_at_s) == (4, None, None)
        till.refuse.clear()
        outbox.ask_again(letter.letter_id)
        hook.step()
        assert outbox.letter(letter.letter_id).resent_at_s is not None
        assert till.took[-1][0] == "lane1-event-1"
        assert not outbox.ask_again(letter.letter_id)


def test_an_event_whose_receiver_is_gone_for_good_is_given_up_and_shown(store):
    clock = ManualClock(utc_s=1000.0)
    add_events(store, 1)
    away = hook_for(
        "http://x.example/", store, clock, lambda *_: Outcome(Verdict.AWAY, "gone"), give_up_s=100, max_s=30
    )
    for _ in range(20):
        away.step()
        clock.advance(10.0)
    letters = away._outbox.letters()
    assert [one.error for one in letters] == ["gone"]
    assert 100 <= letters[0].died_at_s - 1000.0 <= 135


def test_a_second_process_with_the_same_name_is_noticed(store):
    add_events(store, 1)
    hook = hook_for("http://x.example/", store, send=lambda *_: Outcome(Verdict.TAKEN))
    cursor = hook._outbox.cursors(hook.consumer)[0]
    assert hook._outbox.advance(cursor, 1, 1) is not None
    assert hook._outbox.advance(cursor, 1, 1) is None
    assert hook._outbox.put_off(cursor, "x", 5.0) is None


WORK = """
import sys, threading
from core.clock import SystemClock
from checkout.webhook_settings import WebhookSettings
from fleet.event_text import event_text
from fleet.webhooks import Webhook
from store.engine import open_store
from store.outbox import Outbox
url, store_url, secret = sys.argv[1:]
clock = SystemClock()
settings = WebhookSettings(name="till", url=url, secret=secret, allow_private=True, from_start=True, first_s=0.05)
store = open_store(store_url)
print("ready", flush=True)
Webhook(settings, Outbox(store, clock), clock, event_text, ["webhook:till"], threading.Event()).run()
"""


def test_killed_again_and_again_nothing_is_lost_and_the_order_stays(tmp_path):
    url = f"sqlite:///{tmp_path}/t.db"
    store = open_store(url)
    add_events(store, 30, "lane1", "lane2")
    with receiver() as till:
        till.stall_s = 0.01
        kills = 0
        while len({one[0] for one in till.took}) < 60:
            assert kills < 40
            child = subprocess.Popen(
                [sys.executable, "-c", WORK, till.url, url, SECRET], cwd=ROOT, stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            assert child.stdout.readline() == b"ready\n"
            goal = len(till.took) + 9 if kills < 4 else 10_000
            deadline_s = time.monotonic() + 30
            while time.monotonic() < deadline_s and len(till.took) < goal:
                if len({one[0] for one in till.took}) == 60:
                    break
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            child.wait(10)
            child.stdout.close()
            kills += 1
        assert kills >= 4
        assert till.forged == 0
        for lane in ("lane1", "lane2"):
            first_time = list(dict.fromkeys(one[0] for one in till.took if one[1] == lane))
            assert first_time == [f"{lane}-event-{n}" for n in range(30)]
        # At most the event under way comes twice, once for each kill.
        assert len(till.took) - 60 <= kills
    store.close()


def test_who_drips_or_never_answers_is_cut_off(tmp_path):
    with receiver() as till:
        for change in ({"stall_s": 3.0}, {"drip": True}):
            for name, value in change.items():
                setattr(till, name, value)
            settings = WebhookSettings(name="t", url=till.url, secret=SECRET, allow_private=True, timeout_s=0.5)
            began_s = time.monotonic()
            outcome = deliver(settings, "id", b'{"data": {"seq": 1, "lane_id": "x"}}', time.time())
            assert outcome.verdict is Verdict.AWAY
            assert time.monotonic() - began_s < 2.5


def test_nobody_listens():
    settings = WebhookSettings(name="t", url="http://127.0.0.1:9/", secret=SECRET, allow_private=True, timeout_s=2)
    outcome = deliver(settings, "id", b"{}", 0.0)
    assert outcome.verdict is Verdict.AWAY
    assert "refused" in outcome.why.lower()


@pytest.mark.parametrize(
    ("host", "private", "says"),
    [
        ("127.0.0.1", False, "allow_private"), ("10.1.2.3", False, "allow_private"),
        ("169.254.169.254", True, "link-local"), ("0.0.0.0", True, "not an address"), ("224.0.0.1", True, "not an"),  # noqa: S104
        ("no-such-host.invalid", True, "no address"), ("localhost", False, "allow_private"),
    ],
)  # fmt: skip
def test_addresses_that_are_not_meant_are_refused(host, private, says):
    with pytest.raises(AddressRefused, match=says):
        judged_addresses(host, 80, private)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "ftp://x/"}, "http://HOST"), ({"url": "http://u:p@x/"}, "no user"),
        ({"url": "http://x:99999/"}, "not an"),
        ({"secret": "short"}, "shorter"), ({"secret": "whsec_???"}, "base64"), ({"kinds": ["nope"]}, "kinds"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_with_a_reason(change, says):
    class File(Settings):
        hook: WebhookSettings

    text = json.dumps({"hook": {"name": "t", "url": "http://x/", "secret": SECRET, **change}})
    with pytest.raises(ConfigError, match=says):
        parse_settings(File, text.encode(), "site.yaml", {})
