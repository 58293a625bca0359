// The formats in their ecosystems' own readers.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createRequire } from "node:module";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import zlib from "node:zlib";
import { close, end, open, sample } from "./browser.mjs";

const require = createRequire(import.meta.url);
const release = path.join(path.dirname(require.resolve("speedscope/package.json")), "dist/release");
const NAMES = ["empty", "server", "hostile", "wide"];
const SAMPLES = { server: 9500, hostile: 9 };
after(end);

test("speedscope's schema holds", async () => {
  const { default: Ajv } = await import("ajv");
  const schema = JSON.parse(fs.readFileSync(path.join(release, "file-format-schema.json"), "utf8"));
  const check = new Ajv({ strict: false, allErrors: true }).compile(schema);
  for (const name of NAMES) {
    const file = JSON.parse(sample(`${name}.speedscope.json`));
    assert.ok(check(file), `${name}: ${JSON.stringify(check.errors)}`);
    for (const profile of file.profiles) {
      assert.equal(profile.samples.length, profile.weights.length);
      const length = profile.weights.reduce((sum, weight) => sum + weight, 0);
      assert.equal(profile.startValue + length, profile.endValue);
    }
  }
  const server = JSON.parse(sample("server.speedscope.json"));
  assert.equal(server.profiles.length, 10);
});

// Opens a file in speedscope as its command does, and returns what it says.
async function speedscope(name) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "speedscope-"));
  const script = path.join(folder, "load.js");
  fs.writeFileSync(script, `speedscope.loadFileFromBase64(${JSON.stringify(name)}, "${sample(name).toString("base64")}")`);
  const page = await open(`file://${release}/index.html#localProfilePath=${script}`);
  await page.getByText("Left Heavy").or(page.getByText("Unrecognized format")).first().waitFor();
  const text = await page.evaluate(() => document.body.innerText);
  const said = page.said.filter((line) => !/speedscope v|WebGL|^import: |GL Driver/.test(line));
  await close(page, null);
  fs.rmSync(folder, { recursive: true });
  return { text, said };
}

for (const [name, how, title] of [
  ["server.speedscope.json", "Importing as speedscope json file", "process 4300 (python report.py) (10/10)"],
  ["server.perfetto.json", "Importing as Trace Event Format profile", "MainThread (tid 4242) (1/10)"],
  ["server.collapsed", "Importing as collapsed stack format", "server.collapsed"],
  ["server.pb.gz", "Importing as protobuf encoded pprof file", "server.pb.gz"],
  ["server.callgrind", "Importing as Callgrind profile", "Time_ns (1/2)"],
  ["hostile.speedscope.json", "Importing as speedscope json file", "hostile.speedscope.json"],
]) {
  test(`speedscope opens ${name}`, async () => {
    const { text, said } = await speedscope(name);
    // And complains of nothing.
    assert.deepEqual(said, [how]);
    if (name.startsWith("server")) assert.ok(text.includes(title), text);
  });
}

test("pprof-format decodes pprof", async () => {
  const { Profile } = require("pprof-format");
  for (const [name, samples] of Object.entries(SAMPLES)) {
    const profile = Profile.decode(zlib.gunzipSync(sample(`${name}.pb.gz`)));
    const text = (id) => profile.stringTable.strings[Number(id)];
    assert.deepEqual(profile.sampleType.map((type) => [text(type.type), text(type.unit)]),
      [["samples", "count"], ["wall", "nanoseconds"], ["cpu", "nanoseconds"]]);
    const sum = (index) => profile.sample.reduce((all, one) => all + Number(one.value[index]), 0);
    assert.equal(sum(0), samples);
    assert.equal(sum(1), samples * 1e7);
    const locations = new Map(profile.location.map((location) => [Number(location.id), location]));
    const functions = new Map(profile.function.map((one) => [Number(one.id), one]));
    const mappings = new Set(profile.mapping.map((mapping) => Number(mapping.id)));
    for (const one of profile.sample) {
      for (const id of one.locationId) {
        const location = locations.get(Number(id));
        assert.ok(mappings.has(Number(location.mappingId)));
        assert.ok(functions.has(Number(location.line[0].functionId)));
      }
    }
    if (name !== "server") continue;
    const names = profile.function.map((one) => text(one.name));
    assert.ok(names.includes("waits for Lock accounts_lock, held by Thread-2 (transfer) at bank.py:18"));
    const labels = new Set(profile.sample.flatMap((one) => one.label.map((label) => text(label.key))));
    assert.deepEqual([...labels].sort(), ["pid", "process", "state", "task", "thread", "tid"]);
  }
});

test("the Firefox Profiler's tables fit together", () => {
  // As its `src/types/profile.ts` describes version 60.
  for (const name of NAMES) {
    const profile = JSON.parse(sample(`${name}.firefox.json`));
    assert.equal(profile.meta.preprocessedProfileVersion, 60);
    const { shared } = profile;
    const within = (values, length, ...others) => {
      for (const value of values) assert.ok(others.includes(value) || (Number.isInteger(value) && value >= 0 && value < length), `${value} of ${length}`);
    };
    for (const table of ["stackTable", "frameTable", "funcTable", "resourceTable", "nativeSymbols", "sources"]) {
      for (const [column, values] of Object.entries(shared[table])) {
        if (column !== "length") assert.equal(values.length, shared[table].length, `${table}.${column}`);
      }
    }
    within(shared.stackTable.frame, shared.frameTable.length);
    shared.stackTable.prefix.forEach((prefix, stack) => within([prefix], stack, null));
    within(shared.frameTable.func, shared.funcTable.length);
    within(shared.frameTable.category, profile.meta.categories.length);
    within(shared.funcTable.name, shared.stringArray.length);
    within(shared.funcTable.source, shared.sources.length, null);
    within(shared.sources.filename, shared.stringArray.length);
    let weight = 0;
    for (const thread of profile.threads) {
      const { samples } = thread;
      for (const column of ["stack", "time", "weight", "threadCPUDelta"]) assert.equal(samples[column].length, samples.length);
      within(samples.stack, shared.stackTable.length, null);
      samples.time.reduce((before, time) => (assert.ok(time >= before), time), 0);
      weight += samples.weight.reduce((sum, one) => sum + one, 0);
      assert.equal(typeof thread.pid, "string");
    }
    const tids = profile.threads.map((thread) => thread.tid);
    assert.equal(new Set(tids).size, tids.length);
    if (SAMPLES[name]) assert.ok(Math.abs(weight - SAMPLES[name] * 10) < 1e-6, `${weight}`);
  }
});

test("trace events nest on each track", () => {
  for (const name of ["empty", "server", "hostile"]) {
    const { traceEvents } = JSON.parse(sample(`${name}.perfetto.json`));
    const tracks = new Map();
    for (const event of traceEvents) {
      assert.equal(typeof event.name, "string");
      if (event.ph !== "X") continue;
      assert.ok(event.dur > 0, event);
      const track = `${event.pid} ${event.tid}`;
      const open = tracks.get(track) ?? [];
      while (open.length && open.at(-1) <= event.ts + 1e-6) open.pop();
      if (open.length) assert.ok(event.ts + event.dur <= open.at(-1) + 1e-6, JSON.stringify(event));
      open.push(event.ts + event.dur);
      tracks.set(track, open);
    }
    if (name === "server") assert.equal(tracks.size, 10);
  }
});
