// Fetches the changing part of the live queue every two seconds, while the page is seen and nobody is at work in it.
(function () {
  "use strict";
  const part = document.getElementById("queue");
  if (!part) return;
  const live = document.getElementById("queue-live");
  const trouble = document.getElementById("queue-trouble");

  async function look() {
    // What has the keyboard's focus must not vanish under the hand.
    if (live.checked && !document.hidden && !part.contains(document.activeElement)) {
      try {
        const answer = await fetch(part.dataset.url);
        if (answer.redirected || answer.status === 403) {
          // The session has ended: the page itself leads to the login.
          location.reload();
          return;
        }
        if (answer.ok) {
          const text = await answer.text();
          if (!part.contains(document.activeElement)) part.innerHTML = text;
          trouble.textContent = "";
        }
      } catch (error) {
        trouble.textContent = "The server does not answer; trying again.";
      }
    }
    setTimeout(look, 2000);
  }
  setTimeout(look, 2000);
})();
