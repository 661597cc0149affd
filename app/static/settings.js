// The configuration file in a plain textarea: numbered, checked while one types, saved after a look at the difference.
"use strict";

(() => {
  const { t, send, toast, time } = Traylane;
  const { make, button } = Desk;
  const byId = (id) => document.getElementById(id);
  const text = byId("text");
  const gutter = byId("gutter");
  const faultList = byId("faults");
  const verdict = byId("verdict");
  const save = byId("save");
  const undo = byId("undo");
  const PATH = "/api/v1/settings";
  let kept = "";
  let etag = "";
  let faults = [];
  let asked = 0;
  let waiting = 0;

  const dirty = () => text.value !== kept;

  function number() {
    const lines = text.value.split("\n").length;
    const wrong = new Map(faults.filter((one) => one.line).map((one) => [one.line, one]));
    const rows = [];
    for (let i = 1; i <= lines; i += 1) {
      const fault = wrong.get(i);
      rows.push(make("span", fault ? { class: "wrong", title: fault.message } : {}, fault ? `■ ${i}` : String(i)));
    }
    gutter.replaceChildren(...rows);
    gutter.scrollTop = text.scrollTop;
  }

  function jump(line) {
    const lines = text.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    text.focus();
    text.setSelectionRange(start, start + (lines[line - 1] || "").length);
    text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(text).lineHeight));
    number();
  }

  function showFaults() {
    verdict.className = faults.length ? "chip bad" : "chip good";
    verdict.textContent = faults.length ? `■ ${t("faults", { n: faults.length })}` : `● ${t("sound")}`;
    text.setAttribute("aria-invalid", faults.length ? "true" : "false");
    faultList.replaceChildren(...faults.map((fault) => make("li", {}, make("button", { type: "button", onclick: () => jump(fault.line || 1) },
      make("b", {}, fault.line ? t("line", { n: fault.line }) : t("whole_file")),
      fault.key ? make("code", {}, fault.key) : null,
      make("span", {}, fault.message)))));
    number();
    buttons();
  }

  function buttons() {
    undo.disabled = !dirty();
    save.disabled = !dirty() || faults.length > 0;
  }

  /** Check the text as it is; resolves to the answer, or undefined when a newer check was asked or it did not come. */
  async function check(value) {
    const own = ++asked;
    verdict.className = "chip";
    verdict.textContent = t("checking");
    const answer = await send(`${PATH}/check`, { method: "POST", body: { text: value }, whole: true });
    if (own !== asked || !answer) return undefined;
    if (!answer.ok) {
      toast(Desk.refused(answer), "bad");
      return undefined;
    }
    faults = answer.content.faults;
    showFaults();
    return answer.content;
  }

  function take(answer, content) {
    kept = content.text;
    etag = answer;
    text.value = kept;
    byId("restart").hidden = !content.restart_needed;
    faults = [];
    number();
    check(kept);
    versions();
  }

  async function put(box, control, path, method, body, told) {
    await Desk.busy(control, async () => {
      const headers = { "If-Match": etag };
      if (method === "POST") headers["Idempotency-Key"] = Desk.key();
      const answer = await send(path, { method, body, headers, whole: true });
      if (!answer) return;
      box.close();
      if (answer.ok) {
        toast(told, "good");
        const fresh = await send(PATH, { whole: true });
        if (fresh && fresh.ok) take(fresh.etag, fresh.content);
      } else {
        toast(answer.status === 412 ? t("changed_meanwhile") : Desk.refused(answer), "bad");
      }
    });
  }

  async function lookAndSave() {
    if (!dirty()) return;
    const wanted = text.value;
    const told = await check(wanted);
    if (!told) return;
    if (!told.valid) {
      jump(faults[0].line || 1);
      return;
    }
    const go = button(t("save"), () => put(box, go, PATH, "PUT", { text: wanted }, t("saved")), "primary");
    const box = Desk.dialog(t("save_title"), Desk.diff(told.diff), go);
    go.focus();
  }

  async function look(version) {
    const former = await send(`${PATH}/versions/${version.sha256}`);
    if (!former) return;
    const told = await send(`${PATH}/check`, { method: "POST", body: former });
    if (!told) return;
    const back = { sha256: version.sha256 };
    const go = button(t("take"), () => put(box, go, `${PATH}/rollback`, "POST", back, t("rolled_back")), "primary");
    if (!told.valid || !told.diff.length) go.disabled = true;
    const wrong = told.faults.map((fault) => make("p", { class: "banner bad inset" }, `${fault.key}: ${fault.message}`));
    const box = Desk.dialog(t("version_title"), make("div", {}, wrong, Desk.diff(told.diff)), go);
  }

  function versions() {
    Desk.load(byId("versions"), `${PATH}/versions`, ({ versions: found }) => {
      const rows = found.map((one) => make("li", {},
        make("span", {}, t("until", { when: time(one.replaced_at) }), make("br"), make("code", { class: "soft" }, one.sha256.slice(0, 8))),
        button(t("look"), () => look(one), "small")));
      byId("versions").replaceChildren(rows.length ? make("ul", { class: "rows" }, rows) : make("p", { class: "note" }, t("no_versions")));
    });
  }

  text.addEventListener("input", () => {
    number();
    undo.disabled = !dirty();
    save.disabled = true;
    clearTimeout(waiting);
    waiting = setTimeout(() => check(text.value), 500);
  });
  text.addEventListener("scroll", () => { gutter.scrollTop = text.scrollTop; });
  save.addEventListener("click", lookAndSave);
  undo.addEventListener("click", () => {
    if (!confirm(t("discard"))) return;
    text.value = kept;
    check(kept);
  });
  addEventListener("beforeunload", (event) => { if (dirty()) event.preventDefault(); });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      lookAndSave();
    } else if (event.key === "F8" && faults.length) {
      event.preventDefault();
      const line = text.value.slice(0, text.selectionStart).split("\n").length;
      jump((faults.find((fault) => fault.line > line) || faults[0]).line || 1);
    }
  });

  Desk.load(byId("editor-card").querySelector(".editor"), PATH, (content, tag) => take(tag, content));
})();
