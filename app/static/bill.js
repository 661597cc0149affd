// One bill: its evidence, decided again, corrected.
"use strict";

const { t, make, percent } = Lanes;
const billId = document.body.dataset.bill;
const base = `/api/v1/bills/${encodeURIComponent(billId)}`;
const at = (id) => document.getElementById(id);
const titles = JSON.parse(at("titles").textContent);
const titleOf = (label) => titles[label] || label;

// --- evidence ---------------------------------------------------------------------------------------------------

async function loadEvidence() {
  const box = at("evidence");
  const response = await fetch(`${base}/evidence`, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(20000) }).catch(() => null);
  box.classList.remove("loading");
  if (!response || !response.ok) {
    const why = { 404: "no_evidence", 410: "was_erased" }[response ? response.status : 0] || "evidence_failed";
    box.replaceChildren(make("p", "empty", t(why)));
    at("courses").closest("section").hidden = true;
    return;
  }
  const evidence = await response.json();
  showClip(box, evidence);
  evidence.lines.forEach(showCrop);
  at("courses").replaceChildren(...evidence.lines.map(course));
  at("rerun").hidden = !evidence.can_rerun;
  if (at("erase")) at("erase").hidden = false;
}

function showClip(box, evidence) {
  const files = make("details", "files", make("summary", "note", t("files", { n: Object.keys(evidence.files).length })));
  files.append(make("ul", "", ...Object.entries(evidence.files).map(([name, hash]) => make("li", "", make("code", "", `${name} ${hash}`)))));
  if (!evidence.clip) {
    box.replaceChildren(make("p", "empty", t("no_clip")), files);
    return;
  }
  const video = make("video", "clip");
  Object.assign(video, { controls: true, muted: true, loop: true, playsInline: true, preload: "metadata", src: evidence.clip });
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.autoplay = true;
  box.replaceChildren(video, files);
}

function showCrop(line) {
  const place = document.querySelector(`[data-line="${line.line_no}"] .crop`);
  if (!place || !line.crop) return;
  const picture = make("img");
  picture.alt = "";
  picture.src = line.crop;
  place.replaceChildren(picture);
}

// --- what a line was thought to be, over time: a small picture each, drawn as SVG ---------------------------------

const WIDE = 320;
const HIGH = 120;
const LEFT = 44;
const FOOT = 18;

function svg(tag, attributes, ...inside) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

function course(line) {
  const heading = make("h3", "", `${line.line_no} · ${line.title}`);
  if (!line.course.length) return make("figure", "course", heading, make("p", "empty", t("no_course")));
  const points = line.course;
  const begin = points[0].t_s;
  const length = Math.max(points[points.length - 1].t_s - begin, 0.001);
  const x = (seconds) => LEFT + ((seconds - begin) / length) * (WIDE - LEFT - 4);
  const y = (share) => 4 + (1 - share) * (HIGH - FOOT - 8);
  const path = (shares) => points.map((point, i) => `${i ? "L" : "M"}${x(point.t_s).toFixed(1)},${y(shares(point)).toFixed(1)}`).join("");
  const last = points[points.length - 1];
  const ends = line.labels.map((label, i) => t("course_end", { label: titleOf(label), share: percent.format(last.shares[i]) }));
  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", class: "course-picture" },
    svg("title", {}, `${t("course_of", { n: line.line_no, dish: line.title })}. ${ends.join("; ")}`));
  for (const share of [0, 0.5, 1]) {
    picture.append(svg("line", { x1: LEFT, x2: WIDE - 4, y1: y(share), y2: y(share), class: "grid" }));
    picture.append(svg("text", { x: LEFT - 5, y: y(share) + 4, class: "tick end" }, percent.format(share)));
  }
  picture.append(svg("text", { x: LEFT, y: HIGH - 3, class: "tick" }, t("seconds", { n: "0" })));
  picture.append(svg("text", { x: WIDE - 4, y: HIGH - 3, class: "tick end" }, t("seconds", { n: length.toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 }) })));
  const seen = `${path((point) => point.visibility)}L${x(last.t_s)},${y(0)}L${x(begin)},${y(0)}Z`;
  picture.append(svg("path", { d: seen, class: "seen" }));
  line.labels.forEach((_, i) => picture.append(svg("path", { d: path((point) => point.shares[i]), class: `share share-${i}` })));
  const keys = line.labels.map((label, i) => {
    const mark = svg("svg", { viewBox: "0 0 24 8", class: "key", "aria-hidden": "true" }, svg("path", { d: "M0,4H24", class: `share share-${i}` }));
    return make("li", "", mark, `${titleOf(label)} ${percent.format(last.shares[i])}`);
  });
  const shade = svg("svg", { viewBox: "0 0 24 8", class: "key", "aria-hidden": "true" }, svg("rect", { width: 24, height: 8, class: "seen" }));
  keys.push(make("li", "soft", shade, t("seen_share")));
  return make("figure", "course", heading, picture, make("ul", "course-keys", ...keys));
}

// --- what a person does -----------------------------------------------------------------------------------------

async function rerun() {
  const result = at("rerun-result");
  at("rerun").setAttribute("aria-busy", "true");
  result.replaceChildren(make("p", "note", t("rerun_busy")));
  const done = await Traylane.send(`${base}/evidence/rerun`, { method: "POST", timeout_s: 60 });
  at("rerun").removeAttribute("aria-busy");
  if (!done) {
    result.replaceChildren();
    return;
  }
  const said = done.same ? `✓ ${t("rerun_same", { n: done.decisions })}` : `▲ ${t("rerun_other")}`;
  const box = make("div", `told-result ${done.same ? "good" : "warn"}`, make("strong", "", said));
  if (!done.same) {
    const list = make("ul", "", ...done.differences.map((one) => make("li", "", one)));
    list.lang = "en";
    box.append(list);
  }
  result.replaceChildren(box);
}

async function erase() {
  const dialog = at("erase-dialog");
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "erase") return;
  const reason = encodeURIComponent(at("reason").value.trim());
  const done = await Traylane.send(`${base}/evidence?reason=${reason}`, { method: "DELETE" });
  if (done) location.reload();
}

async function thenReload(work) {
  if (await work) location.reload();
}

document.querySelectorAll(".bill-lines .change").forEach((button) => button.addEventListener("click", () => {
  const { line, dish, title } = button.closest("[data-line]").dataset;
  thenReload(Lanes.correctLine(billId, { line_no: Number(line), dish, title }));
}));
at("rerun").addEventListener("click", rerun);
if (at("erase")) at("erase").addEventListener("click", erase);
if (at("add")) at("add").addEventListener("click", () => thenReload(Lanes.addLine(billId)));
if (at("confirm")) at("confirm").addEventListener("click", () => thenReload(Lanes.confirmBill(JSON.parse(at("bill").textContent))));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, select, textarea, dialog")) return;
  const button = at({ u: "up", r: "rerun", a: "add", c: "confirm" }[event.key] || "none");
  if (button && !button.hidden) button.click();
});
loadEvidence();
