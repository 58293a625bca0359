
// Puts the views together: one filter, one search, one selection for all of them.

let catalog = null;
const $ = (id) => document.getElementById(id);

class App {
  constructor(recording, baseline) {
    this.recording = recording;
    this.baseline = baseline;
    this.filter = {
      metric: { wall: "wall", cpu: "cpu", gil: "wall" }[recording.about.metric] ?? "wall",
      hidden: recording.tracks.map(() => false),
      states: STATES.map(() => true),
      range: null,
    };
    if (!recording.totals[this.filter.metric].some((weight) => weight > 0)) this.filter.metric = "samples";
    this.options = { inverted: false, group: !baseline && recording.tracks.length > 1, lines: false };
    this.query = "";
    this.tab = "flame";
    this.flame = new FlameView($("panel-flame"), { select: (node) => this.chosen(node), hover: (node, event) => this.hoverNode(node, event) });
    const range = (from, to) => this.range(from, to);
    this.chart = new ChartView($("panel-chart"), recording, { hover: tip, select: (key) => this.describe(catalog.entries[key], key), range });
    this.lanes = new Lanes($("timeline"), recording, {
      range,
      toggle: (track, shown) => { this.filter.hidden[track] = !shown; $("who").value = "some"; this.update(); },
      solo: (track) => { $("who").value = `t${track}`; this.who(); },
    });
    this.table = new FunctionTable($("panel-functions"), { select: (key) => this.findKey(key) });
    this.source = new SourceView($("panel-source"));
    this.header();
    this.controls();
    this.update();
    this.describeNode(0);
  }

  header() {
    const { about } = this.recording;
    const command = about.command.join(" ") || "Recording";
    $("command").textContent = this.baseline ? `What has changed: ${command}` : command;
    $("command").title = about.command.join(" ");
    const words = [];
    if (about.python) words.push(`Python ${about.python}`);
    if (about.start_unix_ns > 0) words.push(new Date(about.start_unix_ns / 1e6).toLocaleString());
    words.push(formatTime(about.duration_ns), `${about.samples.toLocaleString("en")} samples`);
    if (about.interval_ns > 0) words.push(`every ${formatTime(about.interval_ns)}`);
    if (about.metric === "cpu") words.push("CPU time");
    if (about.metric === "gil") words.push("time with the GIL");
    words.push(about.recorder);
    $("about").textContent = words.filter(Boolean).join(" · ");
    const lost = [[about.errors, "could not be read"], [about.late, "late"], [about.truncated, "with stacks cut off"]].filter(([count]) => count > 0);
    if (lost.length) {
      const bad = document.createElement("b");
      bad.textContent = ` · ${lost.map(([count, what]) => `${count.toLocaleString("en")} ${what}`).join(", ")}`;
      $("about").append(bad);
    }
    if (this.baseline) {
      const before = this.baseline.about;
      $("about").append(` — compared with ${before.samples.toLocaleString("en")} samples of ${formatTime(before.duration_ns)}: red has grown, blue has shrunk; widths are the mean of both`);
    }
  }

  controls() {
    const { recording } = this;
    const option = (parent, value, text) => {
      const element = document.createElement("option");
      element.value = value;
      element.textContent = text;
      parent.append(element);
    };
    const who = $("who");
    option(who, "all", recording.tracks.length > 1 ? `all ${recording.tracks.length} threads, tasks` : "all");
    if (recording.tracks.some((track) => track.task !== null)) {
      option(who, "threads", "threads, without tasks");
      option(who, "tasks", "tasks alone");
    }
    recording.processes.forEach((process, id) => {
      const group = document.createElement("optgroup");
      group.label = recording.processName(id);
      if (recording.processes.length > 1) option(group, `p${id}`, `all of process ${process.pid}`);
      recording.tracks.forEach((track, index) => {
        if (track.process === id) option(group, `t${index}`, track.task === null ? recording.threadName(track) : `task ${track.task}`);
      });
      who.append(group);
    });
    option(who, "some", "as chosen in the lanes");
    who.addEventListener("change", () => this.who());
    const metrics = { wall: "time", cpu: "CPU time", samples: "samples" };
    for (const [name, text] of Object.entries(metrics)) {
      if (recording.totals[name].some((weight) => weight > 0)) option($("metric"), name, text);
    }
    $("metric").value = this.filter.metric;
    $("metric").parentElement.hidden = $("metric").length === 0;
    $("states").hidden = $("metric").length === 0;
    $("metric").addEventListener("change", () => { this.filter.metric = $("metric").value; this.update(); });
    $("states").append(...STATES.map((state, index) => this.stateButton(state, index)));
    for (const id of ["range-from", "range-to"]) $(id).addEventListener("change", () => this.rangeTyped());
    $("reset").addEventListener("click", () => this.reset());
    for (const tab of ["flame", "chart", "functions", "source"]) $(`tab-${tab}`).addEventListener("click", () => this.open(tab));
    document.querySelector("[role=tablist]").addEventListener("keydown", (event) => this.tabKey(event));
    for (const [id, name] of [["inverted", "inverted"], ["merged", "group"], ["by-line", "lines"]]) {
      $(id).addEventListener("click", () => this.toggle(name));
    }
    $("zoom-out").addEventListener("click", () => this.zoomOut());
    $("search").addEventListener("input", () => this.search($("search").value));
    $("find").addEventListener("click", () => this.findKey(this.described));
    $("show-source").addEventListener("click", () => this.openSource());
    $("help-open").addEventListener("click", () => $("help").showModal());
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("resize", () => this.draw());
    darkScheme.addEventListener("change", () => { this.lanes.draw(); this.update(); });
    $("timeline").hidden = this.recording.slices.length === 0 || Boolean(this.baseline);
    $("range").hidden = $("timeline").hidden;
    $("tab-chart").hidden = $("timeline").hidden;
    $("merged").hidden = Boolean(this.baseline) || recording.tracks.length < 2;
    if (this.baseline) $("who").parentElement.hidden = true;
  }

  stateButton(state, index) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const dot = document.createElement("i"), share = document.createElement("small");
    button.title = STATE_NAMES[state];
    button.append(dot, STATE_SHORT[state], share);
    button.addEventListener("click", () => { this.filter.states[index] = !this.filter.states[index]; this.update(); });
    return button;
  }

  who() {
    const value = $("who").value, { tracks } = this.recording;
    const shown = {
      all: () => true, threads: (track) => track.task === null, tasks: (track) => track.task !== null,
    }[value] ?? ((track, id) => (value[0] === "p" ? track.process === Number(value.slice(1)) : id === Number(value.slice(1))));
    if (value !== "some") this.filter.hidden = tracks.map((track, id) => !shown(track, id));
    this.update();
  }

  range(from, to) {
    const { end } = this.recording;
    this.filter.range = from === null || (from <= 0 && to >= end) || !(to > from) ? null : [Math.max(0, from), Math.min(end, to)];
    this.update();
  }

  rangeTyped() {
    const from = Number($("range-from").value || 0) * 1e9;
    const to = $("range-to").value === "" ? this.recording.end : Number($("range-to").value) * 1e9;
    this.range(from, to);
  }

  reset() {
    this.filter.hidden.fill(false);
    this.filter.states.fill(true);
    this.filter.range = null;
    $("who").value = "all";
    $("search").value = "";
    this.query = "";
    this.update();
  }

  toggle(name) {
    if (name === "group" && $("merged").hidden) return;
    this.options[name] = !this.options[name];
    this.update();
  }

  zoomOut() {
    this.flame.select(0, true);
    this.flame.zoom(0);
  }

  // What matches the search: text, or a regular expression between slashes, or one function alone.
  matcher() {
    const { query, only } = this;
    if (only !== undefined) {
      const wanted = catalog.entries[only];
      return (entry) => entry.name === wanted.name && entry.file === wanted.file && entry.kind === wanted.kind;
    }
    if (!query) return null;
    const inner = /^\/(.+)\/$/.exec(query);
    if (inner) {
      try {
        const expression = new RegExp(inner[1], "i");
        return (entry) => expression.test(entry.name) || expression.test(placeOf(entry));
      } catch { /* not finished yet: taken as text */ }
    }
    const low = query.toLowerCase();
    return (entry) => entry.name.toLowerCase().includes(low) || placeOf(entry).toLowerCase().includes(low);
  }

  search(text) {
    this.query = text.trim();
    this.only = undefined;
    this.mark();
  }

  // Everywhere that a function is.
  findKey(key) {
    if (key === undefined || key < 0) return;
    this.only = key;
    this.query = catalog.entries[key].name;
    $("search").value = this.query;
    if (this.tab === "functions" || this.tab === "source") this.open("flame");
    this.mark();
    this.describe(catalog.entries[key], key);
  }

  mark() {
    const matches = this.matcher();
    const result = matches ? this.tree.search(matches) : null;
    this.flame.hits = result?.found ?? null;
    this.chart.matches = matches;
    $("matches").textContent = !result ? "" : result.found.size ? `${result.found.size.toLocaleString("en")} frames · ${formatShare(result.share)}` : "no match";
    if (this.tab === "functions") this.table.fill(matches);
    this.draw();
  }

  // After a change of the filter or the options: everything anew.
  update() {
    const { recording, baseline, filter, options } = this;
    this.weights = recording.weights(filter);
    this.tree = new Tree(catalog);
    if (baseline) {
      // Recordings of different lengths are compared by shares of all.
      const share = (weights) => 1 / (weights.reduce((all, weight) => all + weight, 0) || 1);
      this.baseWeights = baseline.weights({ ...filter, hidden: baseline.tracks.map(() => false), range: null });
      this.tree.add(baseline, this.baseWeights, { ...options, base: true, scale: share(this.baseWeights) });
      this.tree.add(recording, this.weights, { ...options, scale: share(this.weights) });
    } else this.tree.add(recording, this.weights, options);
    this.tree.finish(Boolean(baseline));
    this.described = undefined;
    this.flame.hits = null;
    this.flame.show(this.tree, Boolean(baseline));
    this.showFilter();
    this.lanes.show(filter);
    this.fill();
    this.mark();
    this.describeNode(0);
  }

  showFilter() {
    const { filter, options, recording, baseline } = this;
    const seconds = (ns) => (ns / 1e9).toFixed(recording.end >= 1e11 ? 1 : 3).replace(/\.?0+$/, "");
    const all = recording.weights({ ...filter, states: STATES.map(() => true) });
    const sums = stateSums(recording, all), whole = sums.reduce((a, b) => a + b, 0) || 1;
    STATES.forEach((state, index) => {
      const button = $("states").children[index];
      button.hidden = sums[index] === 0 && filter.states[index];
      button.setAttribute("aria-pressed", String(filter.states[index]));
      button.querySelector("i").style.background = stateColour(state);
      button.querySelector("small").textContent = `${((sums[index] / whole) * 100).toFixed(0)} %`;
    });
    const [from, to] = filter.range ?? [0, recording.end];
    $("range-from").value = seconds(from);
    $("range-to").value = seconds(to);
    $("inverted").setAttribute("aria-pressed", String(options.inverted));
    $("merged").setAttribute("aria-pressed", String(!options.group));
    $("by-line").setAttribute("aria-pressed", String(options.lines));
    $("nothing").hidden = this.tree.total > 0 || (baseline && this.tree.base[0] > 0);
    const filtered = filter.range || filter.hidden.some(Boolean) || !filter.states.every(Boolean);
    $("reset").disabled = !filtered && !this.query;
  }

  open(tab) {
    if ($(`tab-${tab}`).hidden) return;
    this.tab = tab;
    this.fill();
    this.draw();
  }

  // What the open tab shows; the others wait until they are opened.
  fill() {
    for (const tab of ["flame", "chart", "functions", "source"]) {
      const open = tab === this.tab;
      $(`tab-${tab}`).setAttribute("aria-selected", String(open));
      $(`tab-${tab}`).tabIndex = open ? 0 : -1;
      $(`panel-${tab}`).hidden = !open;
    }
    $("flame-options").hidden = this.tab !== "flame";
    const { recording, baseline, filter } = this;
    if (this.tab === "chart") this.chart.show(filter);
    else if (this.tab === "functions") {
      const base = baseline ? sumsOf(baseline, this.baseWeights, false) : null;
      this.table.matches = this.matcher();
      this.table.show(sumsOf(recording, this.weights, false), base, filter.metric);
    } else if (this.tab === "source") this.source.show(recording, this.weights, filter.metric);
  }

  draw() {
    $("zoom-out").hidden = this.flame.zoomed === 0;
    if (this.tab === "flame") this.flame.draw();
    else if (this.tab === "chart") this.chart.show(this.filter);
    this.lanes.draw();
  }

  chosen(node) {
    this.describeNode(node);
    $("zoom-out").hidden = node === 0;
  }

  nodeLines(node) {
    const { tree, baseline, filter } = this;
    const entry = tree.entry(node);
    const all = tree.total || 1;
    if (baseline) {
      const [before, after] = [tree.base[node], tree.weight[node]];
      return [entry.name, placeOf(entry), `${formatShare(before)} before, ${formatShare(after)} after: ${formatChange(after - before)} points`,
        `itself ${formatShare(tree.ownBase[node])} before, ${formatShare(tree.own[node])} after`];
    }
    const own = tree.own[node];
    const lines = [entry.name, placeOf(entry), `${formatShare(tree.weight[node] / all)} · ${formatWeight(tree.weight[node], filter.metric)}`];
    if (own > 0 && own < tree.weight[node]) lines[2] += ` · itself ${formatShare(own / all)}, ${formatWeight(own, filter.metric)}`;
    return lines;
  }

  describeNode(node) {
    const key = this.tree.key[node];
    const [name, place, ...rest] = this.nodeLines(node);
    this.describe(this.tree.entry(node), key, [name, [place, ...rest].filter(Boolean).join(" · ")]);
  }

  // In the line below: a function, with what is known of it.
  describe(entry, key, lines = [entry.name, placeOf(entry)]) {
    this.described = key >= 0 ? key : undefined;
    $("detail").replaceChildren(...lines.map((text, index) => {
      const line = document.createElement(index === 0 ? "b" : "div");
      line.textContent = text;
      return line;
    }));
    $("find").hidden = this.described === undefined;
    $("show-source").hidden = this.described === undefined || entry.kind !== "python" || !entry.file;
  }

  openSource() {
    const entry = catalog.entries[this.described];
    this.open("source");
    this.source.open(entry.file, entry.line || entry.first);
  }

  hoverNode(node, event) {
    tip(node >= 0 ? this.nodeLines(node).filter(Boolean) : null, event);
  }

  tabKey(event) {
    const tabs = [...document.querySelectorAll("[role=tab]:not([hidden])")];
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const next = tabs[(tabs.indexOf(event.target) + move + tabs.length) % tabs.length];
    next.click();
    next.focus();
    event.preventDefault();
  }

  key(event) {
    const typing = event.target.matches("input:not([type=checkbox]), select");
    if (event.key === "Escape" && !$("help").open) {
      if (this.query) { $("search").value = ""; this.search(""); }
      else this.zoomOut();
      if (event.target === $("search")) $("search").blur();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    const actions = {
      "/": () => $("search").focus(), "?": () => $("help").showModal(),
      1: () => this.open("flame"), 2: () => this.open("chart"), 3: () => this.open("functions"), 4: () => this.open("source"),
      i: () => this.toggle("inverted"), m: () => this.toggle("group"), l: () => this.toggle("lines"),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

// The note beside the pointer.
function tip(lines, event) {
  const box = $("tip");
  box.hidden = !lines;
  if (!lines) return;
  box.replaceChildren(...lines.filter(Boolean).map((text) => {
    const line = document.createElement("div");
    line.textContent = text;
    return line;
  }));
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  box.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
}

async function start() {
  catalog = new Catalog();
  const [stored, base] = [await unpack("unknot-recording"), await unpack("unknot-baseline")];
  window.unknot = new App(new Recording(stored, catalog), base ? new Recording(base, catalog) : null);
}
start().catch((error) => {
  $("command").textContent = "The recording in this page cannot be shown";
  $("about").textContent = String(error);
});
