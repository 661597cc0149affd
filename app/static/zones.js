// Zones drawn on a still: corners by mouse, finger and keyboard; saved into the configuration file, comments kept.
"use strict";

(() => {
  const { t, send, toast, time } = Traylane;
  const { make, draw, button } = Desk;
  const byId = (id) => document.getElementById(id);
  const PATH = "/api/v1/settings";
  const ROLES = ["tray", "belt", "exit"];
  const SVG_HIT = 22; // half of a finger
  const stage = byId("stage");
  const drawing = byId("drawing");
  let lanes = [];
  let etag = "";
  let lane = null; // of `lanes`
  let zones = []; // {name, role, corners, was}: `was` is its name in the file, null for a new one
  let chosen = 0;
  let past = [];
  let size = { width: 16, height: 9 };

  const copy = (list) => list.map((zone) => ({ ...zone, corners: zone.corners.map((corner) => [...corner]) }));
  const clamp = (value) => Math.min(1, Math.max(0, value));
  const round = (value) => Math.round(value * 10000) / 10000;

  function remember() {
    past.push({ zones: copy(zones), chosen });
    if (past.length > 100) past.shift();
  }

  // --- what is wrong -------------------------------------------------------------------------------------------

  function turn([ax, ay], [bx, by], [cx, cy]) {
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
  }

  function crosses(corners) {
    const n = corners.length;
    for (let i = 0; i < n; i += 1) {
      for (let j = i + 2; j < n; j += 1) {
        if (i === 0 && j === n - 1) continue;
        const [a, b, c, d] = [corners[i], corners[(i + 1) % n], corners[j], corners[(j + 1) % n]];
        if (turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0) return true;
      }
    }
    return false;
  }

  function fault() {
    const bad = zones.find((zone) => crosses(zone.corners));
    if (bad) return t("crosses", { zone: bad.name });
    const names = zones.map((zone) => zone.name);
    if (names.some((name) => !/^[A-Za-z0-9_-]{1,64}$/.test(name)) || new Set(names).size < names.length) return t("bad_name");
    if (!zones.some((zone) => zone.role === "tray")) return t("no_tray");
    return "";
  }

  // --- drawing -------------------------------------------------------------------------------------------------

  const place = ([x, y]) => [x * size.width, y * size.height];
  const at = (event) => {
    const box = drawing.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
  };

  /** Follow a pointer until it is let go. */
  function drag(event, move) {
    event.preventDefault();
    remember();
    const moved = (next) => move(at(next));
    const over = () => {
      removeEventListener("pointermove", moved);
      removeEventListener("pointerup", over);
      removeEventListener("pointercancel", over);
      showList();
    };
    addEventListener("pointermove", moved);
    addEventListener("pointerup", over);
    addEventListener("pointercancel", over);
  }

  function handle(zone, i) {
    const [x, y] = place(zone.corners[i]);
    const percent = (value) => Math.round(100 * value);
    const label = t("corner", { n: i + 1, zone: zone.name, x: percent(zone.corners[i][0]), y: percent(zone.corners[i][1]) });
    const group = draw("g", { class: "corner", tabindex: "0", role: "button", "aria-label": label, "data-corner": String(i) },
      draw("circle", { class: "hit", cx: x, cy: y, r: SVG_HIT }), draw("circle", { class: "dot", cx: x, cy: y, r: 7 }));
    group.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      drag(event, (to) => {
        zone.corners[i] = to;
        show();
      });
      focusCorner(i);
    });
    group.addEventListener("keydown", (event) => pressed(event, zone, i));
    return group;
  }

  function adder(zone, i) {
    const [a, b] = [zone.corners[i], zone.corners[(i + 1) % zone.corners.length]];
    const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const [x, y] = place(middle);
    const group = draw("g", { class: "adder" }, draw("title", {}, t("add_corner")), draw("circle", { class: "hit", cx: x, cy: y, r: 14 }),
      draw("circle", { class: "plus", cx: x, cy: y, r: 8 }),
      draw("path", { class: "cross", d: `M${x - 4} ${y}h8M${x} ${y - 4}v8` }));
    group.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      drag(event, (to) => {
        zone.corners[i + 1] = to;
        show();
      });
      zone.corners.splice(i + 1, 0, middle);
      show();
      focusCorner(i + 1);
    });
    return group;
  }

  function pressed(event, zone, i) {
    const step = event.shiftKey ? 0.001 : 0.01;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    let next = i;
    if (moves[event.key]) {
      remember();
      const [dx, dy] = moves[event.key];
      zone.corners[i] = [clamp(zone.corners[i][0] + dx), clamp(zone.corners[i][1] + dy)];
    } else if (event.key === "+" || event.key === "Enter") {
      remember();
      const b = zone.corners[(i + 1) % zone.corners.length];
      zone.corners.splice(i + 1, 0, [(zone.corners[i][0] + b[0]) / 2, (zone.corners[i][1] + b[1]) / 2]);
      next = i + 1;
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (zone.corners.length <= 3) {
        toast(t("three"), "bad");
        return;
      }
      remember();
      zone.corners.splice(i, 1);
      next = Math.min(i, zone.corners.length - 1);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    show();
    showList();
    focusCorner(next);
  }

  function focusCorner(i) {
    const corner = drawing.querySelector(`[data-corner="${i}"]`);
    if (corner) corner.focus();
  }

  function show() {
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.corner : undefined;
    drawing.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    const shapes = zones.map((zone, i) => {
      const kind = `zone ${zone.role}${i === chosen ? " chosen" : ""}${crosses(zone.corners) ? " bad" : ""}`;
      const shape = draw("polygon", { class: kind, points: zone.corners.map((corner) => place(corner).join(",")).join(" ") });
      shape.addEventListener("pointerdown", (event) => {
        choose(i);
        const from = at(event);
        const began = zone.corners.map((corner) => [...corner]);
        drag(event, (to) => {
          const xs = began.map((corner) => corner[0]);
          const ys = began.map((corner) => corner[1]);
          const dx = Math.max(-Math.min(...xs), Math.min(1 - Math.max(...xs), to[0] - from[0]));
          const dy = Math.max(-Math.min(...ys), Math.min(1 - Math.max(...ys), to[1] - from[1]));
          zone.corners = began.map(([x, y]) => [x + dx, y + dy]);
          show();
        });
      });
      const [x, y] = place(zone.corners[0]);
      const name = draw("text", { x: x + 12, y: y + 24 });
      name.textContent = `${zone.name} · ${t(zone.role)}`;
      return [shape, name];
    });
    const zone = zones[chosen];
    const handles = zone ? [...zone.corners.map((_, i) => adder(zone, i)), ...zone.corners.map((_, i) => handle(zone, i))] : [];
    // The chosen zone lies on top, so that its corners can be taken.
    const order = shapes.map((_, i) => i).sort((a, b) => (a === chosen) - (b === chosen));
    drawing.replaceChildren(...order.flatMap((i) => shapes[i]), ...handles);
    if (focused !== undefined) focusCorner(Number(focused));
    const wrong = fault();
    byId("wrong").hidden = !wrong;
    byId("wrong").textContent = wrong;
    byId("undo").disabled = !past.length;
    byId("save").disabled = Boolean(wrong) || !changes().length;
  }

  function choose(i) {
    if (chosen === i) return;
    chosen = i;
    show();
    showList();
  }

  function showList() {
    byId("zones").replaceChildren(...zones.map((zone, i) => {
      const name = make("input", { id: `name-${i}`, value: zone.name, maxlength: "64", autocomplete: "off" });
      name.addEventListener("change", () => {
        remember();
        zone.name = name.value.trim();
        show();
        showList();
      });
      const role = make("select", { id: `role-${i}` }, ROLES.map((one) => new Option(t(one), one, false, one === zone.role)));
      role.addEventListener("change", () => {
        remember();
        zone.role = role.value;
        show();
      });
      const remove = button(t("remove"), () => {
        remember();
        zones.splice(i, 1);
        chosen = Math.max(0, Math.min(chosen, zones.length - 1));
        show();
        showList();
      }, "small danger");
      if (zones.length < 2) remove.disabled = true;
      const row = make("div", { class: `zone-row${i === chosen ? " chosen" : ""}`, role: "group", "aria-label": t("zone", { name: zone.name }) },
        make("div", { class: "pair" }, make("label", { for: name.id }, t("name"), name), make("label", { for: role.id }, t("role"), role)),
        make("div", { class: "row" }, make("span", { class: "note" }, t("corners", { n: zone.corners.length })), remove));
      row.addEventListener("focusin", () => {
        if (chosen === i) return;
        chosen = i;
        show();
        byId("zones").querySelectorAll(".zone-row").forEach((one, j) => one.classList.toggle("chosen", j === i));
      });
      return row;
    }));
  }

  // --- loading and saving --------------------------------------------------------------------------------------

  const asText = (corners) => corners.flat().map(round).join(",");

  /** What has to be written into the file, as PATCH takes it. */
  function changes() {
    if (!lane) return [];
    const base = `lanes.${lane.lane_id}.zones`;
    const found = [];
    const now = new Set(zones.map((zone) => zone.was).filter(Boolean));
    for (const old of lane.zones) {
      const kept = zones.find((zone) => zone.was === old.name);
      if (lane.written && (!now.has(old.name) || kept.name !== old.name)) found.push({ key: `${base}.${old.name}`, value: null });
    }
    for (const zone of zones) {
      const old = lane.written && zone.was === zone.name ? lane.zones.find((one) => one.name === zone.was) : null;
      const polygon = asText(zone.corners);
      if (!old) {
        found.push({ key: `${base}.${zone.name}`, value: { role: zone.role, polygon } });
        continue;
      }
      if (old.role !== zone.role) found.push({ key: `${base}.${zone.name}.role`, value: zone.role });
      if (asText(old.corners) !== polygon) found.push({ key: `${base}.${zone.name}.polygon`, value: polygon });
    }
    // What a lane has by default is not in the file: write it only when something was done to it.
    const same = zones.length === lane.zones.length && zones.every((zone, i) => zone.name === lane.zones[i].name
      && zone.role === lane.zones[i].role && asText(zone.corners) === asText(lane.zones[i].corners));
    return same ? [] : found;
  }

  async function still() {
    byId("still").alt = t("still", { lane: lane.lane_id });
    byId("moment").textContent = "";
    const own = lane;
    const answer = lane.runs ? await send(`/api/v1/lanes/${encodeURIComponent(lane.lane_id)}/snapshot`, { whole: true }) : undefined;
    if (own !== lane) return;
    if (answer && answer.ok) {
      byId("still").src = `data:image/jpeg;base64,${answer.content.jpeg_base64}`;
      byId("still").hidden = false;
      stage.style.aspectRatio = `${answer.content.width} / ${answer.content.height}`;
      byId("moment").textContent = t("moment", { when: time(answer.content.captured_at) });
    } else {
      byId("still").hidden = true;
      byId("moment").textContent = answer ? Desk.refused(answer) : t("no_picture");
    }
  }

  function open(id) {
    lane = lanes.find((one) => one.lane_id === id) || lanes[0];
    zones = copy(lane.zones).map((zone) => ({ ...zone, was: zone.name }));
    chosen = 0;
    past = [];
    history.replaceState(null, "", `#${lane.lane_id}`);
    byId("lane").value = lane.lane_id;
    show();
    showList();
    still();
  }

  async function load(id) {
    const settings = await send(PATH, { whole: true });
    if (settings && settings.ok) {
      etag = settings.etag;
      byId("restart").hidden = !settings.content.restart_needed;
    }
    await Desk.load(byId("loading"), `${PATH}/zones`, (content) => {
      byId("loading").replaceChildren();
      byId("desk").hidden = false;
      lanes = content.lanes;
      byId("lane").replaceChildren(...lanes.map((one) => new Option(one.lane_id, one.lane_id)));
      open(id);
    });
  }

  byId("save").addEventListener("click", () => Desk.busy(byId("save"), async () => {
    const body = { changes: changes(), reason: `zones of ${lane.lane_id}` };
    const answer = await send(PATH, { method: "PATCH", body, headers: { "If-Match": etag }, whole: true });
    if (!answer) return;
    if (!answer.ok) {
      toast(answer.status === 412 ? t("changed_meanwhile") : Desk.refused(answer), "bad");
      return;
    }
    toast(t("saved"), "good");
    await load(lane.lane_id);
  }));
  byId("undo").addEventListener("click", back);
  byId("fresh").addEventListener("click", () => Desk.busy(byId("fresh"), still));
  byId("add").addEventListener("click", () => {
    remember();
    const role = ROLES.find((one) => !zones.some((zone) => zone.role === one)) || "belt";
    const names = new Set(zones.map((zone) => zone.name));
    let name = role;
    for (let i = 2; names.has(name); i += 1) name = `${role}${i}`;
    zones.push({ name, role, was: null, corners: [[0.05, 0.1], [0.22, 0.1], [0.22, 0.9], [0.05, 0.9]] });
    chosen = zones.length - 1;
    show();
    showList();
  });
  byId("lane").addEventListener("change", () => {
    if (changes().length && !confirm(t("leave"))) byId("lane").value = lane.lane_id;
    else open(byId("lane").value);
  });
  function back() {
    const last = past.pop();
    if (!last) return;
    zones = last.zones;
    chosen = last.chosen;
    show();
    showList();
  }
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.closest("input, select")) {
      event.preventDefault();
      back();
    }
  });
  addEventListener("beforeunload", (event) => { if (changes().length) event.preventDefault(); });
  new ResizeObserver(() => {
    size = { width: stage.clientWidth || 16, height: stage.clientHeight || 9 };
    if (lane) show();
  }).observe(stage);

  load(decodeURIComponent(location.hash.slice(1)));
})();
