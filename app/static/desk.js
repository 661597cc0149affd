// What the pages of settings, models, menu and replays share. Used as `Desk.make(…)`, `Desk.refused(…)`, ….
"use strict";

const Desk = (() => {
  /** An element: `make("p", {class: "note", onclick: f}, "text", child)`; null and false children are left out. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  /** An SVG element. */
  function draw(tag, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function icon(name) {
    const use = draw("use", { href: `${document.getElementById("icons").dataset.href}#${name}` });
    return draw("svg", { class: "icon", "aria-hidden": "true" }, use);
  }

  function button(text, act, kind = "", name = "") {
    return make("button", { type: "button", class: `button ${kind}`, onclick: act }, name ? icon(name) : null, text);
  }

  /** A state in the place of a list: nothing there, or wrong. */
  function state(title, text, name = "empty", ...more) {
    return make("div", { class: "state" }, icon(name), make("h2", {}, title), make("p", {}, text), ...more);
  }

  /** The text of a refusal that `Traylane.send(…, {whole: true})` brought. */
  function refused(answer) {
    return answer.content.detail || answer.content.title || String(answer.status);
  }

  /** Fetch what a page shows into `place`: a wheel meanwhile, and an error with a button when it does not come. */
  async function load(place, path, show) {
    place.classList.add("loading");
    place.setAttribute("aria-busy", "true");
    const answer = await Traylane.send(path, { whole: true });
    place.classList.remove("loading");
    place.removeAttribute("aria-busy");
    if (answer && answer.ok) {
      show(answer.content, answer.etag);
      return answer.content;
    }
    const again = button(Traylane.t("again"), () => load(place, path, show));
    const told = answer ? refused(answer) : Traylane.t("no_connection");
    place.replaceChildren(state(Traylane.t("not_loaded"), told, answer ? "error" : "offline", again));
    return undefined;
  }

  /** Run `work` once at a time; the button shows that it is busy. */
  async function busy(control, work) {
    if (control.getAttribute("aria-busy")) return undefined;
    control.setAttribute("aria-busy", "true");
    try {
      return await work();
    } finally {
      control.removeAttribute("aria-busy");
    }
  }

  /** A dialog with a title; closes with Esc or its Cancel button, and is gone then. Returns the dialog. */
  function dialog(title, body, ...buttons) {
    const head = make("h2", { id: `dialog-${Date.now()}` }, title);
    const close = button(Traylane.t(buttons.length ? "cancel" : "close"), () => box.close());
    const box = make("dialog", { class: "wide", "aria-labelledby": head.id }, head, body, make("div", { class: "row end" }, close, ...buttons));
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
    return box;
  }

  /** The lines of a difference, as `/settings/check` tells them. */
  function diff(lines) {
    if (!lines.length) return make("p", { class: "note" }, Traylane.t("no_difference"));
    const marks = { same: " ", added: "+", removed: "−", gap: "⋯" };
    const rows = lines.map((line) => make("tr", { class: line.kind },
      make("td", { class: "no" }, line.line ? String(line.line) : ""),
      make("td", { class: "mark" }, marks[line.kind]),
      make("td", { class: "code" }, line.text)));
    return make("div", { class: "diff", tabindex: "0", role: "region", "aria-label": Traylane.t("difference") }, make("table", {}, make("tbody", {}, rows)));
  }

  function key() {
    return crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`;
  }

  const root = document.documentElement;
  const digits = new Map();
  function number(value, places = 3) {
    if (value === null || value === undefined) return "–";
    if (!digits.has(places)) digits.set(places, new Intl.NumberFormat(root.lang, { minimumFractionDigits: places, maximumFractionDigits: places }));
    return digits.get(places).format(value);
  }

  function size(bytes) {
    const [value, unit] = bytes >= 1e9 ? [bytes / 1e9, "GB"] : bytes >= 1e6 ? [bytes / 1e6, "MB"] : [bytes / 1e3, "kB"];
    return `${number(value, 1)} ${unit}`;
  }

  /** Seconds of a recording as minutes and seconds. */
  function clock(seconds) {
    const whole = Math.floor(seconds);
    const tenth = Math.floor(10 * (seconds - whole));
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${tenth}`;
  }

  return { make, draw, icon, button, state, refused, load, busy, dialog, diff, key, number, size, clock };
})();
