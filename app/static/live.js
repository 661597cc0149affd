// The live page: one server-sent stream carries the state of all lanes; the pictures are MJPEG.
"use strict";

const currency = document.body.dataset.currency;
const menu = JSON.parse(document.body.dataset.menu);
const money = new Intl.NumberFormat(undefined, { style: "currency", currency });
const link = document.getElementById("link");
const seenLines = new Map(); // lane -> Set of "bill/line/revision-of-dish" that were already shown

function chip(text, kind) {
  const item = document.createElement("li");
  item.className = `chip ${kind || ""}`;
  item.textContent = text;
  return item;
}

function showHealth(card, lane) {
  const chips = card.querySelector(".chips");
  const kind = { running: "good", degraded: "warn", connecting: "warn" }[lane.state] || "bad";
  const mark = { good: "●", warn: "▲", bad: "■" }[kind]; // readable without colour
  const list = [chip(`${mark} ${lane.state}`, kind)];
  list.push(chip(lane.fps === null ? "fps unknown" : `${lane.fps.toFixed(1)} fps`));
  if (lane.latency_ms) list.push(chip(`p95 ${Math.round(lane.latency_ms.p95)} ms`));
  const dropped = Object.values(lane.dropped).reduce((a, b) => a + b, 0);
  const drops = chip(`${dropped} dropped`, dropped ? "warn" : "");
  drops.title = Object.entries(lane.dropped).map(([why, n]) => `${why}: ${n}`).join(", ") || "no frame left out";
  list.push(drops);
  if (lane.spooled) list.push(chip(`${lane.spooled} events wait for the store`, "warn"));
  chips.replaceChildren(...list);

  const tile = card.querySelector(".offline");
  const offline = ["offline", "connecting", "stopped", "failed"].includes(lane.state);
  tile.hidden = !offline;
  if (offline) {
    tile.querySelector("strong").textContent = { connecting: "Connecting", stopped: "Lane stopped" }[lane.state] || "Stream offline";
    tile.querySelector(".why").textContent = lane.why || "";
    const since = lane.since_s === null ? "" : `for ${Math.round(lane.since_s)} s`;
    const next = lane.next_try_s === null ? "" : `, next try in ${Math.max(0, lane.next_try_s).toFixed(0)} s`;
    tile.querySelector(".since").textContent = since + next;
  }
}

function showBill(card, lane) {
  const panel = card.querySelector(".bill");
  const bill = lane.bill || lane.last_bill;
  const lines = card.querySelector(".lines");
  const hint = card.querySelector(".hint");
  panel.classList.toggle("closed", !lane.bill && Boolean(bill));
  panel.querySelector("h3").textContent = lane.bill ? "Bill" : bill ? "Last bill" : "No bill";
  panel.querySelector(".stamp").textContent = bill ? `${bill.bill_id.slice(0, 8)} · rev ${bill.revision}` : "";
  panel.querySelector(".total").textContent = bill ? money.format(bill.total) : "–";
  hint.hidden = Boolean(bill && bill.lines.length);
  hint.textContent = lane.bill ? "Looking…" : "Put a tray under the camera.";

  const seen = seenLines.get(lane.lane_id) || new Set();
  lines.replaceChildren(...(bill ? bill.lines : []).map((line) => {
    const item = document.createElement("li");
    const key = `${bill.bill_id}/${line.line_no}/${line.dish}`;
    if (!seen.has(key)) {
      item.className = "fresh";
      setTimeout(() => seen.add(key), 1500);
    }
    const name = document.createElement("span");
    name.textContent = (line.quantity > 1 ? `${line.quantity} × ` : "") + line.title;
    const price = document.createElement("span");
    price.className = "price";
    price.textContent = money.format(line.quantity * line.unit_price);
    const sure = document.createElement("span");
    sure.className = "sure";
    sure.title = `confidence ${(100 * line.confidence).toFixed(0)} %`;
    const fill = document.createElement("i");
    fill.style.width = `${Math.round(100 * line.confidence)}%`;
    sure.append(fill);
    item.append(name, price, sure);
    return item;
  }));
  seenLines.set(lane.lane_id, seen);
}

function answer(laneId, trackId, dish) {
  const path = `/api/v1/lanes/${encodeURIComponent(laneId)}/answers`;
  return Traylane.send(path, { method: "POST", body: { track_id: trackId, dish } });
}

function showAsks(card, lane) {
  const box = card.querySelector(".asks");
  const wanted = lane.asks.map((ask) => `${ask.track_id}:${ask.choices.map((c) => c.dish).join(",")}`).join(";");
  if (box.dataset.shown === wanted) return; // do not rebuild buttons under a finger
  box.dataset.shown = wanted;
  box.replaceChildren(...lane.asks.map((ask) => {
    const section = document.createElement("section");
    const question = document.createElement("p");
    question.textContent = "What is this?";
    section.append(question);
    ask.choices.forEach((choice, i) => {
      const button = document.createElement("button");
      const key = document.createElement("kbd");
      key.textContent = String(i + 1);
      button.append(key, choice.title);
      button.addEventListener("click", () => answer(lane.lane_id, ask.track_id, choice.dish));
      section.append(button);
    });
    const other = document.createElement("select");
    other.setAttribute("aria-label", "Another dish");
    other.append(new Option("another…", ""), ...Object.entries(menu).map(([dish, title]) => new Option(title, dish)));
    other.addEventListener("change", () => other.value && answer(lane.lane_id, ask.track_id, other.value));
    const none = document.createElement("button");
    none.textContent = "Not a dish";
    none.addEventListener("click", () => answer(lane.lane_id, ask.track_id, ""));
    section.append(other, none);
    return section;
  }));
}

function show(lane) {
  const card = document.getElementById(`lane-${lane.lane_id}`);
  if (!card) return;
  showHealth(card, lane);
  showBill(card, lane);
  showAsks(card, lane);
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea") || !/^[1-9]$/.test(event.key)) return;
  const button = document.querySelectorAll(".asks section:first-child button")[Number(event.key) - 1];
  if (button) button.click();
});

Traylane.stream("/api/v1/lanes/stream", { lane: show }, (on) => {
  link.textContent = on ? "● live" : "■ no connection to the appliance, trying again";
  link.className = on ? "chip good" : "chip bad";
});

// An MJPEG picture does not come back by itself after the server was away.
document.querySelectorAll(".picture").forEach((picture) => {
  const url = picture.getAttribute("src");
  picture.addEventListener("error", () => setTimeout(() => { picture.src = `${url}?again=${Date.now()}`; }, 1500));
});
