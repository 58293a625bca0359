// The flame graph as SVG, with its script and without.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { close, end, openSample } from "./browser.mjs";

after(end);

test("it is a whole picture without script", async () => {
  const page = await openSample("server.svg", { javaScriptEnabled: false });
  const frames = page.locator("#frames > svg");
  assert.ok((await frames.count()) > 80);
  assert.match(await frames.nth(3).locator("title").textContent(), /.+\n.+ % · .+ samples/);
  await close(page);
});

test("a click zooms, Escape zooms out, search tells its share", async () => {
  const page = await openSample("server.svg");
  const shown = () => page.evaluate(() => [...document.querySelectorAll("#frames > svg")].filter((frame) => frame.style.display !== "none").length);
  const all = await shown();
  await page.locator("#frames > svg", { hasText: "thread Thread-1 (transfer)" }).first().click();
  assert.ok((await shown()) < all / 3);
  assert.match(await page.locator("#detail").textContent(), /thread Thread-1 \(transfer\)/);
  await page.keyboard.press("Escape");
  assert.equal(await shown(), all);
  await page.keyboard.press("/");
  await page.keyboard.type("interest");
  assert.match(await page.locator("#detail").textContent(), /matches 19 frames with 14\.0 % of all/);
  assert.equal(await page.locator(".hit").count(), 19);
  await close(page);
});

test("it is walked by keyboard, and turned over", async () => {
  const page = await openSample("server.svg");
  await page.locator("#frames > svg").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  assert.match(await page.locator("#detail").textContent(), /process 4300/);
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("width")), "100.0000%");
  const top = () => page.evaluate(() => Number(document.querySelector("#frames > svg").getAttribute("y")));
  const before = await top();
  await page.keyboard.press("i");
  assert.ok((await top()) > before);
  await close(page);
});

test("names that would break out are only text", async () => {
  const page = await openSample("hostile.svg");
  assert.equal(await page.locator("script").count(), 1);
  await close(page);
});
