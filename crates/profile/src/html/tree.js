
// The tree that the flame graph draws.

class Tree {
  constructor(catalog) {
    this.catalog = catalog;
    this.parent = [-1];
    this.key = [-1];
    this.depth = [0];
    this.weight = [0]; // with what is below; in a comparison, the share after
    this.own = [0];
    this.base = [0]; // in a comparison, the share before
    this.ownBase = [0];
    this.children = [[]];
    this.labels = new Map(); // of keys that are no functions
    this.special = new Map();
    this.index = new Map();
  }

  // Processes, threads, tasks, and what else is no function: keys below -1.
  label(name, kind) {
    const text = `${kind}\0${name}`;
    let key = this.special.get(text);
    if (key === undefined) {
      key = -2 - this.special.size;
      this.special.set(text, key);
      this.labels.set(key, { name, file: "", line: 0, first: 0, kind, colour: colourOf(name, "", kind) });
    }
    return key;
  }

  entry(node) {
    const key = this.key[node];
    if (key === -1) return { name: "all", file: "", line: 0, first: 0, kind: "group", colour: colourOf("", "", "group") };
    return key < 0 ? this.labels.get(key) : this.catalog.entries[key];
  }

  child(parent, key) {
    const place = parent * 4194304 + (key + 1048576);
    let node = this.index.get(place);
    if (node === undefined) {
      node = this.parent.length;
      this.parent.push(parent);
      this.key.push(key);
      this.depth.push(this.depth[parent] + 1);
      for (const column of [this.weight, this.own, this.base, this.ownBase]) column.push(0);
      this.children.push([]);
      this.children[parent].push(node);
      this.index.set(place, node);
    }
    return node;
  }

  // Adds a recording: {group: by thread, inverted: callers below, lines: apart by line, base: as the one before}.
  add(recording, weights, options) {
    const { totals } = recording;
    const groups = options.group ? groupPaths(recording) : null;
    const keys = options.lines ? recording.frameKey : recording.frameFunction;
    const weight = options.base ? this.base : this.weight, own = options.base ? this.ownBase : this.own;
    const scale = options.scale ?? 1;
    const nodeOf = new Map();
    // The node of a stack below a group's; each stack is looked up once.
    const below = (group, stack) => {
      const path = [];
      let at = stack, node;
      for (; at >= 0; at = recording.stackParent[at]) {
        node = nodeOf.get(group * 16777216 + at);
        if (node !== undefined) break;
        path.push(at);
      }
      if (at < 0) node = group;
      for (let i = path.length - 1; i >= 0; i--) {
        node = this.child(node, keys[recording.stackFrame[path[i]]]);
        nodeOf.set(group * 16777216 + path[i], node);
      }
      return node;
    };
    for (let i = 0; i < totals.length; i++) {
      if (!(weights[i] > 0)) continue;
      let node = 0;
      if (groups) for (const name of groups[totals.track[i]]) node = this.child(node, this.label(name, "group"));
      const stack = totals.stack[i];
      const innermost = stack >= 0 ? recording.frameKind[recording.stackFrame[stack]] : null;
      const gil = STATES[totals.state[i]] === "gil" && innermost !== null && innermost !== "wait";
      if (stack < 0) node = this.child(node, this.label("no frame known", "outside"));
      else if (options.inverted) {
        if (gil) node = this.child(node, this.label("waits for the GIL", "gil"));
        const first = this.child(node, keys[recording.stackFrame[stack]]);
        own[first] += weights[i] * scale;
        node = first;
        for (let at = recording.stackParent[stack]; at >= 0; at = recording.stackParent[at]) {
          node = this.child(node, keys[recording.stackFrame[at]]);
        }
      } else {
        node = below(node, stack);
        if (gil) node = this.child(node, this.label("waits for the GIL", "gil"));
      }
      if (!options.inverted || stack < 0) own[node] += weights[i] * scale;
      weight[node] += weights[i] * scale;
    }
    // Nodes come after their parents.
  }

  // Adds up, sorts, and lays out: each node's left edge and width as a part of all.
  finish(compared) {
    const count = this.parent.length;
    for (let node = count - 1; node > 0; node--) {
      this.weight[this.parent[node]] += this.weight[node];
      this.base[this.parent[node]] += this.base[node];
    }
    const size = compared ? (node) => (this.weight[node] + this.base[node]) / 2 : (node) => this.weight[node];
    this.left = new Float64Array(count);
    this.width = new Float64Array(count);
    this.depthMax = 0;
    const all = size(0) || 1;
    this.width[0] = 1;
    const order = [0];
    for (let at = 0; at < order.length; at++) {
      const node = order[at];
      this.depthMax = Math.max(this.depthMax, this.depth[node]);
      const children = this.children[node];
      children.sort((a, b) => size(b) - size(a) || a - b);
      let left = this.left[node];
      for (const child of children) {
        this.left[child] = left;
        this.width[child] = size(child) / all;
        left += this.width[child];
        order.push(child);
      }
    }
    return this;
  }

  get total() { return this.weight[0]; }

  // The nodes that match, and the share of all in the outermost of them.
  search(matches) {
    const found = new Set();
    let share = 0;
    const inside = new Uint8Array(this.parent.length);
    for (let node = 1; node < this.parent.length; node++) {
      const outer = inside[this.parent[node]];
      const hit = this.key[node] !== -1 && matches(this.entry(node), this.key[node]);
      if (hit) found.add(node);
      if (hit && !outer) share += this.weight[node];
      inside[node] = outer || hit ? 1 : 0;
    }
    return { found, share: this.total > 0 ? share / this.total : 0 };
  }
}

// For each track the labels of the rows above its functions.
function groupPaths(recording) {
  const starred = (name) => name.replace(/[0-9]+/g, "*");
  // Of more threads, or tasks, than a dozen, those that differ in numbers alone are drawn as one.
  const together = (name, all) => {
    if (all.length <= 12) return name;
    const pattern = starred(name);
    return all.filter((other) => starred(other) === pattern).length > 2 ? pattern : name;
  };
  const threads = new Map(), tasks = new Map();
  const put = (map, key, name) => map.set(key, [...(map.get(key) ?? []), name]);
  for (const track of recording.tracks) {
    if (track.task === null) put(threads, track.process, recording.threadName(track));
    else put(tasks, `${track.process} ${track.tid}`, track.task);
  }
  return recording.tracks.map((track) => {
    const path = [];
    if (recording.processes.length > 1) path.push(recording.processName(track.process));
    if (track.tid || track.thread) path.push(together(recording.threadName(track), threads.get(track.process) ?? []));
    if (track.task !== null) path.push(together(`task ${track.task}`, (tasks.get(`${track.process} ${track.tid}`) ?? []).map((t) => `task ${t}`)));
    return path;
  });
}
