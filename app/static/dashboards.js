// Shows a dashboard when Superset answers, and says so when it does not. The page never waits for it.
"use strict";

(function () {
  const section = document.getElementById("dashboards");
  const notice = section.querySelector(".notice");
  const frame = section.querySelector(".frame");
  const AGAIN_MS = 5000;
  let shown = false;

  async function fetchPass() {
    const answer = await fetch(section.dataset.pass, { method: "POST", headers: token() });
    const body = await answer.json();
    if (!answer.ok) {
      tell(body.detail || "No pass for the dashboards.");
      throw new Error(body.detail);
    }
    return body.token;
  }

  // Where the pages have log-in, changing requests carry a token against forgery.
  function token() {
    const meta = document.querySelector('meta[name="csrf-token"]');
    return meta ? { "X-CSRFToken": meta.content } : {};
  }

  function tell(text) {
    notice.textContent = text;
    notice.hidden = false;
    frame.hidden = true;
  }

  async function embed() {
    shown = true;
    frame.replaceChildren();
    await supersetEmbeddedSdk.embedDashboard({
      id: section.dataset.embed,
      supersetDomain: section.dataset.superset,
      mountPoint: frame,
      fetchGuestToken: fetchPass,
      dashboardUiConfig: { hideTitle: true, filters: { expanded: false } },
      iframeTitle: "Dashboard",
      referrerPolicy: "strict-origin-when-cross-origin",
    });
    notice.hidden = true;
    frame.hidden = false;
  }

  async function look() {
    let up = false;
    try {
      up = (await (await fetch(section.dataset.state)).json()).up;
    } catch {
      tell("This appliance does not answer. Trying again…");
    }
    if (up && !shown) {
      await embed().catch(() => { shown = false; });
    } else if (!up) {
      shown = false;
      tell("The dashboards do not answer. Lanes and bills go on; this page tries again by itself.");
    }
    setTimeout(look, AGAIN_MS);
  }

  look();
})();
