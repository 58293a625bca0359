
"use strict";
(function () {
  const root = document.getElementById("unknot-flamegraph");
  const detail = document.getElementById("detail");
  const top = Number(root.dataset.top), row = Number(root.dataset.row), rows = Number(root.dataset.rows);
  const frames = Array.from(document.querySelectorAll("#frames > .f"), (element) => ({
    element,
    left: parseFloat(element.getAttribute("x")),
    width: parseFloat(element.getAttribute("width")),
    row: Math.round((Number(element.getAttribute("y")) - top) / row),
    title: element.firstElementChild.textContent,
    label: element.firstElementChild.textContent.split("\n")[0],
    parent: null,
  }));
  const of = new Map(frames.map((frame) => [frame.element, frame]));
  // Frames are in the order of a walk, so that the one above is the last one seen in the row before.
  const last = [];
  for (const frame of frames) {
    frame.parent = frame.row > 0 ? last[frame.row - 1] : null;
    last[frame.row] = frame;
    frame.element.setAttribute("tabindex", frame.row === 0 ? "0" : "-1");
    frame.element.setAttribute("role", "button");
    frame.element.setAttribute("aria-label", frame.title.replace(/\n/g, ", "));
  }
  let zoomed = frames[0], upside = false, hits = new Set(), query = "";

  function isUnder(frame, ancestor) {
    return frame.row >= ancestor.row && frame.left >= ancestor.left - 1e-6 &&
      frame.left + frame.width <= ancestor.left + ancestor.width + 1e-3;
  }

  function zoom(target) {
    zoomed = target;
    const above = new Set();
    for (let frame = target.parent; frame; frame = frame.parent) above.add(frame);
    const factor = 100 / target.width;
    for (const frame of frames) {
      const { element } = frame;
      const shown = above.has(frame) || isUnder(frame, target);
      element.style.display = shown ? "" : "none";
      element.classList.toggle("above", above.has(frame));
      if (!shown) continue;
      const left = above.has(frame) ? 0 : (frame.left - target.left) * factor;
      const width = above.has(frame) ? 100 : frame.width * factor;
      element.setAttribute("x", left.toFixed(4) + "%");
      element.setAttribute("width", width.toFixed(4) + "%");
      element.classList.toggle("n", width < 0.3);
      if (width > 0.6 && element.childElementCount < 3) {
        const text = document.createElementNS(root.namespaceURI, "text");
        text.setAttribute("x", "4");
        text.setAttribute("y", "13");
        text.textContent = frame.label;
        element.append(text);
      }
    }
    reset.hidden = target === frames[0];
    describe(target);
  }

  function describe(frame) {
    detail.textContent = frame ? frame.title.split("\n").join("  ·  ") : matched();
  }

  // The share of all that is in frames that match: of nested ones the outer one counts.
  function matched() {
    if (!query) return " ";
    let share = 0, end = -1;
    for (const frame of frames.filter((f) => hits.has(f)).sort((a, b) => a.left - b.left || b.width - a.width)) {
      if (frame.left + frame.width <= end + 1e-6) continue;
      share += frame.width;
      end = frame.left + frame.width;
    }
    return hits.size ? `“${query}” matches ${hits.size} frames with ${share.toFixed(1)} % of all` : `“${query}” matches nothing`;
  }

  function search(text) {
    query = text.trim();
    const low = query.toLowerCase();
    hits = new Set(query ? frames.filter((frame) => frame.row > 0 && frame.title.toLowerCase().includes(low)) : []);
    for (const frame of frames) frame.element.classList.toggle("hit", hits.has(frame));
    document.getElementById("frames").classList.toggle("miss", hits.size > 0);
    describe(null);
  }

  function flip() {
    upside = !upside;
    for (const frame of frames) frame.element.setAttribute("y", top + row * (upside ? rows - 1 - frame.row : frame.row));
    turn.setAttribute("aria-pressed", String(upside));
  }

  const html = "http://www.w3.org/1999/xhtml";
  function make(tag, attributes, text) {
    const element = document.createElementNS(html, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    return element;
  }
  const box = document.createElementNS(root.namespaceURI, "foreignObject");
  const reset = make("button", { title: "Escape" }, "Reset zoom");
  const turn = make("button", { "aria-pressed": "false", title: "Root at the bottom (i)" }, "Upside down");
  const input = make("input", { type: "search", placeholder: "Search ( / )", "aria-label": "Search functions and files" });
  const bar = make("div", {});
  bar.append(reset, turn, input);
  box.append(bar);
  root.append(box);
  function layout() {
    const width = root.clientWidth || innerWidth;
    box.setAttribute("x", Math.max(0, width - 470));
    box.setAttribute("y", 8);
    box.setAttribute("width", Math.min(460, width));
    box.setAttribute("height", 30);
    // The title ends where the buttons begin.
    document.getElementById("head").setAttribute("width", Math.max(100, width - 480));
  }
  layout();
  addEventListener("resize", layout);

  const frameAt = (event) => of.get(event.target.closest && event.target.closest(".f"));
  root.addEventListener("click", (event) => { const frame = frameAt(event); if (frame) { zoom(frame); frame.element.focus({ preventScroll: true }); } });
  root.addEventListener("mouseover", (event) => { const frame = frameAt(event); if (frame) describe(frame); });
  root.addEventListener("mouseout", () => describe(null));
  root.addEventListener("focusin", (event) => { const frame = frameAt(event); if (frame) describe(frame); });
  reset.addEventListener("click", () => zoom(frames[0]));
  turn.addEventListener("click", flip);
  input.addEventListener("input", () => search(input.value));

  const visible = (frame) => frame && frame.element.style.display !== "none";
  function step(frame, key) {
    const down = upside ? "ArrowUp" : "ArrowDown", up = upside ? "ArrowDown" : "ArrowUp";
    if (key === up) return frame.parent;
    if (key === down) return frames.find((other) => other.parent === frame && visible(other));
    const siblings = frames.filter((other) => other.parent === frame.parent && visible(other));
    return siblings[siblings.indexOf(frame) + (key === "ArrowRight" ? 1 : -1)];
  }
  addEventListener("keydown", (event) => {
    if (event.target === input) {
      if (event.key === "Escape") { input.value = ""; search(""); input.blur(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const frame = frameAt(event) || zoomed;
    if (event.key.startsWith("Arrow") && of.get(document.activeElement)) {
      const next = step(frame, event.key);
      if (next) next.element.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      if (!of.get(document.activeElement)) return;
      zoom(frame);
    } else if (event.key === "Escape") zoom(frames[0]);
    else if (event.key === "/") input.focus();
    else if (event.key === "i") flip();
    else return;
    event.preventDefault();
  });
  zoom(frames[0]);
  describe(null);
})();
