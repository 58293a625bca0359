// The page, as a person uses it: by mouse, by keyboard, and with what assistive technology reads.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { close, end, openSample } from "./browser.mjs";

after(end);

async function ready(name, options) {
  const page = await openSample(name, options);
  await page.waitForFunction(() => window.unknot);
  return page;
}

const detail = (page) => page.locator("#detail").innerText();

test("it tells what was recorded", async () => {
  const page = await ready("server.html");
  assert.equal(await page.locator("h1").innerText(), "python -m server --port 8080");
  assert.match(await page.locator("#about").innerText(), /Python 3\.13\.0 · .* · 10\.0 s · 9,500 samples · every 10\.0 ms · .*2 could not be read, 5 late/);
  assert.match(await detail(page), /all\s+100\.0 % · 95\.0 s/);
  assert.match(await page.locator("#states").innerText(), /Python\s*17 %/);
  await close(page);
});

test("search tells the share of all that matches", async () => {
  const page = await ready("server.html");
  await page.keyboard.press("/");
  await page.keyboard.type("interest");
  assert.equal(await page.locator("#matches").innerText(), "19 frames · 14.0 %");
  await page.locator("#search").fill("/^waits for .*lock/");
  assert.match(await page.locator("#matches").innerText(), /· 10\.5 %/);
  await page.locator("#search").fill("/(/");
  assert.equal(await page.locator("#matches").innerText(), "no match");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#matches").innerText(), "");
  await close(page);
});

test("the flame graph is walked and zoomed by keyboard", async () => {
  const page = await ready("server.html");
  const canvas = page.locator("#panel-flame canvas");
  await canvas.focus();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
  assert.match(await detail(page), /Thread\._bootstrap/);
  await page.keyboard.press("Enter");
  await page.locator("#zoom-out").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#zoom-out").waitFor({ state: "hidden" });
  assert.match(await detail(page), /all/);
  await close(page);
});

test("a click zooms, and another one on top zooms out", async () => {
  const page = await ready("server.html");
  const box = await page.locator("#panel-flame canvas").boundingBox();
  await page.mouse.click(box.x + 100, box.y + 50);
  assert.match(await detail(page), /thread MainThread/);
  const zoomed = await page.evaluate(() => window.unknot.flame.zoomed);
  assert.ok(zoomed > 0);
  await page.mouse.click(box.x + 100, box.y + 10);
  assert.equal(await page.evaluate(() => window.unknot.flame.zoomed), 0);
  await page.mouse.move(box.x + 100, box.y + 30);
  assert.match(await page.locator("#tip").innerText(), /process 4242/);
  await close(page);
});

test("inverted, merged and by line are toggles, and weights stay what they are", async () => {
  const page = await ready("server.html");
  for (const [id, key] of [["inverted", "i"], ["merged", "m"], ["by-line", "l"]]) {
    await page.keyboard.press(key);
    assert.equal(await page.locator(`#${id}`).getAttribute("aria-pressed"), "true");
    assert.match(await detail(page), /100\.0 % · 95\.0 s/);
    const sums = await page.evaluate(() => {
      const { tree } = window.unknot;
      return tree.children.every((children, node) =>
        children.reduce((sum, child) => sum + tree.weight[child], 0) <= tree.weight[node] + 1);
    });
    assert.ok(sums);
  }
  await close(page);
});

test("processes, threads, tasks and states are filtered", async () => {
  const page = await ready("server.html");
  const total = () => page.evaluate(() => window.unknot.tree.total / 1e9);
  await page.locator("#who").selectOption("tasks");
  assert.ok(Math.abs((await total()) - 30) < 1e-6);
  await page.locator("#who").selectOption({ label: "all of process 4300" });
  assert.ok(Math.abs((await total()) - 5) < 1e-6);
  await page.locator("#reset").click();
  await page.getByRole("button", { name: "waits" }).click();
  assert.ok(Math.abs((await total()) - 50.3) < 0.5, String(await total()));
  await page.locator("#reset").click();
  await page.getByRole("checkbox", { name: /thread Thread-1/ }).uncheck();
  assert.ok(Math.abs((await total()) - 85) < 1e-6);
  assert.equal(await page.locator("#who").inputValue(), "some");
  await close(page);
});

test("a part of the time is chosen by dragging and by typing", async () => {
  const page = await ready("server.html");
  const box = await page.locator("#timeline canvas").boundingBox();
  await page.mouse.move(box.x + box.width * 0.25, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 30);
  await page.mouse.up();
  const range = await page.evaluate(() => window.unknot.filter.range.map((ns) => ns / 1e9));
  assert.ok(Math.abs(range[0] - 2.5) < 0.05 && Math.abs(range[1] - 5) < 0.05, String(range));
  await page.locator("#range-from").fill("2");
  await page.locator("#range-to").fill("7");
  await page.locator("#range-to").press("Enter");
  // Nine tracks all the time, and the child in these five seconds.
  assert.ok(Math.abs((await page.evaluate(() => window.unknot.tree.total / 1e9)) - 50) < 1e-6);
  await page.mouse.click(box.x + 5, box.y + 20);
  assert.equal(await page.evaluate(() => window.unknot.filter.range), null);
  await close(page);
});

test("the stacks are shown in the order of time", async () => {
  const page = await ready("server.html");
  await page.getByRole("tab", { name: "By time" }).click();
  const canvas = page.locator("#panel-chart canvas");
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 400, box.y + 35);
  assert.match(await page.locator("#tip").innerText(), /<module>\s+\/srv\/app\/server\.py:91\s+10\.0 s from 0 s/);
  await canvas.focus();
  await page.keyboard.press("+");
  const range = await page.evaluate(() => window.unknot.filter.range.map((ns) => ns / 1e9));
  assert.deepEqual(range, [2.5, 7.5]);
  await close(page);
});

test("functions are sorted, and lead to where they are", async () => {
  const page = await ready("server.html");
  await page.keyboard.press("3");
  const first = () => page.locator("#panel-functions tbody tr").first().innerText();
  assert.match(await first(), /21\.1 %.*waits for work/s);
  await page.getByRole("button", { name: "function", exact: true }).click();
  assert.match(await first(), /_worker/);
  await page.getByRole("button", { name: /^interest/ }).click();
  assert.equal(await page.locator("#tab-flame").getAttribute("aria-selected"), "true");
  assert.match(await page.locator("#matches").innerText(), /14\.0 %/);
  await page.locator("#show-source").click();
  assert.match(await page.locator(".lines tr[data-line='13']").innerText(), /6\.88 %.*balance \+= balance \* rate/s);
  await close(page);
});

test("what has grown and what has shrunk is told", async () => {
  const page = await ready("diff.html");
  assert.match(await page.locator("h1").innerText(), /What has changed/);
  const shares = await page.evaluate(() => [window.unknot.tree.base[0], window.unknot.tree.weight[0]]);
  assert.ok(shares.every((share) => Math.abs(share - 1) < 1e-9), String(shares));
  await page.keyboard.press("3");
  assert.match(await page.locator("#panel-functions tbody tr").first().innerText(), /\+19\.07.*13\.6 %.*32\.7 %.*interest/s);
  await close(page);
});

test("names that would break out are only text", async () => {
  const page = await ready("hostile.html");
  for (const key of ["2", "3", "4", "1", "i"]) await page.keyboard.press(key);
  assert.equal(await page.locator("script").count(), 2);
  assert.equal(await page.locator("svg").count(), 0);
  await close(page);
});

test("an empty recording says so", async () => {
  const page = await ready("empty.html");
  for (const key of ["1", "2", "3", "4", "1"]) await page.keyboard.press(key);
  assert.match(await page.locator("main").innerText(), /Nothing to show/);
  await close(page);
});

test("fifty thousand nodes are drawn quickly", async () => {
  const page = await ready("wide.html");
  const { nodes, ms } = await page.evaluate(() => {
    const { flame } = window.unknot;
    const begin = performance.now();
    for (let i = 0; i < 10; i++) flame.draw();
    return { nodes: flame.tree.parent.length, ms: (performance.now() - begin) / 10 };
  });
  assert.ok(nodes > 50_000, String(nodes));
  console.log(`# ${nodes} nodes, ${ms.toFixed(1)} ms a frame`);
  await close(page);
});

for (const width of [1024, 1600]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`nothing is cut off at ${width} px, ${colorScheme}`, async () => {
      const page = await ready("server.html", { viewport: { width, height: 768 }, colorScheme });
      for (const key of ["1", "2", "3", "4"]) {
        await page.keyboard.press(key);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide}`);
      }
      // Each control has a name.
      const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, select, canvas[tabindex], [role=tab]")]
        .filter((element) => !element.closest("[hidden]"))
        .filter((element) => !(element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.length))
        .map((element) => element.outerHTML));
      assert.deepEqual(nameless, []);
      const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(paper, colorScheme === "dark" ? "rgb(20, 23, 28)" : "rgb(255, 255, 255)");
      await close(page);
    });
  }
}
