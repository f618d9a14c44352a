// Keeps what is on screen current: one WebSocket says which topics changed, the visible fragments
// that show them fetch themselves again. Without the socket they are polled, and a badge says so.
(() => {
  "use strict";
  const COALESCE_MS = 1000, POLL_MS = 5000, SAFETY_POLL_MS = 30000, MAX_RETRY_MS = 15000, SIGNED_OUT = 4401;
  const badge = document.getElementById("live-badge");
  const fetched = new WeakMap();  // fragment -> when it was last asked for
  const dirty = new Set();
  let socket = null, isLive = false, retryMs = 500, retryTimer = 0, watched = "";
  let isPaused = sessionStorage.getItem("live-paused") === "yes";

  const fragments = () => [...document.querySelectorAll("[data-live]")];
  const topicsOf = (element) => element.dataset.live.split(" ").filter(Boolean);

  // --- which fragments need fetching, and when ---------------------------------------------------
  function mark(topic) {
    for (const element of fragments()) {
      if (topic === "*" || topicsOf(element).includes(topic)) dirty.add(element);
    }
    flush();
  }

  let flushTimer = 0;
  function flush() {
    if (document.hidden || isPaused) return;
    const now = performance.now();
    let soonest = Infinity;
    for (const element of dirty) {
      if (!element.isConnected || !element.hasAttribute("data-live")) { dirty.delete(element); continue; }
      const due = (fetched.get(element) ?? -Infinity) + COALESCE_MS;
      if (due > now) { soonest = Math.min(soonest, due - now); continue; }
      if (isHeld(element)) { offer(element); continue; }
      dirty.delete(element);
      fetched.set(element, now);
      htmx.trigger(element, "live");
    }
    if (soonest < Infinity && !flushTimer) {
      flushTimer = setTimeout(() => { flushTimer = 0; flush(); }, soonest + 5);
    }
  }

  // Nothing may jump under a reader: a list scrolled down or with selected text waits for a click.
  function isHeld(element) {
    if (!element.hasAttribute("data-live-hold")) return false;
    const selection = getSelection();
    const isSelecting = selection && !selection.isCollapsed && element.contains(selection.anchorNode);
    return window.scrollY > 300 || isSelecting;
  }

  function offer(element) {
    if (document.getElementById("live-offer")) return;
    const bar = document.createElement("div");
    bar.className = "pending-bar";
    bar.id = "live-offer";
    const button = document.createElement("button");
    button.className = "button primary";
    button.textContent = "Something changed – show";
    button.addEventListener("click", () => {
      getSelection()?.removeAllRanges();
      scrollTo({ top: 0 });
      bar.remove();
      flush();
    });
    bar.append(button);
    element.before(bar);
  }
  addEventListener("scroll", () => {
    if (dirty.size && scrollY <= 300) { document.getElementById("live-offer")?.remove(); flush(); }
  }, { passive: true });

  // --- the socket ----------------------------------------------------------------------------------
  function connect() {
    retryTimer = 0;
    const url = document.body.dataset.liveUrl;
    if (!url || !fragments().length || document.hidden) return;
    const opened = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${url}`);
    socket = opened;
    opened.addEventListener("open", () => { watched = ""; watch(); });
    opened.addEventListener("message", (event) => receive(JSON.parse(event.data)));
    opened.addEventListener("close", (event) => {
      if (socket !== opened) return;
      socket = null;
      setLive(false);
      if (event.code === SIGNED_OUT) mark("*");  // the answers lead to the sign-in page
      if (!fragments().length || document.hidden) return;
      retryTimer = setTimeout(connect, retryMs * (0.7 + Math.random() * 0.6));
      retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
    });
  }

  function receive(message) {
    if (message.state === "live") { retryMs = 500; setLive(true); }
    else if (message.state === "stale") setLive(false);
    else if (message.topic) mark(message.topic);
  }

  function watch() {
    const topics = [...new Set(fragments().flatMap(topicsOf))].sort();
    if (!topics.length) { hangUp(); return; }
    if (!socket && !retryTimer) { connect(); return; }
    const message = JSON.stringify({ watch: topics });
    if (socket?.readyState === WebSocket.OPEN && message !== watched) { watched = message; socket.send(message); }
    showBadge();
  }

  function hangUp() {
    clearTimeout(retryTimer);
    retryTimer = 0;
    const open = socket;
    socket = null;
    open?.close();
    isLive = false;
    showBadge();
  }

  function setLive(value) {
    const wasDeaf = value && !isLive;
    isLive = value;
    showBadge();
    // What changed since the page was made, or while the socket was down, nobody told us.
    if (wasDeaf) mark("*");
  }

  function showBadge() {
    if (!badge) return;
    badge.hidden = !fragments().length;
    badge.dataset.state = isPaused ? "off" : isLive ? "live" : "polling";
    const text = isPaused ? "Updates paused" : isLive ? "Live" : "Connecting, checking every 5 s";
    if (badge.textContent !== text) badge.textContent = text;
    badge.setAttribute("aria-pressed", String(isPaused));
  }

  badge?.addEventListener("click", () => {
    isPaused = !isPaused;
    sessionStorage.setItem("live-paused", isPaused ? "yes" : "no");
    showBadge();
    if (!isPaused) mark("*");
  });

  setInterval(() => {
    if (document.hidden || isPaused) return;
    const now = performance.now();
    for (const element of fragments()) {
      if (!fetched.has(element)) fetched.set(element, now);
      const every = Number(element.dataset.liveEvery ?? 0) * 1000 || SAFETY_POLL_MS;
      if (now - fetched.get(element) >= (isLive ? every : Math.min(every, POLL_MS)) - 50) dirty.add(element);
    }
    if (dirty.size) flush();
  }, 1000);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (!socket && !retryTimer) watch();
    flush();
  });

  // --- times ---------------------------------------------------------------------------------------
  function ageOf(seconds) {
    if (seconds < -5) return `in ${lengthOf(-seconds)}`;
    if (seconds < 5) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} m ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} d ago`;
  }
  function lengthOf(seconds) {
    if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${String(Math.floor(seconds % 3600 / 60)).padStart(2, "0")} m`;
    return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds % 86400 / 3600)} h`;
  }
  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }
  function tick() {
    const now = Date.now();
    for (const element of document.querySelectorAll("time[data-age]")) {
      setText(element, ageOf((now - Date.parse(element.dateTime)) / 1000));
    }
    for (const element of document.querySelectorAll("time[data-since]")) {
      setText(element, lengthOf((now - Date.parse(element.dateTime)) / 1000));
    }
  }
  setInterval(() => { if (!document.hidden) tick(); }, 1000);

  // --- small comforts; every one of them has a way without script ------------------------------------
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.querySelector(button.dataset.copy);
    const text = source.value ?? source.textContent;
    if (navigator.clipboard) await navigator.clipboard.writeText(text).catch(() => select(source));
    else select(source);
    const label = button.querySelector("span") ?? button;
    label.textContent = "Copied";
  });
  function select(source) {  // plain HTTP has no clipboard API
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
    document.execCommand("copy");
  }
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-submit-on-change]");
    if (form && event.target.tagName === "SELECT") form.requestSubmit();
  });
  // A confirmation goes with its answer, and empty filters stay out of the URL.
  document.addEventListener("submit", (event) => {
    event.target.closest("[popover]")?.hidePopover();  // asked and answered; a swap would keep it open
    if (event.target.method !== "get") return;
    for (const field of event.target.querySelectorAll("input[name], select[name]")) {
      if (field.value === "") field.disabled = true;
    }
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  });
  addEventListener("pageshow", () => {  // a page from the back-forward cache has its filters off
    for (const field of document.querySelectorAll("form[method=get] :disabled")) field.disabled = false;
  });

  document.addEventListener("htmx:after:swap", () => { tick(); watch(); });
  tick();
  watch();
  showBadge();
})();
