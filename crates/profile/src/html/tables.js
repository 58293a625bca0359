
// Functions in a table, by their own and their total weight; in a comparison, by change.

const TABLE_ROWS = 400;

class FunctionTable {
  // `on` has select(key).
  constructor(panel, on) {
    this.head = panel.querySelector("thead");
    this.body = panel.querySelector("tbody");
    this.note = panel.querySelector(".note");
    this.on = on;
    this.sort = { column: null, up: false };
    this.rows = [];
  }

  // `sums` of the recording, and of the one it is compared with or null.
  show(sums, base, metric) {
    this.columns = base
      ? [
        ["change itself", (row) => row.own - row.ownBase, formatChange],
        ["before", (row) => row.ownBase, formatShare], ["after", (row) => row.own, formatShare],
        ["change total", (row) => row.total - row.totalBase, formatChange],
        ["before", (row) => row.totalBase, formatShare], ["after", (row) => row.total, formatShare],
      ]
      : [
        ["itself", (row) => row.own, formatShare], ["", (row) => row.own, (share) => formatWeight(share * sums.all, metric)],
        ["total", (row) => row.total, formatShare], ["", (row) => row.total, (share) => formatWeight(share * sums.all, metric)],
      ];
    this.compared = Boolean(base);
    const share = (map, key, all) => (all > 0 ? (map.get(key) ?? 0) / all : 0);
    const keys = new Set([...sums.total.keys(), ...(base ? base.total.keys() : [])]);
    this.rows = Array.from(keys, (key) => ({
      key, entry: catalog.entries[key],
      own: share(sums.own, key, sums.all), total: share(sums.total, key, sums.all),
      ownBase: base ? share(base.own, key, base.all) : 0, totalBase: base ? share(base.total, key, base.all) : 0,
    }));
    if (this.sort.column === null || this.sort.column >= this.columns.length + 1) this.sort = { column: 0, up: false };
    this.fill();
  }

  fill(matches = this.matches) {
    this.matches = matches;
    this.head.replaceChildren(this.header());
    const { column, up } = this.sort;
    const name = column === this.columns.length;
    const value = name ? null : this.columns[column][1];
    const size = (row) => (this.compared && (column === 0 || column === 3) && !up ? Math.abs(value(row)) : value(row));
    const order = name
      ? (a, b) => (up ? 1 : -1) * a.entry.name.localeCompare(b.entry.name)
      : (a, b) => (up ? size(a) - size(b) : size(b) - size(a)) || b.total - a.total || a.entry.name.localeCompare(b.entry.name);
    const rows = this.rows.filter((row) => !matches || matches(row.entry, row.key)).sort(order);
    this.body.replaceChildren(...rows.slice(0, TABLE_ROWS).map((row) => this.row(row)));
    this.note.textContent = rows.length > TABLE_ROWS ? `The first ${TABLE_ROWS} of ${rows.length.toLocaleString("en")} functions; search to see others.`
      : rows.length ? "" : "No function matches.";
  }

  header() {
    const line = document.createElement("tr");
    const names = [...this.columns.map(([name]) => name), "function"];
    names.forEach((name, index) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      if (name) {
        const button = document.createElement("button");
        button.textContent = name;
        const sorted = this.sort.column === index;
        if (sorted) cell.setAttribute("aria-sort", this.sort.up ? "ascending" : "descending");
        button.addEventListener("click", () => {
          this.sort = { column: index, up: sorted ? !this.sort.up : index === this.columns.length };
          this.fill();
        });
        cell.append(button);
      }
      if (index < this.columns.length) cell.className = "number";
      line.append(cell);
    });
    return line;
  }

  row(row) {
    const line = document.createElement("tr");
    for (const [, value, format] of this.columns) {
      const cell = document.createElement("td");
      cell.className = "number";
      const number = value(row);
      cell.textContent = format(number);
      if (format === formatChange) cell.classList.add(number > 5e-5 ? "grown" : number < -5e-5 ? "shrunk" : "same");
      else if (format === formatShare && !this.compared) {
        cell.classList.add("bar");
        cell.style.setProperty("--share", `${Math.min(100, number * 100)}%`);
      }
      line.append(cell);
    }
    const cell = document.createElement("td");
    const button = document.createElement("button");
    button.className = "function";
    const dot = document.createElement("i");
    dot.style.background = css(row.entry.colour);
    const name = document.createElement("b"), place = document.createElement("span");
    name.textContent = row.entry.name || "?";
    place.textContent = placeOf(row.entry);
    button.append(dot, name, place);
    button.addEventListener("click", () => this.on.select(row.key));
    cell.append(button);
    line.append(cell);
    return line;
  }
}

function formatChange(change) {
  const points = Math.round(change * 1e4) / 100;
  return `${points > 0 ? "+" : points < 0 ? "−" : ""}${Math.abs(points).toFixed(2)}`;
}
