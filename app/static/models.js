// Models: cards with scores, what lanes run, promotion with the gate's verdict, rollback, two side by side.
"use strict";

(() => {
  const { t, send, toast, time } = Traylane;
  const { make, draw, button, number } = Desk;
  const byId = (id) => document.getElementById(id);
  const mayPromote = document.body.dataset.mayPromote === "yes";
  const KEY_FIGURES = ["ap50", "f1_frozen", "cacc", "ece"];
  const LOWER_IS_BETTER = ["ece", "ece_class", "acd", "mccd", "latency_ms", "size_mb"];
  const ROLES = ["holdout", "regression", "development"];
  const picked = new Set();
  let models = [];
  let lanes = [];
  let channels = {};
  let follows = "";

  const channelName = (channel) => (channel === "default" ? t("all_lanes") : channel);
  const byRole = (sets) => [...sets].sort((a, b) => ROLES.indexOf(a.role) - ROLES.indexOf(b.role));

  /** A value between 0 and 1 with its 95 % interval, as a small picture; the numbers stand beside it. */
  function interval(figure) {
    const x = (value) => 100 * Math.min(1, Math.max(0, value));
    const parts = [draw("line", { class: "axis", x1: 0, x2: 100, y1: 8, y2: 8 })];
    if (figure.low !== null && figure.high !== null) parts.push(draw("line", { class: "range", x1: x(figure.low), x2: x(figure.high), y1: 8, y2: 8 }));
    parts.push(draw("rect", { class: "value", x: x(figure.value) - 1, y: 2, width: 2, height: 12 }));
    return draw("svg", { class: "interval", viewBox: "0 0 100 16", preserveAspectRatio: "none", "aria-hidden": "true" }, ...parts);
  }

  function between(figure) {
    return figure.low === null || figure.high === null ? "" : t("interval", { low: number(figure.low), high: number(figure.high) });
  }

  function headline(model) {
    if (model.scores_trouble) return make("p", { class: "banner bad inset" }, model.scores_trouble);
    const rows = byRole(model.scores).filter((set) => set.figures.ap50 && set.figures.ap50.value !== null).map((set) => {
      const figure = set.figures.ap50;
      return make("tr", {}, make("th", { scope: "row" }, t(set.role), make("br"), make("span", { class: "soft" }, `${set.name}, ${t("pictures", { n: set.pictures })}`)),
        make("td", {}, interval(figure)),
        make("td", { class: "value", title: between(figure) }, `AP50 ${number(figure.value)}`, make("br"),
          make("span", { class: "soft" }, figure.low === null ? "" : `${number(figure.low)} – ${number(figure.high)}`)));
    });
    return rows.length ? make("table", { class: "scores" }, make("tbody", {}, rows)) : make("p", { class: "note" }, model.task === "detect" ? t("not_scored", { model: model.model }) : "");
  }

  function facts(model) {
    const lineage = model.lineage;
    const from = lineage ? [
      lineage.run && t("run", { run: lineage.run.slice(0, 12) }),
      ...Object.entries(lineage.data_sha256).map(([role, sha]) => t("trained_on", { role, sha: sha.slice(0, 12) })),
      lineage.parent_sha256 && t("parent", { sha: lineage.parent_sha256.slice(0, 12) }),
      lineage.git && t("code", { git: lineage.git.slice(0, 13) }),
    ].filter(Boolean).join("; ") : "";
    const pairs = [
      [t("architecture"), model.architecture], [t("input"), `${model.input_size[0]} × ${model.input_size[1]}`],
      [t("classes"), model.labels.length ? String(model.labels.length) : "–"], [t("size"), model.size_bytes === null ? t("unknown") : Desk.size(model.size_bytes)],
      [t("precision"), model.precisions.join(", ")], [t("licence"), model.licence], [t("lineage"), from || t("unknown")],
    ];
    return make("dl", { class: "facts" }, pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }

  function details(model) {
    const sets = byRole(model.scores).map((set) => make("p", {}, make("b", {}, `${t(set.role)} ${set.name}`), make("br"),
      Object.entries(set.figures).filter(([, figure]) => figure.value !== null)
        .map(([name, figure]) => `${name} ${number(figure.value)}${figure.low === null ? "" : ` (${number(figure.low)}–${number(figure.high)})`}`).join(", ")));
    return make("details", {}, make("summary", {}, t("more")), make("div", { class: "card-text" },
      make("p", {}, `${t("source")}: ${model.source}`), model.notes ? make("p", {}, `${t("notes")}: ${model.notes}`) : null,
      make("p", {}, `${t("weights")}: ${model.weights_sha256}`), make("p", {}, `${t("classes")}: ${model.labels.join(", ")}`), sets));
  }

  function card(model) {
    const running = lanes.filter((lane) => lane.runs.split("/")[0] === model.model);
    const chips = [make("li", { class: "chip" }, t(model.origin)),
      ...model.channels.map((channel) => make("li", { class: "chip brand" }, `★ ${t("promoted", { channel: channelName(channel) })}`)),
      ...running.map((lane) => make("li", { class: "chip good" }, `● ${t("runs_on", { lane: lane.lane_id })}`))];
    const tick = make("input", { type: "checkbox", "aria-label": `${t("compare_this")}: ${model.model}` });
    tick.checked = picked.has(model.model);
    tick.addEventListener("change", () => {
      if (tick.checked) picked.add(model.model);
      else picked.delete(model.model);
      if (picked.size > 2) {
        picked.delete([...picked][0]);
        showModels();
      }
      pickedNow();
    });
    return make("article", { class: `card model${model.channels.length || running.length ? " serving" : ""}`, "aria-label": model.model },
      make("header", {}, make("h3", {}, model.model), make("ul", { class: "chips" }, chips)),
      headline(model), facts(model), details(model),
      make("div", { class: "row end" }, make("label", { class: "choice" }, tick, t("compare_this")),
        mayPromote && model.task === "detect" ? button(t("promote"), () => promote(model)) : null));
  }

  function showModels() {
    const weight = (model) => (lanes.some((lane) => lane.runs.split("/")[0] === model.model) ? 4 : 0) + (model.channels.length ? 2 : 0) + (model.task === "detect" ? 1 : 0);
    byId("models").replaceChildren(...[...models].sort((a, b) => weight(b) - weight(a)).map(card));
    if (!models.length) byId("models").replaceChildren(Desk.state(t("no_models"), t("no_models_text"), "models"));
  }

  function pickedNow() {
    const [one, other] = picked;
    byId("compare").disabled = picked.size !== 2;
    byId("compare").textContent = picked.size === 2 ? t("picked", { one, other }) : t("pick_two");
  }

  function showLanes() {
    const rows = lanes.map((lane) => {
      const now = lane.runs.split("/")[0];
      const next = lane.next === null ? make("span", { class: "chip bad" }, `■ ${t("cannot_start", { why: lane.why })}`)
        : lane.next === now ? t("same") : make("span", { class: "chip warn" }, `▲ ${lane.next}`);
      return make("tr", {}, make("td", {}, make("b", {}, lane.lane_id)), make("td", {}, lane.runs), make("td", {}, next));
    });
    const head = make("thead", {}, make("tr", {}, ["lane", "now", "next"].map((word) => make("th", { scope: "col" }, t(word)))));
    const note = follows.startsWith("@") ? null : make("p", { class: "note" }, t("not_followed", { card: follows }));
    byId("lanes").replaceChildren(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "lanes-title" }, make("table", {}, head, make("tbody", {}, rows))), note || "");
  }

  function promote(model) {
    const path = `/api/v1/models/${encodeURIComponent(model.model)}`;
    const where = make("select", { id: "channel" }, new Option(t("lanes_wanted"), "default"), lanes.map((lane) => new Option(lane.lane_id, lane.lane_id)));
    const gate = make("div", { role: "status" });
    const reason = make("input", { id: "force", maxlength: "400", autocomplete: "off" });
    const force = make("div", { class: "field", hidden: true }, make("label", { for: "force" }, t("force")), reason, make("p", { class: "note" }, t("force_note")));
    const go = button(t("go"), act, "primary");
    let passed = false;
    async function ask() {
      go.disabled = true;
      gate.classList.add("loading");
      const answer = await send(`${path}/gate?channel=${encodeURIComponent(where.value)}`, { whole: true });
      gate.classList.remove("loading");
      if (!answer) return;
      if (!answer.ok) {
        gate.replaceChildren(make("p", { class: "banner bad inset" }, Desk.refused(answer)));
        return;
      }
      const { reasons, held } = answer.content;
      passed = answer.content.passed;
      gate.replaceChildren(make("p", { class: `banner ${passed ? "good" : "bad"} inset` }, `${passed ? "✓" : "■"} ${t(passed ? "gate_passed" : "gate_refused")}`),
        make("p", { class: "note" }, held ? t("takes_place", { model: held }) : t("takes_first")),
        make("ul", { class: "reasons" }, reasons.map((one) => make("li", {}, one))));
      force.hidden = passed;
      go.textContent = t(passed ? "go" : "go_force");
      go.className = passed ? "button primary" : "button danger";
      go.disabled = false;
    }
    async function act() {
      const why = reason.value.trim();
      if (!passed && !why) {
        toast(t("force_needed"), "bad");
        reason.focus();
        return;
      }
      await Desk.busy(go, async () => {
        const body = { channel: where.value, force: passed ? "" : why };
        const answer = await send(`${path}/promotion`, { method: "POST", body, headers: { "Idempotency-Key": Desk.key() }, whole: true });
        if (!answer) return;
        if (!answer.ok) {
          gate.replaceChildren(make("p", { class: "banner bad inset", role: "alert" }, Desk.refused(answer)));
          return;
        }
        box.close();
        toast(t("promoted_now", { model: model.model, channel: channelName(where.value) }), "good");
        load();
      });
    }
    where.addEventListener("change", ask);
    const body = make("div", {}, make("div", { class: "field" }, make("label", { for: "channel" }, t("where")), where), make("h3", {}, t("gate")), gate, force);
    const box = Desk.dialog(t("promote_title", { model: model.model }), body, go);
    ask();
  }

  function rollBack(channel, model) {
    const go = button(t("roll_back", { channel: channelName(channel) }), () => Desk.busy(go, async () => {
      const answer = await send("/api/v1/models/rollback", { method: "POST", body: { channel }, headers: { "Idempotency-Key": Desk.key() }, whole: true });
      if (!answer) return;
      box.close();
      toast(answer.ok ? t("rolled", { channel: channelName(channel), model: answer.content.model }) : Desk.refused(answer), answer.ok ? "good" : "bad");
      load();
    }), "primary");
    const box = Desk.dialog(t("roll_back_title", { channel: channelName(channel) }), make("p", {}, t("roll_back_text", { model })), go);
  }

  function showHistory({ promotions }) {
    const place = byId("history");
    if (!promotions.length) {
      place.replaceChildren(make("p", { class: "note" }, t("no_history")));
      return;
    }
    const names = ["when", "what", "channel", "model", "before", "verdict", "who"];
    const rows = promotions.map((entry) => make("tr", {}, make("td", {}, time(entry.at)), make("td", {}, t(`${entry.action}_entry`)),
      make("td", {}, channelName(entry.channel)), make("td", {}, make("b", {}, entry.model)), make("td", {}, entry.previous || "–"),
      make("td", {}, entry.gate === "none" ? "–" : entry.forced ? `■ ${t("refused")}: ${entry.forced}` : `✓ ${t("passed")}`), make("td", {}, entry.user || "–")));
    const backs = mayPromote ? Object.entries(channels).map(([channel, model]) => button(t("roll_back", { channel: channelName(channel) }), () => rollBack(channel, model), "small")) : [];
    place.replaceChildren(make("div", { class: "row" }, backs), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "history-title" },
      make("table", {}, make("thead", {}, make("tr", {}, names.map((name) => make("th", { scope: "col" }, t(name))))), make("tbody", {}, rows))));
  }

  function compare() {
    const [one, other] = [...picked].map((ref) => models.find((model) => model.model === ref));
    const all = make("input", { type: "checkbox" });
    const place = make("div", { class: "compare", tabindex: "0", role: "region", "aria-label": t("compare_title", { one: one.model, other: other.model }) });
    function rows() {
      const keys = byRole([...one.scores, ...other.scores]).map((set) => `${set.role} ${set.name}`).filter((key, i, list) => list.indexOf(key) === i);
      return keys.flatMap((key) => {
        const sides = [one, other].map((model) => model.scores.find((set) => `${set.role} ${set.name}` === key));
        const same = sides[0] && sides[1] && sides[0].data_sha256 === sides[1].data_sha256;
        const known = [...new Set(sides.flatMap((set) => (set ? Object.keys(set.figures) : [])))];
        const names = all.checked ? known : KEY_FIGURES.filter((name) => known.includes(name));
        return names.map((name) => {
          const figures = sides.map((set) => (set && set.figures[name]) || { value: null, low: null, high: null });
          const change = same && figures[0].value !== null && figures[1].value !== null ? figures[1].value - figures[0].value : null;
          const better = change !== null && (LOWER_IS_BETTER.includes(name) ? -change : change);
          const told = change === null ? (sides[0] && sides[1] && !same ? t("other_pictures") : "–")
            : `${Math.abs(change) < 0.0005 ? "=" : better > 0 ? `▲ ${t("better")}` : `▼ ${t("worse")}`} ${change > 0 ? "+" : ""}${number(change)}`;
          const kind = change === null || Math.abs(change) < 0.0005 ? "" : better > 0 ? "up" : "down";
          const cell = (figure) => make("td", { class: "number" }, number(figure.value), make("br"), make("span", { class: "soft" }, figure.low === null ? "" : `${number(figure.low)} – ${number(figure.high)}`));
          return make("tr", {}, make("td", {}, `${t(key.split(" ")[0])} ${key.slice(key.indexOf(" ") + 1)}`), make("td", {}, name), cell(figures[0]), cell(figures[1]), make("td", { class: kind }, told));
        });
      });
    }
    function show() {
      const plain = [["architecture", (m) => m.architecture], ["input", (m) => m.input_size.join(" × ")], ["classes", (m) => String(m.labels.length)],
        ["size", (m) => (m.size_bytes === null ? "–" : Desk.size(m.size_bytes))], ["licence", (m) => m.licence]]
        .map(([word, told]) => make("tr", {}, make("td", {}), make("td", {}, t(word)), make("td", { class: "number" }, told(one)), make("td", { class: "number" }, told(other)), make("td", {})));
      const head = [t("set"), t("figure"), one.model, other.model, t("change")].map((name, i) => make("th", { scope: "col", class: i === 2 || i === 3 ? "number" : undefined }, name));
      place.replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, plain, rows())));
    }
    all.addEventListener("change", show);
    show();
    Desk.dialog(t("compare_title", { one: one.model, other: other.model }), make("div", {}, make("label", { class: "choice" }, all, t("all_figures")), place));
  }

  async function load() {
    const listed = await Desk.load(byId("models"), "/api/v1/models", (content) => {
      ({ models, lanes, channels, follows } = content);
      showModels();
      showLanes();
      pickedNow();
    });
    if (listed) Desk.load(byId("history"), "/api/v1/models/promotions", showHistory);
    // From a replay that was accepted: straight to the promotion.
    const wanted = models.find((model) => `#promote=${model.model}` === decodeURIComponent(location.hash));
    if (wanted && mayPromote) {
      history.replaceState(null, "", location.pathname);
      promote(wanted);
    }
  }

  byId("compare").addEventListener("click", compare);
  load();
})();
