// Shows how far a sync is, and loads the page again when it is done.
(function () {
  "use strict";
  const box = document.getElementById("sync-progress");
  if (!box) return;
  const phase = document.getElementById("sync-phase");
  const count = document.getElementById("sync-count");
  const bar = document.getElementById("sync-bar");

  async function look() {
    try {
      const answer = await fetch(box.dataset.url, { headers: { Accept: "application/json" } });
      if (answer.redirected) {
        // The session has ended: the page itself leads to the login.
        location.reload();
        return;
      }
      if (answer.ok) {
        const run = await answer.json();
        if (!run.open) {
          location.replace(location.pathname);
          return;
        }
        phase.textContent = run.phase || "starting";
        count.textContent = run.total ? run.done + " of " + run.total : run.done ? String(run.done) : "";
        if (run.total) {
          bar.max = run.total;
          bar.value = run.done;
        } else {
          bar.removeAttribute("value");
        }
      }
    } catch (error) {
      phase.textContent = "the server does not answer; trying again";
    }
    setTimeout(look, 500);
  }
  look();
})();
