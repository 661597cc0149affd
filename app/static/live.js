// The live page and the page of one lane: one server-sent stream carries the state of the lanes.
"use strict";

const cards = [...document.querySelectorAll("[data-lane].lane")];
const debugButton = document.getElementById("debug");

function showBill(panel, lane) {
  const { t, make } = Lanes;
  const bill = lane.bill || lane.last_bill;
  const hint = panel.querySelector(".hint");
  panel.classList.toggle("closed", !lane.bill && Boolean(bill));
  panel.querySelector("h3").textContent = t(lane.bill ? "bill" : bill ? "last_bill" : "no_bill");
  const mark = lane.confirmed ? `✓ ${t("confirmed")}` : t("revision", { n: bill ? bill.revision : 0 });
  panel.querySelector(".stamp").textContent = bill ? mark : "";
  panel.querySelector(".stamp").title = bill ? bill.bill_id : "";
  panel.querySelector(".total").textContent = bill ? Lanes.money.format(bill.total) : "–";
  hint.hidden = Boolean(bill && bill.lines.length);
  hint.textContent = t(lane.bill ? "looking" : "put_tray");
  const list = panel.querySelector(".lines");
  const renewed = Lanes.showLines(list, bill, (line) => [
    make("span", "", Lanes.titleOf(line)), make("span", "price", Lanes.priceOf(line)), Lanes.sureBar(line),
  ]);
  if (renewed) list.scrollTop = list.scrollHeight; // the newest line is the one that people look for
}

function show(lane) {
  const card = document.getElementById(`lane-${lane.lane_id}`);
  if (!card) return;
  Lanes.showHealth((debugButton ? document : card).querySelector(".health"), lane);
  Lanes.showTile(card.querySelector(".offline"), lane);
  showBill(card.querySelector(".bill"), lane);
  if (!Lanes.mayAnswer) return;
  Lanes.showAsks(card.querySelector(".asks"), lane.lane_id, lane.asks, (ask) => Lanes.askCard(lane.lane_id, ask));
  const current = Lanes.oldest(); // the one that the keys answer
  document.querySelectorAll(".ask").forEach((ask) => ask.classList.toggle("current", ask === current));
}

/** Switch between the marked-up picture and the one with everything drawn. */
function switchDebug() {
  const on = debugButton.getAttribute("aria-pressed") !== "true";
  const picture = document.querySelector(".picture");
  debugButton.setAttribute("aria-pressed", String(on));
  document.getElementById("legend").hidden = !on;
  picture.dataset.now = picture.dataset.video + (on ? "?debug=1" : "");
  picture.src = picture.dataset.now;
  history.replaceState(null, "", on ? "?debug=1" : location.pathname);
}

if (debugButton) {
  debugButton.addEventListener("click", switchDebug);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    if (event.key === "d") switchDebug();
    if (event.key === "u") document.getElementById("up").click();
  });
}
Lanes.keepVideos();
Lanes.keepStills();
if (Lanes.mayAnswer) Lanes.answerKeys();
if (cards.length) {
  const one = cards.length === 1 ? `?lane=${encodeURIComponent(cards[0].dataset.lane)}` : "";
  Traylane.stream(`/api/v1/lanes/stream${one}`, { lane: show }, Lanes.showLink);
} else {
  document.getElementById("link").hidden = true;
}
