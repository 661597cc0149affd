// The queue of questions of all lanes, oldest first. A question that was answered, or whose object has gone, goes by itself.
"use strict";

const { t } = Lanes;
const asksOf = new Map(); // lane -> its open questions
const later = new Set(); // left for later by the person: behind the others
const at = (id) => document.getElementById(id);

function queue() {
  const all = [...asksOf].flatMap(([laneId, asks]) => asks.map((ask) => ({ laneId, ask, key: Lanes.askKey(laneId, ask) })));
  const put = (one) => (later.has(one.key) ? 1 : 0);
  return all.sort((a, b) => put(a) - put(b) || a.ask.asked_at.localeCompare(b.ask.asked_at) || a.ask.track_id - b.ask.track_id);
}

function heading({ laneId, ask }) {
  const ago = Lanes.span((Date.now() - new Date(ask.asked_at)) / 1000);
  return `${laneId} · ${t("asked_ago", { time: ago })}`;
}

function show() {
  const wanted = queue();
  const box = at("queue");
  const there = new Map([...box.children].map((card) => [card.dataset.ask, card]));
  const cards = wanted.map((one) => there.get(one.key) || Lanes.askCard(one.laneId, one.ask, {
    onAnswer: (title) => Traylane.toast(t("answered", { dish: title }), "good"),
  }));
  if (cards.length !== box.children.length || cards.some((card, i) => card !== box.children[i])) box.replaceChildren(...cards);
  wanted.forEach((one, i) => {
    cards[i].querySelector(".ask-title").textContent = heading(one);
    cards[i].classList.toggle("current", i === 0);
  });
  at("count").textContent = t("open_questions", { n: wanted.length });
  at("count").className = wanted.length ? "chip warn" : "chip good";
  document.title = document.title.replace(/^(\(\d+\) )?/, wanted.length ? `(${wanted.length}) ` : "");
  at("loading").hidden = true;
  at("none").hidden = wanted.length > 0;
}

/** Put the current question behind the others. */
function leave() {
  const first = queue()[0];
  if (!first) return;
  later.delete(first.key);
  later.add(first.key);
  show();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  if (event.key === "n") leave();
});
Lanes.answerKeys(() => at("queue").firstElementChild);
Traylane.stream("/api/v1/lanes/stream", { lane: (lane) => {
  asksOf.set(lane.lane_id, lane.asks);
  show();
} }, Lanes.showLink);
setInterval(() => asksOf.size && show(), 5000); // how long ago
