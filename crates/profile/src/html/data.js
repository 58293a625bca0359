
// The recordings that stand in the page, unpacked, and what is looked up in them all the time.

const STATES = ["running", "native", "gil", "waiting", "suspended", "idle"];
const STATE_NAMES = {
  running: "running Python", native: "running native code", gil: "waiting for the GIL", waiting: "waiting", suspended: "suspended in an await", idle: "idle",
};
const STATE_SHORT = { running: "Python", native: "native", gil: "GIL wait", waiting: "waits", suspended: "awaits", idle: "idle" };

async function unpack(id) {
  const element = document.getElementById(id);
  if (!element) return null;
  const packed = Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Functions, and lines in them, under one number each for both recordings of a comparison.
class Catalog {
  constructor() {
    this.entries = [];
    this.index = new Map();
  }

  intern(name, file, line, kind, first) {
    const text = [name, file, line, kind].join("\0");
    let id = this.index.get(text);
    if (id === undefined) {
      id = this.entries.length;
      this.entries.push({ name, file, line, kind, first, colour: colourOf(name, file, kind) });
      this.index.set(text, id);
    }
    return id;
  }
}

class Recording {
  constructor(stored, catalog) {
    const text = (id) => stored.strings[id] ?? "";
    this.about = stored.about;
    this.processes = stored.processes.map((process) => ({ ...process, name: text(process.name) }));
    this.tracks = stored.tracks.map((track) => ({
      ...track,
      thread: text(track.thread),
      task: track.task === undefined || track.task === null ? null : text(track.task),
    }));
    this.stackParent = Int32Array.from(stored.stacks.parent, (parent) => (parent === null ? -1 : parent));
    this.stackFrame = Uint32Array.from(stored.stacks.frame);
    this.totals = {
      length: stored.totals.track.length,
      track: Uint32Array.from(stored.totals.track),
      stack: Int32Array.from(stored.totals.stack, (stack) => (stack === null ? -1 : stack)),
      state: Uint8Array.from(stored.totals.state, (state) => STATES.indexOf(state)),
      samples: Float64Array.from(stored.totals.samples),
      wall: Float64Array.from(stored.totals.wall_ns),
      cpu: Float64Array.from(stored.totals.cpu_ns),
    };
    let at = 0;
    this.slices = {
      length: stored.timeline.total.length,
      start: Float64Array.from(stored.timeline.start_delta_ns, (delta) => (at += delta)),
      duration: Float64Array.from(stored.timeline.duration_ns),
      total: Uint32Array.from(stored.timeline.total),
    };
    const functions = stored.functions;
    const kinds = functions.kind;
    this.functionKey = functions.name.map((name, id) =>
      catalog.intern(text(name), text(functions.file[id]), 0, kinds[id], functions.first_line[id]));
    this.frameFunction = stored.frames.function.map((id) => this.functionKey[id]);
    this.frameKind = stored.frames.function.map((id) => kinds[id]);
    this.frameLine = Uint32Array.from(stored.frames.line);
    this.frameKey = stored.frames.function.map((id, frame) =>
      catalog.intern(text(functions.name[id]), text(functions.file[id]), stored.frames.line[frame], kinds[id], functions.first_line[id]));
    this.sources = new Map((stored.sources ?? []).map((source) => [text(source.file), source.text]));
    let end = this.about.duration_ns;
    for (let i = 0; i < this.slices.length; i++) end = Math.max(end, this.slices.start[i] + this.slices.duration[i]);
    this.end = end;
  }

  // The frames of a stack from the outermost inwards.
  frames(stack) {
    const frames = [];
    for (let at = stack; at >= 0; at = this.stackParent[at]) frames.push(this.stackFrame[at]);
    return frames.reverse();
  }

  // Each total's weight under a filter: {metric, hidden: tracks left out, states: which are in, range: [from, to] in ns or null}.
  weights(filter) {
    const { totals, slices } = this;
    const all = { wall: totals.wall, cpu: totals.cpu, samples: totals.samples }[filter.metric];
    const weights = new Float64Array(totals.length);
    if (filter.range) {
      // A part of the time has the part of each total that its slices have in it.
      const [from, to] = filter.range;
      const within = new Float64Array(totals.length), whole = new Float64Array(totals.length);
      for (let i = 0; i < slices.length; i++) {
        const start = slices.start[i], end = start + slices.duration[i];
        whole[slices.total[i]] += slices.duration[i];
        if (end > from && start < to) within[slices.total[i]] += Math.min(end, to) - Math.max(start, from);
      }
      for (let i = 0; i < totals.length; i++) weights[i] = whole[i] > 0 ? (all[i] * within[i]) / whole[i] : 0;
    } else weights.set(all);
    for (let i = 0; i < totals.length; i++) {
      if (filter.hidden[totals.track[i]] || !filter.states[totals.state[i]]) weights[i] = 0;
    }
    return weights;
  }

  processName(id) {
    const process = this.processes[id];
    return `process ${process.pid}${process.name ? ` (${process.name})` : ""}`;
  }

  threadName(track) {
    if (!track.thread) return `thread ${track.tid || ""}`.trim();
    return track.tid ? `thread ${track.thread} (${track.tid})` : `thread ${track.thread}`;
  }
}

// Weights for people.
function formatWeight(value, metric) {
  if (metric === "samples") return `${Math.round(value).toLocaleString("en")} samples`;
  return formatTime(value);
}

function formatTime(ns) {
  const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
  const [size, unit] = units.find(([size]) => Math.abs(ns) >= size) ?? [1e9, "s"];
  const value = ns / size;
  return `${value.toFixed(value === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${unit}`;
}

function formatShare(share) {
  const percent = share * 100;
  if (percent === 0) return "0 %";
  return percent > 0 && percent < 0.01 ? "<0.01 %" : `${percent.toFixed(percent < 10 ? 2 : 1)} %`;
}

function shortFile(file) {
  return file.slice(file.lastIndexOf("/") + 1);
}

function placeOf(entry) {
  const line = entry.line || entry.first;
  return entry.file ? `${entry.file}${line ? `:${line}` : ""}` : "";
}
