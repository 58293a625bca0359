
// Stacks in the order of time, a band for each thread and task.

// A track's functions over time, a list of [start, end, key, frame] for each depth.
function bandsOf(recording) {
  const bands = recording.tracks.map(() => ({ rows: [], open: [], end: 0 }));
  const close = (band, keep, at) => {
    while (band.open.length > keep) {
      const done = band.open.pop();
      (band.rows[band.open.length] ??= []).push([done.start, at, done.key, done.frame, done.state]);
    }
  };
  const { slices, totals } = recording;
  for (let i = 0; i < slices.length; i++) {
    const total = slices.total[i], band = bands[totals.track[total]];
    const start = slices.start[i];
    close(band, start > band.end + 1 ? 0 : Infinity, Math.min(band.end, start));
    const frames = recording.frames(totals.stack[total]);
    let same = 0;
    while (same < frames.length && same < band.open.length && band.open[same].key === recording.frameFunction[frames[same]]) same++;
    close(band, same, Math.min(start, band.end || start));
    for (const frame of frames.slice(same)) {
      band.open.push({ start, key: recording.frameFunction[frame], frame, state: totals.state[total] });
    }
    band.end = start + slices.duration[i];
  }
  for (const band of bands) close(band, 0, band.end);
  return bands.map((band) => band.rows);
}

class ChartView {
  // `on` has hover(text lines or null, event), select(key), range(from, to).
  constructor(panel, recording, on) {
    this.scroller = panel.querySelector(".scroller");
    this.spacer = panel.querySelector(".spacer");
    this.canvas = panel.querySelector("canvas");
    this.recording = recording;
    this.on = on;
    this.filter = null;
    this.matches = null;
    this.layout = [];
    this.drawn = [];
    this.scroller.addEventListener("scroll", () => this.draw());
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("mouseleave", () => this.on.hover(null));
    this.canvas.addEventListener("click", (event) => {
      const hit = this.at(event);
      if (hit) this.on.select(hit[4][2]);
    });
    this.canvas.addEventListener("dblclick", (event) => {
      const hit = this.at(event);
      if (hit) this.on.range(hit[4][0], hit[4][1]);
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  show(filter) {
    this.filter = filter;
    this.bands ??= bandsOf(this.recording);
    this.layout = [];
    let y = 4;
    this.recording.tracks.forEach((track, id) => {
      if (filter.hidden[id] || !this.bands[id].length) return;
      this.layout.push({ id, y });
      y += 20 + this.bands[id].length * ROW + 8;
    });
    this.spacer.style.height = `${y}px`;
    this.draw();
  }

  draw() {
    const { scroller, recording } = this;
    const width = scroller.clientWidth, height = scroller.clientHeight;
    if (!this.filter || width === 0 || height === 0) return;
    const context = fitCanvas(this.canvas, width, height);
    context.clearRect(0, 0, width, height);
    context.textBaseline = "middle";
    const [from, to] = this.filter.range ?? [0, recording.end || 1];
    const scale = width / (to - from || 1), top = scroller.scrollTop;
    this.drawn = [];
    if (!this.layout.length) {
      context.fillStyle = ink("--faint");
      context.font = "14px system-ui, sans-serif";
      context.fillText("No order in time is known of these threads: it was not recorded, or they are all left out above.", 14, 30);
    }
    for (const { id, y } of this.layout) {
      const rows = this.bands[id];
      const head = y - top;
      if (head > height || head + 20 + rows.length * ROW < 0) continue;
      const track = recording.tracks[id];
      context.font = "600 12px system-ui, sans-serif";
      context.fillStyle = ink("--ink");
      const name = track.task === null ? recording.threadName(track) : `task ${track.task} in ${recording.threadName(track)}`;
      const process = recording.processes.length > 1 ? `${recording.processName(track.process)} · ` : "";
      context.fillText(process + name, 6, head + 9);
      context.font = "12px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";
      rows.forEach((row, depth) => this.drawRow(context, row, head + 20 + depth * ROW, [from, to, scale, width, height]));
    }
  }

  drawRow(context, row, y, [from, to, scale, width, height]) {
    if (y > height || y + ROW < 0) return;
    // The first that ends after the beginning.
    let low = 0, high = row.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (row[middle][1] <= from) low = middle + 1;
      else high = middle;
    }
    const faint = ink("--faint");
    let drawnTo = -1;
    for (let i = low; i < row.length && row[i][0] < to; i++) {
      const left = Math.max(0, (row[i][0] - from) * scale), right = Math.min(width, (row[i][1] - from) * scale);
      // Many in one pixel: the first stands for all.
      if (right < drawnTo + 0.5) continue;
      const entry = catalog.entries[row[i][2]];
      const missed = this.matches && !this.matches(entry, row[i][2]);
      const wide = Math.max(right - left, 0.6);
      context.globalAlpha = missed ? 0.3 : !this.filter.states[row[i][4]] ? 0.25 : 1;
      context.fillStyle = this.matches && !missed ? "#d64bd8" : css(entry.colour);
      context.fillRect(left, y, wide - (wide > 3 ? 1 : 0), ROW - 1);
      context.globalAlpha = 1;
      context.fillStyle = missed ? faint : this.matches ? "#ffffff" : "#1d1a14";
      drawName(context, nodeName(entry), left + 4, y + ROW / 2, wide - 8);
      this.drawn.push([left, right, y, 0, row[i]]);
      drawnTo = right;
    }
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    return this.drawn.find(([left, right, top]) => y >= top && y < top + ROW && x >= left && x <= Math.max(right, left + 1));
  }

  hover(event) {
    const hit = this.at(event);
    this.canvas.style.cursor = hit ? "pointer" : "default";
    if (!hit) return this.on.hover(null);
    const [start, end, key, , state] = hit[4];
    const entry = catalog.entries[key];
    this.on.hover([entry.name, placeOf(entry), `${formatTime(end - start)} from ${formatTime(start)} · ${STATE_NAMES[STATES[state]]}`], event);
  }

  // Arrows move in time, plus and minus change how much of it is seen.
  key(event) {
    const [from, to] = this.filter.range ?? [0, this.recording.end];
    const length = to - from, middle = (from + to) / 2, end = this.recording.end;
    let next;
    if (event.key === "ArrowLeft") next = [from - length / 4, to - length / 4];
    else if (event.key === "ArrowRight") next = [from + length / 4, to + length / 4];
    else if (event.key === "+" || event.key === "=") next = [middle - length / 4, middle + length / 4];
    else if (event.key === "-") next = [middle - length, middle + length];
    else if (event.key === "ArrowDown") this.scroller.scrollTop += ROW * 3;
    else if (event.key === "ArrowUp") this.scroller.scrollTop -= ROW * 3;
    else return;
    event.preventDefault();
    if (!next) return;
    if (next[0] < 0) next = [0, Math.min(end, next[1] - next[0])];
    if (next[1] > end) next = [Math.max(0, next[0] - (next[1] - end)), end];
    this.on.range(...next);
  }
}
