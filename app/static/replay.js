// Replays: ask for one, watch it run, look at its video by its bills, and see which bills another run would change.
"use strict";

(() => {
  const { t, send, toast, time } = Traylane;
  const { make, button, number, clock } = Desk;
  const byId = (id) => document.getElementById(id);
  const rights = JSON.parse(document.body.dataset.rights);
  const { currency } = document.body.dataset;
  const MARKS = { waiting: "○", running: "▶", done: "●", failed: "■", cancelled: "□" };
  const KINDS = { done: "good", failed: "bad", running: "brand" };
  const picked = [];
  let runs = [];
  let shown = "";
  let player = null; // of the run that is shown: {video, bills}

  const modelOf = (run) => run.model || t("configured");
  const money = (value) => `${number(value, 2)} ${currency}`;

  async function fillForm() {
    await Desk.load(byId("ask"), "/api/v1/recordings", ({ recordings }) => {
      byId("ask").replaceChildren();
      byId("form").hidden = !recordings.length;
      byId("no-recording").hidden = recordings.length > 0;
      byId("recording").replaceChildren(...recordings.map((one) => new Option(`${one.name} (${Desk.size(one.size_bytes)}, ${time(one.written_at)})`, one.name)));
    });
    const models = rights.models ? await send("/api/v1/models", { whole: true }) : undefined;
    if (models && models.ok) byId("model").append(...models.content.models.filter((one) => one.task === "detect").map((one) => new Option(one.model, one.model)));
    const versions = rights.settings ? await send("/api/v1/settings/versions", { whole: true }) : undefined;
    if (versions && versions.ok) byId("settings").append(...versions.content.versions.map((one) => new Option(t("until", { when: time(one.replaced_at) }), one.sha256)));
  }

  function row(run) {
    const tick = make("input", { type: "checkbox", "aria-label": `${t("compare_tick")}: ${run.recording}, ${modelOf(run)}` });
    tick.checked = picked.includes(run.replay_id);
    tick.disabled = run.state !== "done";
    tick.addEventListener("change", () => pick(run.replay_id, tick.checked));
    const chip = make("span", { class: `chip ${KINDS[run.state] || ""}` }, `${MARKS[run.state]} ${t(run.state)}`);
    const bar = run.state === "running" ? make("progress", { max: "1", value: String(run.progress), "aria-label": t("running") }) : null;
    const going = run.state === "waiting" || run.state === "running";
    const open = run.state === "done" ? button(t("open"), () => openRun(run.replay_id), "small") : null;
    const report = run.report ? make("a", { class: "button small", href: run.report, target: "_blank", rel: "noopener" }, t("report")) : null;
    const stop = going ? button(t("stop"), async () => {
      await send(`/api/v1/replays/${run.replay_id}`, { method: "DELETE" });
      load();
    }, "small danger") : null;
    return make("tr", {}, make("td", {}, make("label", { class: "choice" }, tick, t("compare_tick"))), make("td", {}, make("b", {}, run.recording), make("br"), make("span", { class: "soft" }, run.lane_id)), make("td", {}, modelOf(run)),
      make("td", {}, run.settings_sha256 ? make("code", {}, run.settings_sha256.slice(0, 8)) : t("today")), make("td", {}, time(run.asked_at)),
      make("td", {}, chip, " ", bar, run.why ? make("div", { class: "note" }, run.why) : null), make("td", {}, make("div", { class: "row" }, open, report, stop)));
  }

  function showRuns() {
    if (!runs.length) {
      byId("runs").replaceChildren(make("p", { class: "note" }, t("no_run")));
      return;
    }
    const head = ["", t("recording"), t("model"), t("configuration"), t("asked"), t("state"), ""].map((name) => make(name ? "th" : "td", name ? { scope: "col" } : {}, name));
    byId("runs").replaceChildren(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "runs-title" }, make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, runs.map(row)))));
  }

  async function load() {
    const answer = await send("/api/v1/replays", { whole: true });
    if (!answer || !answer.ok) {
      if (!runs.length) await Desk.load(byId("runs"), "/api/v1/replays", (content) => { runs = content.replays; });
      return;
    }
    const text = JSON.stringify(answer.content.replays);
    if (text !== shown) {
      shown = text;
      runs = answer.content.replays;
      showRuns(); // only when something changed: buttons do not vanish under a finger
    }
  }

  function pick(id, on) {
    const at = picked.indexOf(id);
    if (on && at < 0) picked.push(id);
    if (!on && at >= 0) picked.splice(at, 1);
    if (picked.length > 2) picked.shift();
    showRuns();
    if (picked.length === 2) compare();
  }

  /** The video with a bar of its bills; `bills` are {opened_s, closed_s, differs}. */
  function makePlayer(run, bills, end) {
    if (!run.video) return { box: make("p", { class: "note" }, t("video_none")), seek: () => {} };
    const video = make("video", { src: run.video, controls: true, preload: "metadata", "aria-label": run.recording });
    video.muted = true;
    const now = make("div", { class: "now" });
    const bar = make("div", { class: "marks", role: "group", "aria-label": t("marks") });
    const seek = (seconds) => {
      video.currentTime = Math.max(0, seconds);
    };
    const lay = () => {
      const length = Number.isFinite(video.duration) ? video.duration : end;
      const marks = bills.map((bill, i) => {
        const mark = make("button", { type: "button", class: bill.differs ? "differs" : "", title: t("jump", { when: clock(bill.opened_s) }), onclick: () => seek(bill.opened_s) }, bill.differs ? `▲ ${i + 1}` : String(i + 1));
        mark.style.left = `${(100 * bill.opened_s) / length}%`;
        mark.style.width = `${(100 * ((bill.closed_s === null ? length : bill.closed_s) - bill.opened_s)) / length}%`;
        return mark;
      });
      bar.replaceChildren(...marks, now);
    };
    video.addEventListener("loadedmetadata", lay);
    video.addEventListener("timeupdate", () => { now.style.left = `${(100 * video.currentTime) / (video.duration || 1)}%`; });
    lay();
    player = { video, bills };
    return { box: make("div", {}, video, bar), seek };
  }

  function place(...children) {
    const result = byId("result");
    result.hidden = false;
    result.replaceChildren(...children);
    result.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "start" });
  }

  const lastMoment = (bills) => Math.max(1, ...bills.map((bill) => (bill.closed_s === null ? bill.opened_s + 5 : bill.closed_s)));

  function linesText(bill) {
    return bill.lines.map((line) => `${line.quantity > 1 ? `${line.quantity} × ` : ""}${line.title}`).join(", ") || "–";
  }

  async function openRun(id) {
    const run = await send(`/api/v1/replays/${id}`);
    const found = run && await send(`/api/v1/replays/${id}/bills`);
    if (!found) return;
    const { bills } = found;
    const { box, seek } = makePlayer(run, bills, lastMoment(bills));
    const rows = bills.map((bill, i) => {
      const go = button(clock(bill.opened_s), () => seek(bill.opened_s), "small");
      go.title = t("jump", { when: clock(bill.opened_s) });
      const one = make("tr", {}, make("td", {}, go), make("td", {}, make("b", {}, t("bill", { n: i + 1 })), make("br"),
        make("span", { class: "soft" }, bill.closed_s === null ? t("still_open") : `${clock(bill.opened_s)} – ${clock(bill.closed_s)}`)), make("td", {}, linesText(bill)), make("td", { class: "number" }, money(bill.total)));
      return one;
    });
    const head = ["", t("bill", { n: "" }).trim(), t("lines"), t("total")].map((name, i) => make(name ? "th" : "td", name ? { scope: "col", class: i === 3 ? "number" : undefined } : {}, name));
    const table = rows.length ? make("div", { class: "bill-list", tabindex: "0", role: "region", "aria-label": t("bills") }, make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows))) : make("p", { class: "note" }, t("no_bill"));
    const { metrics } = run;
    place(make("header", { class: "row" }, make("h2", {}, `${run.recording} · ${modelOf(run)}`), metrics ? make("span", { class: "chip" }, t("figures", metrics)) : null, accept(run)), make("div", { class: "player" }, box, table));
  }

  function accept(run) {
    if (!run.model) return null;
    return make("a", { class: "button primary", href: `/models#promote=${encodeURIComponent(run.model)}`, title: t("accept_note") }, t("accept", { model: run.model }));
  }

  async function compare() {
    const two = picked.map((id) => runs.find((run) => run.replay_id === id));
    if (two[0].recording !== two[1].recording) {
      toast(t("two_recordings"), "bad");
      return;
    }
    const [one, other] = [...two].sort((a, b) => (a.asked_at < b.asked_at ? -1 : 1));
    const found = await send(`/api/v1/replays/${one.replay_id}/comparison/${other.replay_id}`);
    if (!found) return;
    const bills = found.pairs.map((pair) => ({ ...(pair.other || pair.one), opened_s: pair.from_s, differs: pair.kind !== "same" }));
    const { box, seek } = makePlayer(other, bills, lastMoment(bills));
    const all = make("input", { type: "checkbox" });
    all.checked = !found.different;
    const body = make("tbody", {});
    const show = () => body.replaceChildren(...found.pairs.filter((pair) => all.checked || pair.kind !== "same").map((pair) => make("tr", {},
      make("td", {}, button(clock(pair.from_s), () => seek(pair.from_s), "small")),
      make("td", {}, make("span", { class: `chip ${pair.kind === "same" ? "good" : "warn"}` }, `${pair.kind === "same" ? "●" : "▲"} ${t(pair.kind)}`),
        pair.gone.length ? make("div", {}, t("gone", { dishes: pair.gone.join(", ") })) : null, pair.come.length ? make("div", {}, t("come", { dishes: pair.come.join(", ") })) : null),
      make("td", {}, pair.one ? [linesText(pair.one), make("br"), make("b", {}, money(pair.one.total))] : "–"), make("td", {}, pair.other ? [linesText(pair.other), make("br"), make("b", {}, money(pair.other.total))] : "–"))));
    all.addEventListener("change", show);
    show();
    const names = ["", t("compare_title"), `${t("first")}: ${modelOf(one)}`, `${t("second")}: ${modelOf(other)}`];
    const table = make("div", { class: "bill-list", tabindex: "0", role: "region", "aria-label": t("compare_title") }, make("table", {}, make("thead", {}, make("tr", {}, names.map((name) => make(name ? "th" : "td", name ? { scope: "col" } : {}, name)))), body));
    place(make("header", { class: "row" }, make("h2", {}, `${t("compare_title")}: ${one.recording}`), accept(other)),
      make("div", { class: "summary" }, make("span", { class: "chip good" }, `● ${t("same_bills", { n: found.same })}`), make("span", { class: `chip ${found.different ? "warn" : ""}` }, `▲ ${t("other_bills", { n: found.different })}`),
        make("span", { class: "chip" }, t("money", { one: money(found.total_one), other: money(found.total_other) })), make("label", { class: "choice" }, all, t("all"))),
      found.different ? "" : make("p", { class: "banner good inset" }, `● ${t("all_same")}`), make("div", { class: "player" }, box, table));
  }

  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    Desk.busy(byId("start"), async () => {
      const body = { recording: byId("recording").value, lane_id: byId("lane").value, model: byId("model").value, settings_sha256: byId("settings").value, stride: Number(byId("stride").value) };
      const answer = await send("/api/v1/replays", { method: "POST", body, headers: { "Idempotency-Key": Desk.key() }, whole: true });
      if (!answer) return;
      toast(answer.ok ? t("asked_now") : Desk.refused(answer), answer.ok ? "good" : "bad");
      load();
    });
  });
  document.addEventListener("keydown", (event) => {
    if (!player || event.target.closest("input, select, textarea, video, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = player.video.currentTime;
    const starts = player.bills.map((bill) => bill.opened_s);
    const targets = { ArrowLeft: at - 5, ArrowRight: at + 5, b: [...starts].reverse().find((start) => start < at - 0.5), n: starts.find((start) => start > at + 0.1) };
    if (!(event.key in targets) || targets[event.key] === undefined) return;
    event.preventDefault();
    player.video.currentTime = Math.max(0, targets[event.key]);
  });

  fillForm();
  load();
  setInterval(() => { if (!document.hidden) load(); }, 2000);
})();
