// The menu: a card for each dish, prices changed in place, history with undo, tables.
"use strict";

(() => {
  const { t, send, toast, time } = Traylane;
  const { make, button, number } = Desk;
  const byId = (id) => document.getElementById(id);
  const { lanes: laneText, currency } = document.body.dataset;
  const lanes = JSON.parse(laneText);
  const mayTeach = document.body.dataset.mayTeach === "yes";
  const PATH = "/api/v1/menu";
  let dishes = [];
  const address = (dish) => `${PATH}/${encodeURIComponent(dish.name)}`;

  function daysText(dish) {
    if (dish.days.length === 7) return t("every_day");
    return dish.days.map((day) => t(day)).join(", ") || t("no_day");
  }

  /** Tell a change with a button that takes it back. */
  function told(text, revision) {
    toast(text, "good");
    const box = byId("toasts").lastElementChild;
    const back = button(t("undo"), () => {
      box.remove();
      undo(revision);
    }, "small");
    back.classList.add("undo");
    box.querySelector("span").after(back);
  }

  async function undo(revision) {
    const answer = await send("/api/v1/menu-undo", { method: "POST", body: { revision }, headers: { "Idempotency-Key": Desk.key() }, whole: true });
    if (!answer) return;
    toast(answer.ok ? t("undone") : Desk.refused(answer), answer.ok ? "good" : "bad");
    load();
  }

  async function change(dish, body) {
    const answer = await send(address(dish), { method: "PATCH", body, whole: true });
    if (!answer) return false;
    if (!answer.ok) {
      toast(Desk.refused(answer), "bad");
      return false;
    }
    told(t("saved", { dish: dish.title }), answer.content.revision);
    await load();
    return true;
  }

  function priceField(dish) {
    if (!mayTeach) return make("b", {}, `${number(dish.price, 2)} ${currency}`);
    const input = make("input", { value: number(dish.price, 2), inputmode: "decimal", maxlength: "9", "aria-label": t("price_of", { dish: dish.title }) });
    input.addEventListener("focus", () => input.select());
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") input.blur();
      if (event.key === "Escape") {
        input.value = number(dish.price, 2);
        input.blur();
      }
    });
    input.addEventListener("change", async () => {
      const wanted = Teach.price(input.value);
      if (Number.isNaN(wanted)) toast(t("bad_price"), "bad");
      if (Number.isNaN(wanted) || wanted === dish.price || !(await change(dish, { price: wanted }))) input.value = number(dish.price, 2);
    });
    return make("div", { class: "price-field" }, input, make("span", { class: "soft" }, currency));
  }

  function card(dish) {
    const picture = dish.photos.length ? make("img", { src: dish.photos[0], alt: "", loading: "lazy", decoding: "async" })
      : make("span", {}, Desk.icon("menu"), t("no_photo"));
    const chips = make("ul", { class: "chips" },
      make("li", { class: `chip ${dish.sold_today ? "good" : ""}` }, dish.sold_today ? `● ${t("sold_today")}` : `○ ${t("not_today")}`),
      make("li", { class: "chip" }, dish.photos.length ? t("taught", { n: dish.photos.length }) : t("from_file")));
    const meta = [dish.plu && `PLU ${dish.plu}`, dish.category, daysText(dish)].filter(Boolean).join(" · ");
    const actions = mayTeach ? make("div", { class: "actions" }, button(t("edit"), () => edit(dish), "small"), button(t("add_photo"), () => teach(dish), "small")) : null;
    return make("article", { class: `card dish${dish.sold_today ? "" : " off"}`, "aria-label": dish.title, "data-dish": dish.name },
      make("div", { class: "photo" }, picture), make("div", { class: "inside" }, make("h2", {}, dish.title), make("div", { class: "meta" }, meta), priceField(dish), chips, actions));
  }

  function show() {
    const wanted = byId("search").value.trim().toLowerCase();
    const fitting = dishes.filter((dish) => (!byId("today").checked || dish.sold_today)
      && (!wanted || [dish.name, dish.title, dish.plu, dish.category].some((text) => text.toLowerCase().includes(wanted))));
    byId("count").textContent = t("count", { n: dishes.length, m: dishes.filter((dish) => dish.sold_today).length });
    if (fitting.length) byId("dishes").replaceChildren(...fitting.map(card));
    else if (dishes.length) byId("dishes").replaceChildren(Desk.state(t("nothing_found"), t("nothing_found_text"), "search"));
    else byId("dishes").replaceChildren(Desk.state(t("none"), t("none_text"), "menu", mayTeach ? button(t("teach_title"), () => teach(), "primary", "add") : null));
  }

  function teach(dish) {
    Teach.open({ lanes, dish, known: dishes, taught: (answer) => {
      told(t("taught_now", { dish: answer.dish.title }), answer.revision);
      answer.warnings.forEach((warning) => toast(warning));
      load();
    } });
  }

  function edit(dish) {
    const title = Teach.field("edit-title", t("title"), { value: dish.title, maxlength: "120" });
    const name = Teach.field("edit-name", t("name"), { value: dish.name, maxlength: "80" });
    const cost = Teach.field("edit-price", `${t("price")} (${currency})`, { value: number(dish.price, 2), inputmode: "decimal", maxlength: "9" });
    const plu = Teach.field("edit-plu", t("plu"), { value: dish.plu, maxlength: "50" });
    const category = Teach.field("edit-category", t("category"), { value: dish.category, maxlength: "80" });
    const first = Teach.field("edit-first", t("first_day"), { type: "date", value: dish.first_day || "" });
    const last = Teach.field("edit-last", t("last_day"), { type: "date", value: dish.last_day || "" });
    const days = Teach.week(dish.days);
    const go = button(t("save"), () => Desk.busy(go, async () => {
      const wanted = { title: title.input.value.trim(), price: Teach.price(cost.input.value), plu: plu.input.value.trim(), category: category.input.value.trim(),
        days: days.read(), first_day: first.input.value || null, last_day: last.input.value || null };
      if (Number.isNaN(wanted.price)) {
        toast(t("bad_price"), "bad");
        cost.input.focus();
        return;
      }
      const body = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(dish[key])));
      if (name.input.value.trim() !== dish.name) body.name = name.input.value.trim();
      if (!Object.keys(body).length || (await change(dish, body))) box.close();
    }), "primary");
    const remove = dish.taught ? button(t("remove"), async () => {
      if (!confirm(t("remove_sure", { dish: dish.title }))) return;
      const answer = await send(address(dish), { method: "DELETE", whole: true });
      if (!answer) return;
      box.close();
      if (answer.ok) told(t("removed", { dish: dish.title }), answer.content.revision);
      else toast(Desk.refused(answer), "bad");
      load();
    }, "danger") : null;
    // A dish of the menu file is called what the model reports.
    if (!dish.taught || !dish.photos.length) name.input.disabled = true;
    const photos = make("div", { class: "pair-of" }, dish.photos.map((photo) => make("img", { src: `${photo}&side=224`, alt: "", loading: "lazy" })));
    const body = make("div", {}, photos, make("div", { class: "fields" }, title.box, name.box), make("div", { class: "fields" }, cost.box, plu.box, category.box), days.box, make("div", { class: "fields" }, first.box, last.box));
    const box = Desk.dialog(t("edit_title", { dish: dish.title }), body, ...(remove ? [remove] : []), go);
  }

  function history() {
    const place = make("div", {});
    const box = Desk.dialog(t("history_title"), place);
    Desk.load(place, "/api/v1/menu-history", ({ revisions, can_undo: canUndo }) => {
      if (!revisions.length) {
        place.replaceChildren(make("p", { class: "note" }, t("no_history")));
        return;
      }
      const rows = revisions.map((one) => make("tr", {}, make("td", {}, String(one.revision)), make("td", {}, time(one.at)), make("td", {}, one.who || "–"), make("td", {}, one.what)));
      const head = make("tr", {}, ["#", t("when"), t("who"), t("what")].map((name) => make("th", { scope: "col" }, name)));
      const back = canUndo ? button(t("undo_latest"), () => {
        box.close();
        undo(revisions[0].revision);
      }, "primary") : "";
      place.replaceChildren(make("div", { class: "diff", tabindex: "0", role: "region", "aria-label": t("history_title") }, make("table", {}, make("thead", {}, head), make("tbody", {}, rows))), make("p", {}, back));
    });
  }

  function importTable() {
    const input = make("input", { type: "file", accept: ".csv,text/csv", id: "table", "aria-label": t("choose_table") });
    const result = make("div", { role: "status" });
    const go = button(t("save"), take, "primary");
    go.disabled = true;
    let csv = "";
    const post = (dry) => send("/api/v1/menu-import", { method: "POST", body: { csv, dry_run: dry }, whole: true });
    async function look() {
      go.disabled = true;
      csv = await input.files[0].text();
      const answer = await post(true);
      if (!answer) return;
      if (!answer.ok) {
        result.replaceChildren(make("p", { class: "banner bad inset", role: "alert" }, Desk.refused(answer)));
        return;
      }
      const { changes } = answer.content;
      go.disabled = !changes.length;
      go.textContent = t("take", { n: changes.length });
      const rows = changes.map((one) => make("tr", {}, make("td", {}, make("span", { class: `chip ${one.kind === "new" ? "good" : "warn"}` }, one.kind === "new" ? `+ ${t("new")}` : `~ ${t("changed")}`)), make("td", {}, one.dish), make("td", {}, one.changes.join("; "))));
      result.replaceChildren(changes.length ? make("div", { class: "diff", tabindex: "0", role: "region", "aria-label": t("import_title") }, make("table", {}, make("tbody", {}, rows))) : make("p", { class: "note" }, t("nothing_changes")));
    }
    async function take() {
      await Desk.busy(go, async () => {
        const answer = await post(false);
        if (!answer) return;
        if (!answer.ok) {
          toast(Desk.refused(answer), "bad");
          return;
        }
        box.close();
        told(t("imported"), answer.content.revision);
        load();
      });
    }
    input.addEventListener("change", () => input.files[0] && look());
    const box = Desk.dialog(t("import_title"), make("div", {}, make("p", { class: "note" }, t("import_note")), make("div", { class: "field" }, make("label", { for: "table" }, t("choose_table")), input), result), go);
  }

  function load() {
    return Desk.load(byId("dishes"), PATH, (content) => {
      ({ dishes } = content);
      show();
    });
  }

  byId("search").addEventListener("input", show);
  byId("today").addEventListener("change", show);
  if (mayTeach) {
    byId("teach").addEventListener("click", () => teach());
    byId("history").addEventListener("click", history);
    byId("import").addEventListener("click", importTable);
  }
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      byId("search").focus();
    } else if (event.key === "n" && mayTeach) {
      event.preventDefault();
      teach();
    }
  });
  load();
})();
