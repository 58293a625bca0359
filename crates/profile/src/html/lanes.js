
// The overview: a lane for each thread and task, coloured by state; a part of the time is chosen in it.

const LANE = 18;

class Lanes {
  // `on` has range(from, to or null), toggle(track), solo(track).
  constructor(section, recording, on) {
    this.section = section;
    this.names = section.querySelector(".names");
    this.canvas = section.querySelector("canvas");
    this.axis = section.querySelector(".axis");
    this.body = section.querySelector(".lane-body");
    this.recording = recording;
    this.on = on;
    this.drag = null;
    this.boxes = recording.tracks.map((track, id) => this.name(track, id));
    this.canvas.addEventListener("pointerdown", (event) => {
      this.drag = [this.time(event), null];
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!this.drag) return;
      this.drag[1] = this.time(event);
      this.draw();
    });
    this.canvas.addEventListener("pointerup", (event) => {
      const drag = this.drag;
      this.drag = null;
      if (!drag) return;
      const to = this.time(event);
      // A click, and no stretch: all of the time again.
      if (Math.abs(to - drag[0]) < recording.end / 300) this.on.range(null);
      else this.on.range(Math.min(drag[0], to), Math.max(drag[0], to));
    });
  }

  name(track, id) {
    const { recording } = this;
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => this.on.toggle(id, box.checked));
    const text = document.createElement("span");
    text.textContent = track.task === null ? track.thread || `thread ${track.tid}` : `task ${track.task}`;
    if (track.task !== null) label.classList.add("task");
    const full = `${recording.processName(track.process)}, ${track.task === null ? "" : `task ${track.task}, `}${recording.threadName(track)}`;
    label.title = `${full}\nDouble click: this one alone`;
    box.setAttribute("aria-label", full);
    label.addEventListener("dblclick", (event) => { event.preventDefault(); this.on.solo(id); });
    label.append(box, text);
    this.names.append(label);
    return box;
  }

  time(event) {
    const box = this.canvas.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * this.recording.end;
  }

  show(filter) {
    this.filter = filter;
    this.boxes.forEach((box, id) => { box.checked = !filter.hidden[id]; });
    this.draw();
  }

  // Time by state in each column of pixels, for all lanes.
  columns(width) {
    if (this.cached?.width === width) return this.cached.columns;
    const { slices, totals, tracks, end } = this.recording;
    const columns = tracks.map(() => new Float32Array(width * STATES.length));
    const per = width / (end || 1);
    for (let i = 0; i < slices.length; i++) {
      const total = slices.total[i], lane = columns[totals.track[total]], state = totals.state[total];
      let from = slices.start[i] * per;
      const to = Math.min(width, (slices.start[i] + slices.duration[i]) * per);
      while (from < to) {
        const column = Math.floor(from), until = Math.min(column + 1, to);
        lane[column * STATES.length + state] += until - from;
        from = until > from ? until : column + 1;
      }
    }
    this.cached = { width, columns };
    return columns;
  }

  draw() {
    const { recording, filter } = this;
    const width = Math.floor(this.body.clientWidth), height = recording.tracks.length * LANE;
    if (width <= 0 || !filter) return;
    const context = fitCanvas(this.canvas, width, height);
    context.clearRect(0, 0, width, height);
    const columns = this.columns(width);
    columns.forEach((lane, id) => {
      context.globalAlpha = filter.hidden[id] ? 0.15 : 1;
      for (let state = 0; state < STATES.length; state++) {
        context.fillStyle = stateColour(STATES[state]);
        if (!filter.states[state]) continue;
        for (let x = 0; x < width; x++) {
          const part = lane[x * STATES.length + state];
          if (part <= 0.01) continue;
          let under = 0;
          for (let other = 0; other < state; other++) under += lane[x * STATES.length + other];
          const tall = Math.min(1, part) * (LANE - 4);
          context.fillRect(x, id * LANE + LANE - 2 - Math.min(1, under + part) * (LANE - 4), 1, Math.max(1, tall));
        }
      }
    });
    context.globalAlpha = 1;
    const range = this.drag && this.drag[1] !== null ? [Math.min(...this.drag), Math.max(...this.drag)] : filter.range;
    if (range) {
      const left = (range[0] / recording.end) * width, right = (range[1] / recording.end) * width;
      context.fillStyle = ink("--veil");
      context.fillRect(0, 0, left, height);
      context.fillRect(right, 0, width - right, height);
      context.fillStyle = ink("--accent");
      context.fillRect(left - 1, 0, 2, height);
      context.fillRect(right - 1, 0, 2, height);
    }
    this.drawAxis(width);
  }

  drawAxis(width) {
    const end = this.recording.end / 1e9;
    if (this.axis.dataset.width === String(width)) return;
    this.axis.dataset.width = String(width);
    this.axis.replaceChildren();
    const rough = end / Math.max(2, Math.floor(width / 110));
    const power = 10 ** Math.floor(Math.log10(rough || 1));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? 1;
    for (let at = 0; at <= end * 1.0001 && step > 0; at += step) {
      const mark = document.createElement("span");
      mark.style.left = `${(at / end) * 100}%`;
      mark.textContent = formatTime(at * 1e9).replace(/\.0+ /, " ").replace(/(\.\d*[1-9])0+ /, "$1 ");
      if (at / end > 0.94) mark.className = "last";
      this.axis.append(mark);
      if (end === 0) break;
    }
  }
}
