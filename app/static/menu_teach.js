// Teach a dish: a photo from a lane, a file or the camera; where the dish is; what is cut out; look-alikes; name and price.
"use strict";

const Teach = (() => {
  const { t, send } = Traylane;
  const { make, draw, button } = Desk;
  const LONGEST_SIDE = 1600;
  const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

  /** Seven ticks; `read()` gives the ticked days. */
  function week(chosen = DAYS) {
    const ticks = DAYS.map((day) => {
      const tick = make("input", { type: "checkbox", value: day });
      tick.checked = chosen.includes(day);
      return tick;
    });
    const box = make("fieldset", {}, make("legend", {}, t("days")), make("div", { class: "week" }, ticks.map((tick) => make("label", { class: "choice" }, tick, t(tick.value)))));
    return { box, read: () => ticks.filter((tick) => tick.checked).map((tick) => tick.value) };
  }

  function field(id, label, attributes = {}, note = "") {
    const input = make("input", { id, autocomplete: "off", ...attributes });
    return { input, box: make("div", { class: "field" }, make("label", { for: id }, label), input, note ? make("p", { class: "note" }, note) : null) };
  }

  /** "4,50" and "4.50" as a number; NaN for what is no price. */
  function price(text) {
    const plain = text.trim().replace(",", ".");
    return /^\d{1,6}(\.\d{1,2})?$/.test(plain) ? Number(plain) : NaN;
  }

  /** A photo made small enough to send, turned upright: JPEG as base64 with its size. */
  async function shrink(blob) {
    const picture = await createImageBitmap(blob);
    const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
    const canvas = make("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return { base64: canvas.toDataURL("image/jpeg", 0.93).split(",")[1], width: canvas.width, height: canvas.height, boxes: [] };
  }

  /**
   * Open the dialog. `dish` is one that gets another photo, undefined for a new one; `taught(answer)` is told of success.
   */
  function open({ lanes, dish, known, taught }) {
    let photo = null; // {base64, width, height, boxes}
    let box = null; // pixels of the photo
    let asked = 0;
    let alike = [];
    const source = make("div", {});
    const cut = make("div", { class: "cutout", role: "status" });
    const judged = make("div", { "aria-live": "polite" });
    const name = field("teach-name", t("name"), { maxlength: "80", required: true }, t("name_note"));
    const cost = field("teach-price", `${t("price")} (${document.body.dataset.currency})`, { inputmode: "decimal", maxlength: "9", required: true });
    const plu = field("teach-plu", t("plu"), { maxlength: "50" });
    const category = field("teach-category", t("category"), { maxlength: "80" });
    const days = week();
    const go = button(t("teach"), () => teach(false), "primary");

    function stage() {
      const image = make("img", { src: `data:image/jpeg;base64,${photo.base64}`, alt: t("found"), draggable: "false" });
      const layer = draw("svg", { viewBox: `0 0 ${photo.width} ${photo.height}`, "aria-hidden": "true" });
      const area = make("div", { class: "photo-stage" }, image, layer);
      const show = (wanted) => layer.replaceChildren(...photo.boxes.map((seen) => rectangle(seen.box, "seen")), ...(wanted ? [rectangle(wanted, "chosen")] : []));
      const at = (event) => {
        const place = area.getBoundingClientRect();
        const limit = (value, most) => Math.min(most, Math.max(0, value));
        return [limit(((event.clientX - place.left) / place.width) * photo.width, photo.width), limit(((event.clientY - place.top) / place.height) * photo.height, photo.height)];
      };
      area.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        const [x, y] = at(event);
        let drawn = null;
        const move = (next) => {
          const [u, v] = at(next);
          drawn = Math.hypot(u - x, v - y) > photo.width / 60 ? [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)] : null;
          show(drawn || box);
        };
        const up = () => {
          removeEventListener("pointermove", move);
          removeEventListener("pointerup", up);
          removeEventListener("pointercancel", up);
          const inside = photo.boxes.filter(({ box: [a, b, c, d] }) => x >= a && x <= c && y >= b && y <= d);
          const tapped = inside.sort((p, q) => (p.box[2] - p.box[0]) * (p.box[3] - p.box[1]) - (q.box[2] - q.box[0]) * (q.box[3] - q.box[1]))[0];
          if (!drawn && !tapped) return;
          box = drawn || tapped.box;
          show(box);
          look();
        };
        addEventListener("pointermove", move);
        addEventListener("pointerup", up);
        addEventListener("pointercancel", up);
      });
      show(box);
      const seen = photo.boxes.map((one, i) => button(`${i + 1}: ${(known.find((other) => other.name === one.label) || { title: one.label }).title}`, () => {
        box = one.box;
        show(box);
        look();
      }, "small"));
      return make("div", {}, area, make("p", { class: "note" }, t("tap")), make("div", { class: "row" }, seen));
    }

    function rectangle([x1, y1, x2, y2], kind) {
      return draw("rect", { class: kind, x: x1, y: y1, width: x2 - x1, height: y2 - y1, "vector-effect": "non-scaling-stroke" });
    }

    /** Ask what this photo would teach, and show it. */
    async function look() {
      const own = ++asked;
      alike = [];
      cut.replaceChildren(make("p", { class: "note" }, t("looking")));
      judged.replaceChildren();
      go.disabled = true;
      const body = { photo: photo.base64, name: dish ? dish.name : "" };
      if (box) body.box = box;
      const answer = await send("/api/v1/menu-looks", { method: "POST", body, whole: true, timeout_s: 60 });
      if (own !== asked) return;
      if (!answer || !answer.ok) {
        cut.replaceChildren();
        if (answer) judged.replaceChildren(make("p", { class: "banner bad inset" }, Desk.refused(answer)));
        return;
      }
      go.disabled = false;
      const { thumbnail, warnings, found } = answer.content;
      alike = answer.content.alike;
      cut.replaceChildren(make("img", { src: `data:image/jpeg;base64,${thumbnail}`, alt: t("this_is_cut"), id: "cutout" }), make("div", {}, make("b", {}, t("this_is_cut")), make("br"), make("span", { class: "note" }, found === "given" ? "" : found)));
      judged.replaceChildren(...warnings.map((warning) => make("p", { class: "banner warn inset" }, `▲ ${warning}`)), ...alike.slice(0, 1).map((one) => lookalike(one, thumbnail)));
      go.hidden = alike.length > 0;
    }

    function lookalike({ dish: other }, thumbnail) {
      const pictures = make("div", { class: "pair-of" },
        make("figure", {}, make("img", { src: `data:image/jpeg;base64,${thumbnail}`, alt: t("new_photo") }), make("figcaption", {}, t("new_photo"))),
        make("figure", {}, other.photos[0] ? make("img", { src: `${other.photos[0]}&side=224`, alt: other.title }) : null, make("figcaption", {}, other.title)));
      const different = button(t("teach_all_the_same"), () => teach(true));
      const same = dish ? null : button(t("same_dish", { dish: other.title }), () => teach(true, other));
      return make("div", { class: "alike", role: "alert" }, make("b", {}, `▲ ${t("alike", { dish: other.title })}`), pictures, make("p", { class: "note" }, t("alike_note")), make("div", { class: "row" }, different, same));
    }

    async function teach(accept, other) {
      const body = { photo: photo ? photo.base64 : "", accept_lookalike: accept };
      if (!photo) {
        judged.replaceChildren(make("p", { class: "banner bad inset" }, t("need_photo")));
        return;
      }
      if (box) body.box = box;
      if (dish || other) {
        body.name = (dish || other).name;
      } else {
        body.name = name.input.value.trim();
        body.price = price(cost.input.value);
        if (!body.name) {
          name.input.focus();
          return;
        }
        if (Number.isNaN(body.price)) {
          judged.append(make("p", { class: "banner bad inset", role: "alert" }, t("bad_price")));
          cost.input.focus();
          return;
        }
        body.title = body.name;
        body.plu = plu.input.value.trim();
        body.category = category.input.value.trim();
        body.days = days.read();
      }
      await Desk.busy(go, async () => {
        const answer = await send("/api/v1/menu", { method: "POST", body, headers: { "Idempotency-Key": Desk.key() }, whole: true, timeout_s: 60 });
        if (!answer) return;
        if (!answer.ok) {
          judged.append(make("p", { class: "banner bad inset", role: "alert" }, Desk.refused(answer)));
          return;
        }
        dialog.close();
        taught(answer.content);
      });
    }

    async function fromLane(laneId) {
      const place = make("div", { class: "photo-stage loading" });
      source.replaceChildren(place);
      const answer = await send(`/api/v1/lanes/${encodeURIComponent(laneId)}/snapshot`, { whole: true });
      if (!answer || !answer.ok) {
        source.replaceChildren(Desk.state(t("not_loaded"), answer ? Desk.refused(answer) : t("no_connection"), "offline", button(t("again"), () => fromLane(laneId))));
        return;
      }
      const { jpeg_base64: base64, width, height, boxes } = answer.content;
      photo = { base64, width, height, boxes };
      box = boxes.length === 1 ? boxes[0].box : null;
      source.replaceChildren(stage());
      if (box) look();
    }

    function fromFile() {
      const input = make("input", { type: "file", accept: "image/*", capture: "environment", id: "teach-file", "aria-label": t("choose") });
      const zone = make("div", { class: "dropzone" }, Desk.icon("add"), make("p", {}, t("drop")), make("label", { for: "teach-file" }, input, make("span", { class: "button" }, t("choose"))));
      const take = async (file) => {
        try {
          photo = await shrink(file);
        } catch (error) {
          zone.append(make("p", { class: "banner bad inset", role: "alert" }, t("big")));
          return;
        }
        box = null;
        source.replaceChildren(stage());
        look();
      };
      input.addEventListener("change", () => input.files[0] && take(input.files[0]));
      zone.addEventListener("dragover", (event) => {
        event.preventDefault();
        zone.classList.add("over");
      });
      zone.addEventListener("dragleave", () => zone.classList.remove("over"));
      zone.addEventListener("drop", (event) => {
        event.preventDefault();
        if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
      });
      source.replaceChildren(zone);
    }

    const lane = make("select", { "aria-label": t("lane") }, lanes.map((one) => new Option(one, one)));
    lane.addEventListener("change", () => fromLane(lane.value));
    const sources = make("div", { class: "sources" }, lanes.length ? [lane, button(t("fresh"), () => fromLane(lane.value), "", "live")] : null, button(t("from_file_button"), fromFile, "", "add"));
    const values = dish ? [] : [name.box, make("div", { class: "fields" }, cost.box, plu.box, category.box), days.box];
    const names = make("datalist", { id: "known-categories" }, [...new Set(known.map((one) => one.category).filter(Boolean))].map((one) => new Option(one)));
    category.input.setAttribute("list", names.id);
    const body = make("div", { class: "teach-grid" }, make("div", {}, sources, source), make("div", {}, cut, judged, values, names));
    go.disabled = true;
    const dialog = Desk.dialog(dish ? t("photo_title", { dish: dish.title }) : t("teach_title"), body, go);
    if (lanes.length) fromLane(lanes[0]);
    else fromFile();
  }

  return { open, week, field, price };
})();
