// A page in headless Chromium, in which any error is the test's.

import { chromium } from "playwright-core";
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

export const samples = process.env.UNKNOT_SAMPLES ?? assert.fail("UNKNOT_SAMPLES names no directory; use ./run");

export function sample(name) {
  return fs.readFileSync(path.join(samples, name));
}

let browser = null;

export async function open(url, options = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
  });
  const context = await browser.newContext({ viewport: { width: 1024, height: 768 }, ...options });
  const page = await context.newPage();
  page.errors = [];
  page.said = [];
  page.asked = [];
  page.on("pageerror", (error) => page.errors.push(error.message));
  page.on("console", (message) => (message.type() === "error" ? page.errors : page.said).push(message.text()));
  page.on("dialog", (dialog) => { page.errors.push(dialog.message()); dialog.dismiss(); });
  page.on("request", (request) => page.asked.push(request.url()));
  await page.goto(url);
  return page;
}

export function openSample(name, options) {
  return open(`file://${path.join(samples, name)}`, options);
}

// Ends a test's page: it has made no errors, and asked for nothing but itself.
export async function close(page, asked = 1) {
  assert.deepEqual(page.errors, []);
  if (asked !== null) assert.equal(page.asked.length, asked, page.asked.join("\n"));
  await page.context().close();
}

export async function end() {
  await browser?.close();
}
