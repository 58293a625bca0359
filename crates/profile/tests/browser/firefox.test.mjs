// The Firefox Profiler's own code opens what is written for it: its command `profiler-cli`, which loads a profile as the site
// does (upgrade of the format included) and sums it up with the site's selectors.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import zlib from "node:zlib";
import { sample, samples } from "./browser.mjs";

const command = createRequire(import.meta.url).resolve("@firefox-devtools/profiler-cli");
let sessions = null;

before(() => { sessions = fs.mkdtempSync(path.join(os.tmpdir(), "profiler-")); });
after(() => fs.rmSync(sessions, { recursive: true }));

// The command asks a process of its own, which it starts; it gives that half a second, so that it is started here instead.
function environment() {
  return { ...process.env, PROFILER_CLI_SESSION_DIR: sessions, PROFILER_CLI_NO_SYMBOLICATE: "1" };
}

function run(...words) {
  return execFileSync(process.execPath, [command, ...words], { env: environment(), encoding: "utf8", stdio: "pipe" });
}

// Loads a sample, gives `look` the means to ask about it, and ends the process that has it.
async function loaded(name, look) {
  const words = [command, "--daemon", path.join(samples, `${name}.firefox.json`), "--session", name];
  const daemon = spawn(process.execPath, words, { env: environment(), stdio: "ignore" });
  const ask = (...words) => JSON.parse(run(...words, "--session", name, "--json"));
  try {
    const begin = Date.now();
    const wait = async (error) => {
      if (Date.now() - begin > 120_000 || daemon.exitCode !== null) throw error;
      await setTimeout(100);
    };
    // It tells where it listens; a question before that would take it for one that has gone.
    const told = path.join(sessions, `${name}.json`);
    while (!fs.existsSync(told)) await wait(new Error(`${told} does not come`));
    for (let loading = true; loading;) {
      try {
        ask("profile", "meta");
        loading = false;
      } catch (error) {
        await wait(error);
      }
    }
    look(ask);
  } finally {
    daemon.kill();
  }
}

// What a recording has, in our stored form: each track's milliseconds by function, its own and in total.
function truth(name) {
  const told = JSON.parse(zlib.gunzipSync(sample(`${name}.unknot`)));
  const tracks = told.tracks.map(() => ({ own: new Map(), total: new Map() }));
  const add = (sums, key, ms) => sums.set(key, (sums.get(key) ?? 0) + ms);
  const { totals } = told;
  totals.track.forEach((track, row) => {
    const ms = totals.wall_ns[row] / 1e6;
    const functions = [];
    for (let stack = totals.stack[row]; stack !== null; stack = told.stacks.parent[stack]) {
      functions.push(told.frames.function[told.stacks.frame[stack]]);
    }
    const key = (id) => told.strings[told.functions.name[id]];
    if (functions.length) add(tracks[track].own, key(functions[0]), ms);
    for (const id of new Set(functions)) add(tracks[track].total, key(id), ms);
  });
  return { told, tracks };
}

test("the Firefox Profiler sums a recording up as we do", async () => {
  const { told, tracks } = truth("server");
  await loaded("server", (ask) => {
    const info = ask("profile", "info", "--all");
    assert.equal(info.threadCount, told.tracks.length);
    assert.deepEqual(info.processes.map((one) => Number(one.pid)).sort(), told.processes.map((one) => one.pid).sort());
    const names = info.processes.flatMap((one) => one.threads).sort((a, b) => a.threadIndex - b.threadIndex).map((one) => one.name);
    assert.equal(names[0], "MainThread");
    assert.ok(names.includes("task accept in MainThread"), names.join());
    tracks.forEach(({ own, total }, track) => {
      const { functions } = ask("thread", "functions", "--thread", `t-${track}`, "--include-idle");
      const sum = (key, name) => functions.filter((one) => one.name === name).reduce((all, one) => all + one[key], 0);
      for (const [name, ms] of total) assert.ok(Math.abs(sum("totalSamples", name) - ms) < 1e-3, `${track} ${name}: ${sum("totalSamples", name)} for ${ms}`);
      for (const [name, ms] of own) assert.ok(Math.abs(sum("selfSamples", name) - ms) < 1e-3, `${track} ${name}: ${sum("selfSamples", name)} for ${ms}`);
      assert.equal(new Set(functions.map((one) => one.name)).size, total.size);
    });
  });
});

// How it shows a name: without what could be a C++ function's arguments or a template's.
function shown(name) {
  return name === "<!--" ? "--" : name;
}

test("the Firefox Profiler keeps names as they are", async () => {
  const { tracks } = truth("hostile");
  await loaded("hostile", (ask) => {
    tracks.forEach(({ total }, track) => {
      const { functions } = ask("thread", "functions", "--thread", `t-${track}`, "--include-idle");
      assert.deepEqual(new Set(functions.map((one) => one.name)), new Set([...total.keys()].map(shown)));
    });
  });
});

test("the Firefox Profiler opens an empty recording", async () => {
  await loaded("empty", (ask) => assert.deepEqual(ask("thread", "functions", "--thread", "t-0").functions, []));
});
