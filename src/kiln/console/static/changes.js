// Shows again what has changed, when the console says so (/console/changes). Without it a page is as it was loaded.
(() => {
  "use strict";
  const PAUSE_MS = 200; // Something that changes all the time is not shown more often.
  const shown = () => document.querySelectorAll("[data-follows]");
  let source = null;

  const last = new WeakMap();
  const refresh = (element) => {
    const wait = (last.get(element) ?? -PAUSE_MS) + PAUSE_MS - performance.now();
    if (wait > 0) {
      if (!element.dataset.due) setTimeout(() => element.isConnected && refresh(element), wait);
      element.dataset.due = "1";
      return;
    }
    delete element.dataset.due;
    last.set(element, performance.now());
    htmx.trigger(element, "kiln:changed");
  };
  const tell = ({ type, data }) => {
    const { noun, id } = JSON.parse(data);
    for (const element of shown()) {
      const about = element.dataset.follows;
      if (type !== "changed" || about === "*" || about === noun || about === id) refresh(element);
    }
  };

  // A browser has six connections to a server, for all its windows: those that nobody sees hold none.
  const look = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source && shown().length) {
      source = new EventSource("/console/changes");
      source.addEventListener("listening", tell); // What changed since the page was made was told to nobody.
      source.addEventListener("changed", tell);
      source.addEventListener("missed", tell);
    }
  };
  let wasHidden = false;
  addEventListener("visibilitychange", () => {
    look();
    if (wasHidden && !document.hidden) shown().forEach(refresh);
    wasHidden = document.hidden;
  });
  addEventListener("pagehide", () => source?.close());
  look();

  // Who stands on a link with the keyboard stands on it still when its row is another's text.
  let stood = null;
  addEventListener("htmx:beforeSwap", ({ detail }) => {
    const active = document.activeElement;
    const isShownAgain = [detail.target, document.getElementById("now")].some((one) => one?.contains(active));
    stood = isShownAgain ? active.getAttribute("href") : null;
  });
  addEventListener("htmx:afterSettle", () => {
    if (stood) document.querySelector(`a[href="${CSS.escape(stood)}"]`)?.focus();
    stood = null;
  });
})();
