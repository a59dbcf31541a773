// Sends a disk file in parts, by URLs that the console gives, and goes on where it stopped.
(() => {
  "use strict";
  const TRIES = 5, AT_ONCE = 2, PAUSE_MS = 500;
  const drop = document.getElementById("files-drop");
  if (!drop) return;
  const choose = document.getElementById("files-choose");
  const bar = document.getElementById("files-progress");
  const said = document.getElementById("files-said");
  const stop = document.getElementById("files-stop");
  const texts = drop.dataset;
  let going = null; // What stops the one that is being sent.

  const ask = async (what, given) => {
    const body = new URLSearchParams({ form_token: texts.token, ...given });
    const answer = await fetch(`${texts.at}/${what}`, { method: "POST", body, redirect: "manual" });
    const told = await answer.json();
    if (told.why) throw new Error(told.why);
    return told;
  };
  const put = (path, piece, signal, show) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // fetch tells nothing of what has been sent.
      const end = () => request.abort();
      request.open("PUT", path);
      request.upload.onprogress = ({ loaded }) => show(loaded);
      request.onload = () => (request.status < 300 ? resolve() : reject(new Error(`HTTP ${request.status}`)));
      request.onerror = () => reject(new Error("network"));
      request.onabort = () => reject(new DOMException("", "AbortError"));
      request.onloadend = () => signal.removeEventListener("abort", end);
      signal.addEventListener("abort", end);
      request.send(piece);
    });

  // A file is known again by what a browser tells of it.
  const keyOf = (file) => `kiln-upload:${file.name}:${file.size}:${file.lastModified}`;
  const beginOrFind = async (file) => {
    const kept = JSON.parse(localStorage.getItem(keyOf(file)) || "null");
    if (kept) {
      try {
        const { parts } = await ask("find", { object: kept.object, upload: kept.upload });
        return { ...kept, parts };
      } catch {
        localStorage.removeItem(keyOf(file)); // It is over, or another account's.
      }
    }
    const begun = await ask("begin", { name: file.name, size: file.size });
    localStorage.setItem(keyOf(file), JSON.stringify(begun));
    return { ...begun, parts: {} };
  };

  const sendPart = async (number, it, signal) => {
    const start = (number - 1) * it.part;
    const piece = it.file.slice(start, start + it.part);
    for (let left = TRIES; ; left--) {
      try {
        if (!it.paths[number]) Object.assign(it.paths, (await ask("sign", { ...it.whose, first: number })).paths);
        await put(it.paths[number], piece, signal, (sent) => it.show(number, sent));
        it.show(number, piece.size);
        return;
      } catch (error) {
        it.show(number, 0);
        if (error.name === "AbortError" || left <= 1) throw error;
        delete it.paths[number]; // Its hour may be over.
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (TRIES - left + 1)));
      }
    }
  };

  const send = async (file, signal) => {
    const begun = await beginOrFind(file);
    const count = Math.ceil(file.size / begun.part), sent = {};
    const whose = { object: begun.object, upload: begun.upload };
    const lengthOf = (number) => Math.min(begun.part, file.size - (number - 1) * begun.part);
    const due = [];
    for (let number = 1; number <= count; number++) {
      if (begun.parts[number] === lengthOf(number)) sent[number] = lengthOf(number);
      else due.push(number);
    }
    const word = due.length < count ? texts.resumed : texts.sending;
    const show = (number, bytes) => {
      sent[number] = bytes;
      const percent = Math.floor((Object.values(sent).reduce((a, b) => a + b, 0) * 100) / file.size);
      if (bar.value === percent && said.textContent) return;
      bar.value = percent;
      said.textContent = `${word}: ${file.name}, ${percent} %`;
    };
    show(0, 0);
    const it = { file, whose, part: begun.part, paths: {}, show };
    const lane = async () => {
      while (due.length) await sendPart(due.shift(), it, signal);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    const { next } = await ask("complete", whose);
    localStorage.removeItem(keyOf(file));
    location.assign(texts.root + next);
  };

  const take = async (file) => {
    if (!file || going) return;
    if (!file.size) {
      said.textContent = texts.empty;
      return;
    }
    going = new AbortController();
    bar.hidden = stop.hidden = false;
    choose.disabled = true;
    try {
      await send(file, going.signal);
    } catch (error) {
      going.abort();
      said.textContent = `${texts.broke} ${error.message} ${texts.again}`;
    } finally {
      going = null;
      stop.hidden = true;
      choose.disabled = false;
      choose.value = "";
    }
  };

  choose.addEventListener("change", () => take(choose.files[0]));
  stop.addEventListener("click", () => going?.abort());
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  addEventListener("beforeunload", (event) => going && event.preventDefault());
})();
