// Shows a dashboard when Superset answers, and says so when it does not. The page never waits for it.
"use strict";

(() => {
  const section = document.getElementById("dashboards");
  const waiting = document.getElementById("waiting");
  const frame = document.getElementById("frame");
  const AGAIN_MS = 5000;
  let shown = false;

  function tell(word) {
    shown = false;
    frame.replaceChildren();
    document.getElementById("notice").textContent = Traylane.t(word);
    waiting.hidden = false;
    frame.hidden = true;
  }

  /** A pass of some minutes; the SDK asks for the next one before it ends. */
  async function fetchPass() {
    const pass = await Traylane.send(section.dataset.pass, { method: "POST" });
    if (!pass) throw new Error("no pass");
    return pass.token;
  }

  async function embed() {
    shown = true;
    document.getElementById("notice").textContent = Traylane.t("starting");
    frame.replaceChildren();
    frame.hidden = false;
    try {
      await supersetEmbeddedSdk.embedDashboard({
        id: section.dataset.embed,
        supersetDomain: section.dataset.superset,
        mountPoint: frame,
        fetchGuestToken: fetchPass,
        dashboardUiConfig: { hideTitle: true, filters: { expanded: false } },
        iframeTitle: document.title,
        referrerPolicy: "strict-origin-when-cross-origin",
      });
      waiting.hidden = true;
    } catch {
      tell("no_pass");
    }
  }

  async function isUp() {
    try {
      const answer = await fetch(section.dataset.state, {
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(10_000),
      });
      if (answer.status === 401) await Traylane.send(section.dataset.state); // leads to the log-in
      if (!answer.ok) return false;
      Traylane.online(true);
      return (await answer.json()).up;
    } catch {
      Traylane.online(false);
      return shown; // what is shown stays: it is this appliance that does not answer, not Superset
    }
  }

  async function look() {
    const up = await isUp();
    if (up && !shown) await embed();
    else if (!up) tell("away");
    setTimeout(look, AGAIN_MS);
  }

  look();
})();
