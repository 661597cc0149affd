// What every page has: theme, keyboard help, the offline banner, toasts, and a fetch that carries the form token.
// Pages use it as `Traylane.send(…)`, `Traylane.stream(…)`, `Traylane.toast(…)`,
// `Traylane.t(…)`, `Traylane.time(…)`.
"use strict";

const Traylane = (() => {
  const root = document.documentElement;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const words = { ...read("base-words"), ...read("page-words") };
  const token = document.querySelector('meta[name="csrf-token"]').content;
  const timezone = document.body.dataset.timezone;
  const times = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "medium", timeZone: timezone });

  /** A text of the layout's or the page's `words` block, in the reader's language; `{name}` is filled in. */
  function t(key, values = {}) {
    if (!(key in words)) throw new Error(`no word ${key}: add it to the page's "words" block`);
    return words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  /** An ISO time or UTC seconds as local date and time of the site. */
  function time(when) {
    return when === null || when === undefined ? "–" : times.format(typeof when === "number" ? 1000 * when : new Date(when));
  }

  /** Tell something at the edge of the page; errors stay until they are closed. */
  function toast(text, kind = "") {
    const box = document.createElement("div");
    box.className = `toast ${kind}`;
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "×";
    close.setAttribute("aria-label", t("close"));
    close.addEventListener("click", () => box.remove());
    const said = document.createElement("span");
    said.textContent = text;
    box.append(said, close);
    document.getElementById("toasts").append(box);
    if (kind !== "bad") setTimeout(() => box.remove(), 6000);
  }

  /** Show or hide the banner "no connection to the appliance". Pages with a stream of their own call it, too. */
  function online(yes) {
    document.getElementById("network").hidden = yes;
  }

  /**
   * Fetch JSON. Sends the form token with everything that changes something; a refusal is told in a toast.
   * Resolves to the answer's JSON (null for an empty one), or undefined after a refusal or without a connection.
   * With `whole`, resolves to `{ok, status, etag, content}` and leaves it to the page to tell a refusal.
   */
  async function send(path, { method = "GET", body, signal, headers: more = {}, whole = false, timeout_s: timeoutS = 15 } = {}) {
    const headers = { Accept: "application/json", ...more };
    if (method !== "GET") headers["X-CSRFToken"] = token;
    if (body !== undefined && !(body instanceof FormData)) headers["Content-Type"] = "application/json";
    const limits = [AbortSignal.timeout(1000 * timeoutS), ...(signal ? [signal] : [])];
    let response;
    try {
      response = await fetch(path, {
        method,
        headers,
        body: body === undefined || body instanceof FormData ? body : JSON.stringify(body),
        signal: AbortSignal.any(limits),
      });
    } catch (error) {
      if (signal && signal.aborted) return undefined;
      online(false);
      toast(t("no_connection"), "bad");
      return undefined;
    }
    online(true);
    if (response.status === 401) {
      toLogIn();
      return undefined;
    }
    if (whole) {
      const json = (response.headers.get("Content-Type") || "").includes("json");
      const content = json ? await response.json() : { detail: `${t("failed")} (${response.status})` };
      return { ok: response.ok, status: response.status, etag: response.headers.get("ETag"), content };
    }
    if (!response.ok) {
      toast(await problemText(response), "bad");
      return undefined;
    }
    return response.status === 204 ? null : response.json();
  }

  /**
   * Follow server-sent events; `events` maps a kind to what takes its parsed JSON. Told of lost and regained
   * connections by `onState(true | false)`; comes back by itself, and leads to the log-in when that has ended.
   */
  function stream(path, events, onState = () => {}) {
    const source = new EventSource(path);
    source.addEventListener("open", () => {
      online(true);
      onState(true);
    });
    source.addEventListener("error", () => {
      onState(false);
      online(false);
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      setTimeout(async () => {
        const response = await fetch(path, { method: "HEAD" }).catch(() => null);
        if (response && response.status === 401) toLogIn();
        else stream(path, events, onState);
      }, 2000);
    });
    for (const [kind, take] of Object.entries(events)) {
      source.addEventListener(kind, (event) => take(JSON.parse(event.data)));
    }
  }

  function toLogIn() {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }

  async function problemText(response) {
    if (!(response.headers.get("Content-Type") || "").includes("json")) return `${t("failed")} (${response.status})`;
    const problem = await response.json();
    return problem.detail || problem.title || `${t("failed")} (${response.status})`;
  }

  function switchTheme() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `traylane_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  }

  let going = false;
  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, [contenteditable]")) return;
    const links = document.querySelectorAll(".rail-pages a");
    if (going && /^[1-9]$/.test(event.key)) {
      event.stopImmediatePropagation();
      const link = links[Number(event.key) - 1];
      if (link) link.click();
    } else if (event.key === "?") {
      document.getElementById("keys").showModal();
    } else if (event.key === "t") {
      switchTheme();
    }
    going = event.key === "g";
  }

  document.addEventListener("keydown", pressed, true);
  document.getElementById("theme").addEventListener("click", switchTheme);
  document.getElementById("help").addEventListener("click", () => document.getElementById("keys").showModal());
  addEventListener("offline", () => online(false));
  addEventListener("online", () => online(true));
  // A form or button with data-confirm asks first; a form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    const question = (event.submitter && event.submitter.dataset.confirm) || form.dataset.confirm;
    if (form.dataset.sent || (question && !confirm(question))) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
  }));
  // <button data-copy="#id"> copies the text of an element.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
    toast(t("copied"), "good");
  });

  return { t, time, toast, online, send, stream };
})();
