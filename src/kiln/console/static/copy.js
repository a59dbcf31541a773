// A button to copy what may be run elsewhere. Without it the text is there to be marked.
(() => {
  const add = (within) => {
    for (const box of within.querySelectorAll("pre[data-copy]:not([data-has-button])")) {
      const text = box.textContent;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy quiet";
      button.textContent = box.dataset.copy;
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(text);
          button.textContent = box.dataset.copied;
        } catch {
          // A page that came in the clear from another machine may not: then it is marked, and a key copies it.
          getSelection().selectAllChildren(box.querySelector("code"));
          button.textContent = box.dataset.marked;
        }
        setTimeout(() => { button.textContent = box.dataset.copy; }, 2000);
      });
      box.append(button);
      box.dataset.hasButton = "";
    }
  };
  add(document);
  document.addEventListener("htmx:load", (event) => add(event.detail.elt));
})();
