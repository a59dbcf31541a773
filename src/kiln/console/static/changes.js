// Shows again what has changed, when the console says so (/console/changes). Without it a page is as it was loaded.
(() => {
  "use strict";
  const PAUSE_MS = 200; // Something that changes all the time is not shown more often.
  const shown = () => document.querySelectorAll("[data-follows]");
  let source = null;

  // By ID, since what is shown again is another element: one that waited for its time, or for an answer that was on its
  // way, is not there any more when that comes, and what changed meanwhile would be shown to nobody.
  const states = new Map();
  const stateOf = ({ id }) => states.get(id) ?? states.set(id, { at: -PAUSE_MS }).get(id);
  const refresh = (element) => {
    const state = stateOf(element);
    const wait = state.at + PAUSE_MS - performance.now();
    if (state.isAsking) {
      state.isDue = true;
    } else if (wait > 0) {
      state.timer ??= setTimeout(() => again(element.id), wait);
    } else {
      state.at = performance.now();
      htmx.trigger(element, "kiln:changed");
    }
  };
  const again = (id) => {
    const element = document.getElementById(id);
    states.get(id).timer = undefined;
    if (element) refresh(element);
  };
  addEventListener("htmx:beforeRequest", ({ detail: { requestConfig } }) => {
    if (requestConfig.elt.dataset.follows) stateOf(requestConfig.elt).isAsking = true;
  });
  addEventListener("htmx:afterRequest", ({ detail: { requestConfig } }) => {
    const state = states.get(requestConfig.elt.id);
    if (!state) return;
    const { isDue } = state;
    state.isAsking = state.isDue = false;
    if (isDue) again(requestConfig.elt.id);
  });

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

  // Who stands somewhere with the keyboard stands there still when its row is another's text. The two happen in one turn
  // of the browser's, and no key comes between them. What has an ID htmx goes back to by itself.
  const KINDS = "a[href], button, summary, [tabindex]";
  const nameOf = (one) => [
    one.localName,
    one.getAttribute("href") ?? one.getAttribute("aria-label") ?? one.textContent,
    one.form?.getAttribute("action") ?? "",
  ].join(" ");
  let stood = null;
  addEventListener("htmx:beforeSwap", ({ detail }) => {
    const active = document.activeElement;
    const isShownAgain = [detail.target, document.getElementById("now")].some((one) => one?.contains(active));
    stood = isShownAgain && active.matches(KINDS) ? nameOf(active) : null;
  });
  addEventListener("htmx:afterSwap", () => {
    if (stood && document.activeElement === document.body) {
      const found = [...document.querySelectorAll(KINDS)].find((one) => nameOf(one) === stood);
      found?.focus({ preventScroll: true });
    }
    stood = null;
  });
})();
