// The serial console of an instance in xterm.js, by Session Manager's messages over a WebSocket: docs/howto/terminal.md.
(() => {
  "use strict";
  const INPUT = 0, OUTPUT = 1, CLOSE = 3, STATUS = 5, CLOSED = 5;
  const HEAD = 8; // Bytes before the two IDs: the type and the version.
  const HERE_MS = 60000; // A session of which nothing comes for three minutes ends.

  const place = document.getElementById("terminal");
  const said = document.getElementById("terminal-said");
  const join = document.getElementById("terminal-join");
  const leave = document.getElementById("terminal-leave");
  const size = document.getElementById("terminal-size");
  const texts = place.dataset;

  // xterm.js puts its colours into style elements and attributes, which the page's policy refuses as it would those of
  // an attacker. Given as objects they are no mark-up, and are refused to no script that runs already.
  const createElement = document.createElement.bind(document);
  document.createElement = (kind, options) => {
    if (kind !== "style") return createElement(kind, options);
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    const element = createElement("template");
    let text = "";
    Object.defineProperty(element, "textContent", {
      get: () => text,
      set: (value) => sheet.replaceSync((text = value)),
    });
    return element;
  };
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };

  const terminal = new Terminal({
    cursorBlink: true,
    fontFamily: 'ui-monospace, "DejaVu Sans Mono", monospace',
    linkHandler: { activate() {} }, // What a guest prints leads nowhere.
    screenReaderMode: true,
    scrollback: 10000,
  });
  const fit = new FitAddon.FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);

  let socket = null, number = 0, beat = 0;

  const pack = (kind, payload) => {
    const bytes = new Uint8Array(HEAD + 2 + 20 + payload.length), view = new DataView(bytes.buffer);
    view.setUint32(0, kind, true);
    bytes.set([0x31, 0x2e, 0x30, 0x31], 4); // "1.01", and then two IDs of no length.
    view.setBigUint64(HEAD + 2, BigInt(Date.now()), true);
    view.setBigInt64(HEAD + 10, BigInt(number++), true);
    view.setUint32(HEAD + 18, payload.length, true);
    bytes.set(payload, HEAD + 22);
    return bytes;
  };
  const unpack = (buffer) => {
    const view = new DataView(buffer);
    let at = HEAD;
    at += 1 + view.getUint8(at);
    at += 1 + view.getUint8(at);
    return [view.getUint32(0, true), new Uint8Array(buffer, at + 20)];
  };
  const send = (kind, payload = new Uint8Array()) => {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(pack(kind, payload));
  };
  const say = (text, state) => {
    said.textContent = text;
    place.dataset.state = state;
    join.hidden = state !== "ended";
    leave.hidden = state !== "joined";
  };
  const measure = () => {
    fit.fit();
    size.textContent = `stty rows ${terminal.rows} cols ${terminal.cols}`;
  };

  const open = async () => {
    say(texts.joining, "joining");
    let reason = texts.broken;
    try {
      const answer = await fetch(texts.start, {
        method: "POST",
        body: new URLSearchParams({ form_token: texts.token }),
        redirect: "manual",
      });
      if (!(answer.headers.get("content-type") || "").startsWith("application/json")) throw new Error(texts.refused);
      const told = await answer.json();
      if (!told.path) throw new Error(told.why);
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      socket = new WebSocket(`${scheme}://${location.host}${told.path}`);
    } catch (error) {
      say(error.message, "ended");
      join.focus();
      return;
    }
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      say(texts.joined, "joined");
      terminal.reset();
      terminal.focus();
      beat = setInterval(() => send(INPUT), HERE_MS);
    };
    socket.onmessage = ({ data }) => {
      const [kind, payload] = unpack(data);
      if (kind === OUTPUT) terminal.write(payload);
      if (kind === STATUS && payload[0] === CLOSED)
        reason = `${texts.ended} ${new TextDecoder().decode(payload.subarray(1)).replace(/^Exit: /, "")}`;
    };
    socket.onclose = () => {
      clearInterval(beat);
      socket = null;
      say(reason, "ended");
      join.focus();
    };
  };

  terminal.onData((text) => send(INPUT, new TextEncoder().encode(text)));
  terminal.onBinary((text) => send(INPUT, Uint8Array.from(text, (one) => one.charCodeAt(0))));
  // A terminal takes every key there is, Tab too: one key leads out of it, the same as of `kiln instance console`.
  terminal.attachCustomKeyEventHandler((event) => {
    if (!(event.ctrlKey && event.key === "]")) return true;
    if (event.type === "keydown") (leave.hidden ? join : leave).focus();
    return false;
  });
  join.addEventListener("click", open);
  leave.addEventListener("click", () => {
    send(CLOSE, new Uint8Array([0x31]));
    if (socket) socket.close();
  });
  addEventListener("pagehide", () => send(CLOSE, new Uint8Array([0x31])));
  new ResizeObserver(measure).observe(place);
  measure();
  open();
})();
