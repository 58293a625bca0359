
// Source files, with the heat of their lines.

class SourceView {
  constructor(panel) {
    this.list = panel.querySelector(".files");
    this.text = panel.querySelector(".lines");
    this.file = null;
    this.recording = null;
  }

  show(recording, weights, metric) {
    this.recording = recording;
    this.metric = metric;
    const sums = sumsOf(recording, weights, true);
    this.all = sums.all;
    this.files = new Map();
    for (const key of sums.total.keys()) {
      const entry = catalog.entries[key];
      if (entry.kind !== "python" || !entry.file) continue;
      let file = this.files.get(entry.file);
      if (!file) this.files.set(entry.file, (file = { own: 0, lines: new Map() }));
      let line = file.lines.get(entry.line);
      if (!line) file.lines.set(entry.line, (line = { own: 0, total: 0, name: entry.name }));
      const own = sums.own.get(key) ?? 0;
      line.own += own;
      line.total = Math.max(line.total, sums.total.get(key));
      file.own += own;
    }
    this.order = [...this.files.keys()].sort((a, b) =>
      isLibrary(a) - isLibrary(b) || this.files.get(b).own - this.files.get(a).own || a.localeCompare(b));
    if (!this.files.has(this.file)) this.file = this.order.find((file) => recording.sources.has(file)) ?? this.order[0] ?? null;
    this.fill();
  }

  fill() {
    this.list.replaceChildren(...this.order.map((file) => {
      const button = document.createElement("button");
      const share = document.createElement("b"), name = document.createElement("span");
      share.textContent = formatShare(this.all > 0 ? this.files.get(file).own / this.all : 0);
      name.textContent = file;
      button.append(share, name);
      button.title = file;
      button.className = isLibrary(file) ? "library" : "";
      if (file === this.file) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => { this.file = file; this.fill(); this.text.scrollTop = 0; });
      return button;
    }));
    this.lines();
  }

  // Opens a file at a line.
  open(file, line) {
    if (!this.files?.has(file)) return false;
    this.file = file;
    this.fill();
    this.text.querySelector(`[data-line="${Number(line)}"]`)?.scrollIntoView({ block: "center" });
    return true;
  }

  lines() {
    if (this.file === null) {
      this.text.textContent = "No line of a source file was sampled.";
      return;
    }
    const file = this.files.get(this.file);
    const source = this.recording.sources.get(this.file);
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const name of ["itself", "total", "line", this.file]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      head.append(cell);
    }
    const body = table.createTBody();
    const texts = source === undefined ? null : source.replace(/\n$/, "").split("\n");
    const numbers = texts ? texts.map((_, index) => index + 1) : [...file.lines.keys()].sort((a, b) => a - b);
    if (texts) for (const number of file.lines.keys()) if (number < 1 || number > texts.length) numbers.push(number);
    // Of a very long file, what is near its hot lines.
    const near = (number) => [...file.lines.keys()].some((hot) => Math.abs(hot - number) <= 5);
    const shown = numbers.length > 4000 ? numbers.filter(near) : numbers;
    let before = 0;
    for (const number of shown) {
      if (texts && number > before + 1 && before > 0) body.insertRow().className = "gap";
      before = number;
      body.append(this.line(number, file.lines.get(number), texts));
    }
    this.text.replaceChildren(table);
    if (!texts) {
      const note = document.createElement("p");
      note.className = "note";
      note.textContent = "The recording has no text of this file; these are its lines that were sampled.";
      this.text.prepend(note);
    }
  }

  line(number, heat, texts) {
    const row = document.createElement("tr");
    row.dataset.line = number;
    const own = heat && this.all > 0 ? heat.own / this.all : 0, total = heat && this.all > 0 ? heat.total / this.all : 0;
    row.style.setProperty("--heat", Math.max(Math.sqrt(own), Math.sqrt(total) * 0.35).toFixed(3));
    const code = texts?.[number - 1];
    const cells = [own > 0 ? formatShare(own) : "", total > 0 ? formatShare(total) : "", number || "", code ?? `in ${heat?.name ?? ""}`];
    cells.forEach((text, index) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (index === 3) cell.className = code === undefined ? "name" : "code";
    });
    if (heat) row.title = `${formatWeight(heat.own, this.metric)} itself, ${formatWeight(heat.total, this.metric)} with what it called`;
    return row;
  }
}
