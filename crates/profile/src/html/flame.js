
// The flame graph on a canvas: only what can be seen is drawn, so that any number of nodes is as fast.

const ROW = 20;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function fitCanvas(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// `text`, cut off so that it fits.
function drawName(context, text, x, y, room) {
  if (room < 18) return;
  const most = Math.ceil(room / 3.4);
  let shown = text.length > most ? text.slice(0, most) : text;
  if (context.measureText(shown).width > room) {
    let low = 0, high = shown.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(`${shown.slice(0, middle)}…`).width <= room) low = middle;
      else high = middle - 1;
    }
    if (low < 2) return;
    shown = `${shown.slice(0, low)}…`;
  }
  context.fillText(shown, x, y);
}

class FlameView {
  // `on` has select(node), hover(node, event).
  constructor(panel, on) {
    this.scroller = panel.querySelector(".scroller");
    this.spacer = panel.querySelector(".spacer");
    this.canvas = panel.querySelector("canvas");
    this.on = on;
    this.tree = null;
    this.window = [0, 1];
    this.zoomed = 0;
    this.selected = 0;
    this.hovered = -1;
    this.hits = null;
    this.drawn = [];
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("mouseleave", () => this.hover(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("focus", () => this.draw());
    this.canvas.addEventListener("blur", () => this.draw());
    this.scroller.addEventListener("scroll", () => this.draw());
  }

  show(tree, compared) {
    this.tree = tree;
    this.compared = compared;
    this.window = [0, 1];
    this.zoomed = 0;
    this.selected = 0;
    this.hovered = -1;
    this.spacer.style.height = `${(tree.depthMax + 1) * ROW + 12}px`;
    this.draw();
  }

  zoom(node) {
    const { tree } = this;
    this.zoomed = node;
    const from = this.window, to = [tree.left[node], tree.left[node] + tree.width[node]];
    const begin = performance.now(), length = calm.matches ? 0 : 160;
    const step = () => {
      const part = length ? Math.min(1, (performance.now() - begin) / length) : 1;
      const eased = 1 - (1 - part) ** 3;
      this.window = [from[0] + (to[0] - from[0]) * eased, from[1] + (to[1] - from[1]) * eased];
      this.draw();
      if (part < 1 && this.zoomed === node) requestAnimationFrame(step);
    };
    step();
  }

  select(node, reveal) {
    this.selected = node;
    if (reveal) {
      const y = this.tree.depth[node] * ROW;
      if (y < this.scroller.scrollTop) this.scroller.scrollTop = y;
      else if (y + ROW > this.scroller.scrollTop + this.scroller.clientHeight) this.scroller.scrollTop = y + ROW - this.scroller.clientHeight;
    }
    this.draw();
    this.on.select(node);
  }

  draw() {
    const { tree, scroller } = this;
    const width = scroller.clientWidth, height = scroller.clientHeight;
    if (!tree || width === 0 || height === 0) return;
    const context = fitCanvas(this.canvas, width, height);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";
    context.textBaseline = "middle";
    const [from, to] = this.window, scale = width / (to - from || 1);
    const top = scroller.scrollTop;
    const letters = "#1d1a14", edge = ink("--edge"), filler = ink("--filler"), faint = ink("--faint");
    this.drawn = [];
    const todo = [0];
    while (todo.length) {
      const node = todo.pop();
      const left = Math.max(0, (tree.left[node] - from) * scale);
      const right = Math.min(width, (tree.left[node] + tree.width[node] - from) * scale);
      const y = tree.depth[node] * ROW - top;
      if (right - left < 0.4 || y > height) continue;
      let narrow = null;
      for (const child of tree.children[node]) {
        const at = (tree.left[child] - from) * scale, until = at + tree.width[child] * scale;
        if (until - at >= 0.4) todo.push(child);
        else if (narrow && at <= narrow[1] + 0.01) narrow[1] = until;
        else narrow = [at, until];
      }
      // What is too narrow for a frame of its own is shown as something that is there.
      if (narrow && narrow[1] - narrow[0] >= 0.4 && narrow[1] > 0 && narrow[0] < width) {
        context.fillStyle = filler;
        context.fillRect(Math.max(0, narrow[0]), y + ROW, Math.min(width, narrow[1]) - Math.max(0, narrow[0]), ROW - 1);
      }
      if (y + ROW < 0) continue;
      this.drawn.push([node, left, right, y]);
      const entry = tree.entry(node);
      const missed = this.hits && !this.hits.has(node);
      const above = tree.depth[node] < tree.depth[this.zoomed];
      context.globalAlpha = above ? 0.55 : missed ? 0.3 : 1;
      context.fillStyle = this.compared && entry.kind !== "group"
        ? changeColour(tree.base[node], tree.weight[node])
        : this.hits && !missed ? "#d64bd8" : css(entry.colour);
      const gap = right - left > 3 ? 1 : 0;
      context.fillRect(left, y, right - left - gap, ROW - 1);
      if (this.compared && this.hits && !missed) {
        context.strokeStyle = "#d64bd8";
        context.lineWidth = 2;
        context.strokeRect(left + 1, y + 1, Math.max(1, right - left - 3), ROW - 3);
      }
      context.globalAlpha = 1;
      context.fillStyle = missed ? faint : this.hits && !this.compared ? "#ffffff" : letters;
      drawName(context, nodeName(entry), left + 4, y + ROW / 2, right - left - 8);
      context.globalAlpha = 1;
    }
    for (const [node, left, right, y] of this.drawn) {
      const chosen = node === this.selected && (document.activeElement === this.canvas || node !== 0);
      if (!chosen && node !== this.hovered) continue;
      context.strokeStyle = edge;
      context.lineWidth = chosen ? 2 : 1.2;
      context.strokeRect(left + 1, y + 1, Math.max(1, right - left - 3), ROW - 3);
    }
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    for (const [node, left, right, top] of this.drawn) if (y >= top && y < top + ROW && x >= left && x < Math.max(right, left + 1)) return node;
    return -1;
  }

  click(event) {
    const node = this.at(event);
    if (node < 0) return;
    this.select(node);
    this.zoom(node);
  }

  hover(event) {
    const node = event ? this.at(event) : -1;
    if (node !== this.hovered) {
      this.hovered = node;
      this.canvas.style.cursor = node >= 0 ? "pointer" : "default";
      this.draw();
    }
    this.on.hover(node, event);
  }

  key(event) {
    const { tree, selected } = this;
    if (event.ctrlKey || event.metaKey || event.altKey || !tree) return;
    const siblings = selected > 0 ? tree.children[tree.parent[selected]] : [0];
    const at = siblings.indexOf(selected);
    switch (event.key) {
      case "ArrowUp": if (selected > 0) this.select(tree.parent[selected], true); break;
      case "ArrowDown": if (tree.children[selected].length) this.select(tree.children[selected][0], true); break;
      case "ArrowLeft": if (at > 0) this.select(siblings[at - 1], true); break;
      case "ArrowRight": if (at + 1 < siblings.length) this.select(siblings[at + 1], true); break;
      case "Home": this.select(0, true); break;
      case "Enter": case " ": this.zoom(selected); break;
      default: return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

function nodeName(entry) {
  if (!entry.file) return entry.name;
  return `${entry.name} (${shortFile(entry.file)}${entry.line ? `:${entry.line}` : ""})`;
}
