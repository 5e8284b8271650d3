/** @file The browser that the tests drive, and what every visit must keep to. */

import assert from "node:assert/strict";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serve } from "./server.mjs";

/** The built site. */
export const DIST = resolve(process.env.WEB_DIST ?? fileURLToPath(new URL("../../dist", import.meta.url)));
/** Milliseconds: a software adapter on two cores compiles and computes slowly. */
export const PATIENCE = 240_000;

const QUIET = "--no-first-run --disable-quic --disable-background-networking --disable-component-update --disable-sync";
// The last three let the canvas show what WebGPU drew, without a GPU.
const WEBGPU = "--enable-unsafe-webgpu --enable-features=Vulkan --use-vulkan=swiftshader --use-angle=swiftshader";

/** The browser's program, or undefined. */
function program() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const runs = (file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  const folders = (process.env.PATH ?? "").split(delimiter);
  const names = ["chromium", "chromium-browser", "google-chrome"];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(runs);
}

/**
 * The browser with WebGPU or without; undefined where there is none.
 * @param {{ webgpu?: boolean, args?: string[] }} [options]
 */
export async function launch({ webgpu = true, args = [] } = {}) {
  const executablePath = program();
  if (!executablePath) return undefined;
  const flags = [...QUIET.split(" "), ...(webgpu ? WEBGPU.split(" ") : []), ...args];
  // Playwright's own way of headless is the old one, which has no WebGPU.
  return chromium.launch({ executablePath, headless: false, args: ["--headless=new", "--no-sandbox", ...flags] });
}

/** Says why a test does not run; on CI that is a failure. */
export function skip(t, reason) {
  assert.ok(!process.env.CI, `on CI this test must run: ${reason}`);
  console.log(`skipped: ${reason}`);
  t.skip(reason);
}

/**
 * A browser and a server for all tests of a file.
 * @param {{ webgpu?: boolean, extra?: Record<string, string>, args?: string[] }} [options]
 */
export function site({ webgpu = true, extra = {}, args = [] } = {}) {
  const shared = { server: null, browser: null, missing: "", adapter: false };
  before(async () => {
    if (!existsSync(join(DIST, "index.html"))) shared.missing = `${DIST} is not built; \`make web\` does it`;
    else shared.browser = await launch({ webgpu, args });
    if (!shared.browser) shared.missing ||= "none of chromium, chromium-browser, google-chrome is on PATH";
    if (shared.missing) return;
    shared.server = await serve(DIST, extra);
    if (webgpu) {
      const page = await shared.browser.newPage();
      await page.goto(`${shared.server.address}?`, { waitUntil: "commit" });
      shared.adapter = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
      await page.close();
      if (!shared.adapter) shared.missing = "the browser gives no WebGPU adapter";
    }
  });
  after(async () => {
    await shared.browser?.close();
    await shared.server?.close();
  });

  /**
   * One visit in a profile of its own. At its end no request may have left the site, and there may be no error on the
   * console or page but those that `expected` matches.
   * @param {import("node:test").TestContext} t
   * @param {{ query?: string, expected?: RegExp, prepare?: Function, context?: object }} options
   * @param {(page: import("playwright-core").Page) => Promise<void>} act
   */
  return async function visit(t, { query = "", expected = null, prepare, context = {} }, act) {
    if (shared.missing) return skip(t, shared.missing);
    const profile = await shared.browser.newContext({ viewport: { width: 1280, height: 800 }, ...context });
    const page = await profile.newPage();
    page.setDefaultTimeout(PATIENCE);
    const wrong = [];
    const note = (kind, text) => expected?.test(text) || wrong.push(`${kind}: ${text}`);
    const { origin } = new URL(shared.server.address);
    page.on("console", (message) => message.type() === "error" && note("console", message.text()));
    page.on("pageerror", (error) => note("page", String(error)));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin !== origin && !["data:", "blob:"].includes(url.protocol)) wrong.push(`another origin: ${url}`);
    });
    try {
      await prepare?.(page);
      await page.goto(shared.server.address + query);
      await act(page);
    } finally {
      await profile.close();
    }
    assert.deepEqual(wrong, []);
  };
}

/** The program's state; null before there is one. */
export const state = (page) => page.evaluate(() => globalThis.protoseg && JSON.parse(globalThis.protoseg.state()));

/**
 * Asks until the answer is truthy, and gives it. Playwright's own waitForFunction needs `eval`, which the page forbids.
 * @param {() => Promise<unknown>} ask
 * @param {string} what is waited for
 */
export async function poll(ask, what, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < end, `after ${patience / 1000} s still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/**
 * Waits for a state.
 * @param {(state: object) => boolean} wanted
 */
export async function until(page, wanted) {
  let last;
  const ask = async () => {
    last = await state(page);
    return last && wanted(last) && last;
  };
  try {
    return await poll(ask, String(wanted));
  } catch (error) {
    throw new Error(`${error.message}; the last state: ${JSON.stringify(last)}`, { cause: error });
  }
}

/** Whether all asked for was analysed. */
export const still = (s) => s.image !== null && s.seconds !== null && !s.busy && s.work === null;

/** Waits until the page takes orders and has shown its first live picture. */
export async function ready(page) {
  await poll(() => page.evaluate(() => document.documentElement.dataset.phase), "the page is ready or has failed");
  const failed = await page.locator("#failed-text").innerText();
  assert.equal(failed, "", `the page has failed: ${failed}`);
  return until(page, (s) => s.first !== null && still(s));
}

/** Drops files onto an element, as a hand would. */
export async function drop(page, selector, files) {
  const sent = files.map(({ name, type, data }) => ({ name, type, data: Buffer.from(data).toString("base64") }));
  await page.evaluate(
    ([target, list]) => {
      const transfer = new DataTransfer();
      for (const { name, type, data } of list) {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type }));
      }
      const element = document.querySelector(target);
      for (const event of ["dragenter", "dragover", "drop"]) {
        element.dispatchEvent(new DragEvent(event, { dataTransfer: transfer, bubbles: true, cancelable: true }));
      }
    },
    [selector, sent],
  );
}
