// What the pages of lanes share: money, health, bills, questions, choosing a dish, corrections.
// Pages use it as `Lanes.…`; it needs `lane_words()` in the page's `words` block.
"use strict";

const Lanes = (() => {
  const t = Traylane.t;
  const language = document.documentElement.lang;
  const numbers = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const money = new Intl.NumberFormat(language, { style: "currency", currency: document.body.dataset.currency });
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
  const mayAnswer = "mayAnswer" in document.body.dataset;
  const FRESH_MS = 1500;

  /** A new element: its class, then text or elements inside it. */
  function make(tag, kind, ...inside) {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    element.append(...inside);
    return element;
  }

  /** Seconds as people say them: 12 s, 3 min, 2 h. */
  function span(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min`;
    return whole < 172800 ? `${Math.floor(whole / 3600)} h` : `${Math.floor(whole / 86400)} d`;
  }

  /** Replace the children of `box` only when `key` changed: nothing is rebuilt under a finger or read out again. */
  function renew(box, key, children) {
    if (box.dataset.shown === key) return false;
    box.dataset.shown = key;
    box.replaceChildren(...children());
    return true;
  }

  // --- health ---------------------------------------------------------------------------------------------------

  const STATES = { running: ["good", "●"], degraded: ["warn", "▲"], connecting: ["warn", "◌"], off: ["warn", "◌"] };
  const TILES = { offline: "tile_offline", connecting: "tile_connecting", off: "tile_off", stopped: "tile_stopped", failed: "tile_failed" };

  function chip(text, kind = "", title = "") {
    const item = make("li", `chip ${kind}`, text);
    if (title) item.title = title;
    return item;
  }

  function showHealth(list, lane) {
    const [kind, mark] = STATES[lane.state] || ["bad", "■"];
    const dropped = Object.values(lane.dropped).reduce((a, b) => a + b, 0);
    const reasons = Object.entries(lane.dropped).map(([why, n]) => `${why}: ${n}`).join(", ");
    const told = JSON.stringify([lane.state, lane.fps, lane.latency_ms, lane.dropped, lane.spooled, lane.why]);
    renew(list, told, () => [
      chip(`${mark} ${t(lane.state === "failed" ? "failed_state" : lane.state)}`, kind, lane.why),
      chip(lane.fps === null ? t("fps_unknown") : t("fps", { n: numbers.format(lane.fps) })),
      ...(lane.latency_ms ? [chip(t("p95", { n: lane.latency_ms.p95 }), "", t("p95_title", lane.latency_ms))] : []),
      ...(dropped ? [chip(`▲ ${t("dropped", { n: dropped })}`, "warn", reasons)] : [chip(t("dropped", { n: 0 }), "", t("dropped_none"))]),
      ...(lane.spooled ? [chip(`▲ ${t("spooled", { n: lane.spooled })}`, "warn")] : []),
    ]);
  }

  function showTile(tile, lane) {
    const key = TILES[lane.state];
    tile.hidden = !key;
    if (!key) return;
    tile.querySelector("strong").textContent = t(key);
    tile.querySelector(".why").textContent = lane.why || "";
    const since = lane.since_s === null ? [] : [t("since", { time: span(lane.since_s) })];
    const next = lane.next_try_s === null ? [] : [lane.next_try_s > 0 ? t("next_try", { n: lane.next_try_s }) : t("next_try_now")];
    tile.querySelector(".since").textContent = [...since, ...next].join(" · ");
  }

  /** The chip that says whether the page is connected. */
  function showLink(on) {
    const link = document.getElementById("link");
    link.textContent = on ? `● ${t("live")}` : `■ ${t("no_link")}`;
    link.className = on ? "chip good" : "chip bad";
  }

  // --- bills ----------------------------------------------------------------------------------------------------

  const seenLines = new Set(); // "bill/line/dish" that was already shown
  const lineKey = (bill, line) => `${bill.bill_id}/${line.line_no}/${line.dish}`;
  const titleOf = (line) => (line.quantity > 1 ? `${line.quantity} × ` : "") + line.title;
  const priceOf = (line) => money.format(line.quantity * line.unit_price);

  /** Show the lines of a bill; `makeLine(line)` gives the inside of one. New ones are marked for a moment. */
  function showLines(list, bill, makeLine) {
    const lines = bill ? bill.lines : [];
    return renew(list, JSON.stringify(bill ? [bill.bill_id, lines] : null), () => lines.map((line) => {
      const item = make("li", "", ...makeLine(line));
      const key = lineKey(bill, line);
      if (!seenLines.has(key)) {
        item.className = "fresh";
        setTimeout(() => item.classList.remove("fresh"), FRESH_MS);
        seenLines.add(key);
      }
      return item;
    }));
  }

  function sureBar(line) {
    const fill = make("i");
    fill.style.width = `${Math.round(100 * line.confidence)}%`;
    const bar = make("span", "sure", fill);
    bar.title = t("sure", { share: percent.format(line.confidence) });
    return bar;
  }

  // --- choosing a dish ------------------------------------------------------------------------------------------

  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

  /**
   * Let a person choose a dish of today's menu. Resolves to its {name, title}; to null for the further button, whose
   * text is `extra`; to undefined when nothing was chosen.
   */
  async function pick(title, extra = "") {
    const dialog = document.getElementById("picker");
    if (dialog.open) return undefined;
    const search = document.getElementById("picker-search");
    const box = document.getElementById("picker-dishes");
    const further = document.getElementById("picker-extra");
    document.getElementById("picker-title").textContent = title;
    search.value = "";
    further.hidden = !extra;
    further.textContent = extra;
    box.replaceChildren();
    box.classList.add("loading");
    dialog.showModal();
    search.focus();
    let dishes = [];
    let chosen;
    const choose = (dish) => {
      chosen = dish;
      dialog.close();
    };
    const show = () => {
      const wanted = plain(search.value.trim());
      const fits = dishes.filter((dish) => plain(`${dish.title} ${dish.plu} ${dish.category}`).includes(wanted));
      const buttons = fits.map((dish) => {
        const button = make("button", "dish", make("span", "", dish.title), make("span", "soft", money.format(dish.price)));
        button.type = "button";
        button.addEventListener("click", () => choose(dish));
        return button;
      });
      box.replaceChildren(...(buttons.length ? buttons : [make("p", "empty", t("no_such_dish"))]));
    };
    const first = (event) => {
      const button = box.querySelector("button.dish");
      if (event.key === "Enter" && button) {
        event.preventDefault();
        button.click();
      }
    };
    const none = () => choose(null);
    search.addEventListener("input", show);
    search.addEventListener("keydown", first);
    further.addEventListener("click", none);
    const closed = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    const menu = await Traylane.send("/api/v1/menu");
    box.classList.remove("loading");
    if (menu) {
      dishes = menu.dishes.toSorted((a, b) => a.title.localeCompare(b.title, language));
      show();
    }
    await closed;
    search.removeEventListener("input", show);
    search.removeEventListener("keydown", first);
    further.removeEventListener("click", none);
    return chosen;
  }

  // --- questions ------------------------------------------------------------------------------------------------

  function answer(laneId, trackId, dish) {
    const path = `/api/v1/lanes/${encodeURIComponent(laneId)}/answers`;
    return Traylane.send(path, { method: "POST", body: { track_id: trackId, dish } });
  }

  /** What a question is: equal as long as its buttons are the same. Which guesses it offers stays as first shown. */
  const askKey = (laneId, ask) => `${laneId}:${ask.track_id}:${ask.bill_id}`;

  function answerButton(key, text, small, press) {
    const button = make("button", "answer", make("kbd", "", key), make("span", "", text));
    if (small) button.append(make("span", "share", small));
    button.type = "button";
    button.dataset.key = key;
    button.addEventListener("click", async () => {
      button.setAttribute("aria-busy", "true");
      await press();
      button.removeAttribute("aria-busy");
    });
    return button;
  }

  /** A question with its picture and buttons. `onAnswer(title)` is told when it was taken. */
  function askCard(laneId, ask, { heading = t("what_is_this"), onAnswer = () => {} } = {}) {
    const section = make("section", "ask");
    section.dataset.ask = askKey(laneId, ask);
    section.dataset.asked = ask.asked_at;
    const picture = make("img", "ask-picture");
    picture.alt = t("object_picture");
    picture.dataset.src = `/lanes/${encodeURIComponent(laneId)}/tracks/${ask.track_id}.jpg`;
    picture.src = picture.dataset.src;
    const give = async (dish, title) => {
      if (await answer(laneId, ask.track_id, dish)) onAnswer(title);
    };
    const buttons = ask.choices.map((choice, i) =>
      answerButton(String(i + 1), choice.title, percent.format(choice.probability), () => give(choice.dish, choice.title)));
    buttons.push(answerButton("/", t("something_else"), "", async () => {
      const dish = await pick(t("choose_dish"), t("not_a_dish"));
      if (dish !== undefined) await give(dish ? dish.name : "", dish ? dish.title : t("not_a_dish"));
    }));
    buttons.push(answerButton("0", t("not_a_dish"), "", () => give("", t("not_a_dish"))));
    const side = make("div", "ask-side", make("p", "ask-title", heading));
    if (!ask.choices.length) side.append(make("p", "note", t("no_guess")));
    side.append(make("div", "answers", ...buttons));
    section.append(picture, side);
    return section;
  }

  /** Put the open questions of a lane into a box; those that are there stay as they are. */
  function showAsks(box, laneId, asks, makeCard) {
    const wanted = new Map(asks.map((ask) => [askKey(laneId, ask), ask]));
    for (const card of [...box.children]) {
      if (!wanted.delete(card.dataset.ask)) card.remove();
    }
    for (const ask of wanted.values()) box.append(makeCard(ask));
  }

  /** The keys of the oldest question on the page, or of the one that `current()` gives. */
  function answerKeys(current = oldest) {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (event.target.closest("input, select, textarea, dialog")) return;
      if (!/^[0-3/]$/.test(event.key)) return;
      const card = current();
      const button = card && card.querySelector(`[data-key="${event.key}"]`);
      if (!button) return;
      event.preventDefault();
      button.click();
    });
  }

  function oldest() {
    const cards = [...document.querySelectorAll(".ask")];
    return cards.sort((a, b) => a.dataset.asked.localeCompare(b.dataset.asked))[0];
  }

  // Objects move and hands go away: the pictures of open questions are renewed, and one that is missing leaves its place.
  setInterval(() => {
    if (document.hidden) return;
    document.querySelectorAll(".ask-picture").forEach(async (picture) => {
      const response = await fetch(picture.dataset.src).catch(() => null);
      if (!response || !response.ok) return; // the last view of it stays
      const old = picture.src;
      picture.src = URL.createObjectURL(await response.blob());
      if (old.startsWith("blob:")) URL.revokeObjectURL(old);
    });
  }, 1500);

  // --- corrections ----------------------------------------------------------------------------------------------

  /** A key for a request that is sent once; `crypto.randomUUID` is not there on plain http. */
  function onceKey() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /**
   * Change a bill as it is now, if it still is what the person saw: `asSeen(bill)` compares what matters.
   * Resolves to the answer, undefined after a refusal (which was told).
   */
  async function change(billId, path, body, asSeen) {
    const address = `/api/v1/bills/${encodeURIComponent(billId)}`;
    const response = await fetch(address, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(15000) }).catch(() => null);
    if (!response || !response.ok) {
      Traylane.toast(response ? `${t("failed")} (${response.status})` : t("no_connection"), "bad");
      return undefined;
    }
    if (!asSeen(await response.json())) {
      Traylane.toast(t("changed_meanwhile"), "bad");
      return undefined;
    }
    const headers = { "If-Match": response.headers.get("ETag"), "Idempotency-Key": onceKey() };
    return Traylane.send(`${address}${path}`, { method: "POST", body, headers });
  }

  const told = (text) => (done) => {
    if (done) Traylane.toast(text, "good");
    return done;
  };

  /** Ask what a line is instead, or take it off; resolves to the answer, undefined if nothing was changed. */
  async function correctLine(billId, line) {
    const dish = await pick(t("replace_dish", { dish: line.title }), t("take_off"));
    if (dish === undefined) return undefined;
    const same = (bill) => bill.lines.some((one) => one.line_no === line.line_no && one.dish === line.dish);
    const body = dish ? { action: "replace", dish: dish.name } : { action: "remove" };
    return change(billId, `/lines/${line.line_no}/correction`, body, same).then(told(t(dish ? "corrected" : "removed")));
  }

  /** Ask which dish is missing, and add it. */
  async function addLine(billId) {
    const dish = await pick(t("add_dish"));
    if (!dish) return undefined;
    return change(billId, "/lines", { dish: dish.name }, () => true).then(told(t("added")));
  }

  /** Say that a bill is right as it is shown. */
  function confirmBill(seen) {
    const lines = (bill) => JSON.stringify(bill.lines.map((line) => [line.line_no, line.dish, line.quantity, line.unit_price]));
    return change(seen.bill_id, "/confirmation", {}, (bill) => lines(bill) === lines(seen)).then(told(t("is_confirmed")));
  }

  // --- pictures -------------------------------------------------------------------------------------------------

  /** Streams that come back after the server was away, and rest while nobody looks at the page. */
  function keepVideos() {
    const videos = [...document.querySelectorAll("img[data-video]")];
    const begin = (picture) => { picture.src = picture.dataset.now || picture.dataset.video; };
    for (const picture of videos) {
      picture.dataset.now = picture.getAttribute("src");
      picture.addEventListener("error", () => {
        if (!document.hidden) setTimeout(() => { picture.src = `${picture.dataset.now}${picture.dataset.now.includes("?") ? "&" : "?"}again=${Date.now()}`; }, 1500);
      });
    }
    document.addEventListener("visibilitychange", () => {
      for (const picture of videos) {
        if (document.hidden) picture.removeAttribute("src");
        else begin(picture);
      }
    });
  }

  const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  /** Single pictures one after the other, of all lanes in turn, by two hands. */
  function keepStills() {
    const queue = [...document.querySelectorAll("img[data-still]")];
    const hand = async () => {
      for (;;) {
        const picture = queue.shift();
        if (!document.hidden) await renewStill(picture);
        queue.push(picture);
        await rest(document.hidden ? 1000 : 20);
      }
    };
    if (queue.length) [hand, hand].forEach((work) => work());
  }

  async function renewStill(picture) {
    const now = Date.now();
    if (now < Number(picture.dataset.next || 0)) return;
    const response = await fetch(picture.dataset.still, { signal: AbortSignal.timeout(5000) }).catch(() => null);
    picture.dataset.next = now + (response && response.ok ? 120 : 2000);
    if (!response || !response.ok) return;
    const old = picture.src;
    picture.src = URL.createObjectURL(await response.blob());
    if (old.startsWith("blob:")) URL.revokeObjectURL(old);
  }

  return {
    t, make, span, renew, money, percent, mayAnswer, showHealth, showTile, showLink, showLines, sureBar, titleOf, priceOf,
    pick, askCard, askKey, showAsks, answerKeys, oldest, correctLine, addLine, confirmBill, keepVideos, keepStills,
  };
})();
