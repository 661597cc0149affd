// The list of bills by keyboard.
"use strict";

(() => {
  const links = [...document.querySelectorAll("#bills tbody a")];
  const rows = links.map((link) => link.closest("tr"));
  rows.forEach((row, i) => row.addEventListener("click", (event) => {
    if (!event.target.closest("a") && !String(getSelection())) links[i].click();
  }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const step = { j: 1, k: -1 }[event.key];
    if (step && links.length) {
      const now = links.indexOf(document.activeElement);
      links[Math.min(Math.max(now + step, 0), links.length - 1)].focus();
    }
    if (event.key === "/") {
      event.preventDefault();
      document.querySelector(".filter details").open = true;
      document.getElementById("lane").focus();
    }
  });
})();
