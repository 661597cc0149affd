// The display at a lane: big letters for the guest, one touch for the cashier.
"use strict";

const { t, make, mayAnswer } = Lanes;
const laneId = document.body.dataset.lane;
const at = (id) => document.getElementById(id);
const THANKS_MS = 8000;
let shown = null; // the bill on the display
let openBill = ""; // id of the bill that is open, to see it close
let thanksUntil = 0;

function lineInside(line) {
  const name = make("span", "line-title", Lanes.titleOf(line));
  const price = make("span", "price", Lanes.priceOf(line));
  if (!mayAnswer) return [name, price];
  const button = make("button", "line-button", name, price);
  button.type = "button";
  button.title = t("change_line", { dish: line.title });
  button.addEventListener("click", () => Lanes.correctLine(shown.bill_id, line));
  return [button];
}

/** The cashier keeps the last bill, to correct it; the guest sees it off. */
function billToShow(lane) {
  if (lane.bill) return lane.bill;
  if (mayAnswer || Date.now() < thanksUntil) return lane.last_bill;
  return null;
}

function showThanks(lane) {
  if (lane.bill) {
    openBill = lane.bill.bill_id;
    thanksUntil = 0;
  } else if (openBill && lane.last_bill && lane.last_bill.bill_id === openBill) {
    openBill = "";
    if (lane.last_bill.lines.length) {
      thanksUntil = Date.now() + THANKS_MS;
      at("thanks-total").textContent = Lanes.money.format(lane.last_bill.total);
      setTimeout(() => newest && show(newest), THANKS_MS + 50);
    }
  }
  at("thanks").hidden = Date.now() >= thanksUntil;
}

let newest = null;
function show(lane) {
  newest = lane;
  showThanks(lane);
  shown = billToShow(lane);
  const asked = lane.asks.length > 0;
  at("heading").textContent = t(lane.bill ? "bill" : shown ? "last_bill" : "no_bill");
  at("confirmed").hidden = !(shown && lane.confirmed);
  at("confirmed").textContent = `✓ ${t("confirmed")}`;
  at("total").textContent = shown ? Lanes.money.format(shown.total) : "–";
  at("welcome").hidden = Boolean(shown && shown.lines.length);
  at("welcome-text").textContent = t(lane.bill ? "looking" : "put_tray");
  at("moment").hidden = !asked || mayAnswer;
  at("moment").textContent = t("one_moment");
  document.querySelector(".display-bill").classList.toggle("closed", !lane.bill);
  if (Lanes.showLines(at("lines"), shown, lineInside)) at("lines").scrollTop = at("lines").scrollHeight;
  if (!mayAnswer) return;
  Lanes.showTile(document.querySelector(".offline"), lane);
  at("add").disabled = !shown;
  at("confirm").disabled = !shown || lane.confirmed || asked;
  Lanes.showAsks(at("asks"), laneId, lane.asks, (ask) => Lanes.askCard(laneId, ask));
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen().catch(() => Traylane.toast(t("failed"), "bad"));
}

at("fullscreen").addEventListener("click", fullScreen);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, select, textarea, dialog")) return;
  if (event.key === "f") fullScreen();
  if (mayAnswer && event.key === "a") at("add").click();
  if (mayAnswer && event.key === "c") at("confirm").click();
});
if (mayAnswer) {
  at("add").addEventListener("click", () => Lanes.addLine(shown.bill_id));
  at("confirm").addEventListener("click", async (event) => {
    const button = event.currentTarget;
    button.setAttribute("aria-busy", "true");
    await Lanes.confirmBill(shown);
    button.removeAttribute("aria-busy");
  });
  Lanes.answerKeys(() => document.querySelector(".ask"));
  Lanes.keepVideos();
}
Traylane.stream(`/api/v1/lanes/stream?lane=${encodeURIComponent(laneId)}`, { lane: show }, (on) => {
  Lanes.showLink(on);
  document.body.classList.toggle("cut-off", !on);
});
