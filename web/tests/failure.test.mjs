/** @file No blank page: without WebGPU, without an adapter, without the program, and when it dies. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ready, site } from "./support/browser.mjs";

/** The message and the recorded example with its handle. */
async function explained(page, title) {
  await page.waitForSelector("#failed:not([hidden])");
  assert.match(await page.locator("#failed-title").innerText(), title);
  assert.ok((await page.locator("#failed-text").innerText()).length > 40);
  assert.match(await page.locator(".browsers .here").innerText(), /Chrome/);
  assert.ok(await page.locator("#loading").evaluate((shade) => shade.hidden || shade.classList.contains("gone")));
  assert.ok(await page.locator("#compare-top").evaluate(async (img) => (await img.decode(), img.naturalWidth > 0)));
  const at = () => page.locator(".compare").evaluate((box) => getComputedStyle(box).getPropertyValue("--at").trim());
  const before = await at();
  await page.focus("#compare");
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await at(), before);
  assert.ok(await page.locator("#new-streets").isDisabled());
  assert.ok(await page.locator("#train-start").isDisabled());
  await Promise.all([page.waitForEvent("load"), page.click("#again")]);
}

describe("without WebGPU", () => {
  const visit = site({ webgpu: false });

  test("a browser that was started without it", (t) =>
    // Where this browser has a GPU it may offer WebGPU all the same; then there is nothing to see here.
    visit(t, {}, async (page) => {
      const offered = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
      if (offered) return t.skip("this browser offers WebGPU unasked");
      return explained(page, /no WebGPU|No graphics adapter/);
    }));

  test("no navigator.gpu", (t) =>
    visit(t, { prepare: (page) => page.addInitScript(() => delete Navigator.prototype.gpu) }, (page) => explained(page, /offers no WebGPU/)));

  test("no adapter", (t) => {
    const none = () => Object.defineProperty(Navigator.prototype, "gpu", { get: () => ({ requestAdapter: async () => null }) });
    return visit(t, { prepare: (page) => page.addInitScript(none) }, (page) => explained(page, /No graphics adapter/));
  });
});

describe("with WebGPU", () => {
  const visit = site();

  test("the program does not arrive", (t) =>
    visit(t, { expected: /Failed to load resource|net::ERR/, prepare: (page) => page.route("**/*.wasm", (route) => route.abort()) }, (page) =>
      explained(page, /could not start/),
    ));

  test("the program is not what it should be", (t) =>
    visit(
      t,
      // wasm-bindgen warns before it gives up.
      { prepare: (page) => page.route("**/*.wasm", (route) => route.fulfill({ contentType: "application/wasm", body: "no wasm" })) },
      (page) => explained(page, /could not start/),
    ));

  test("the device is lost", (t) =>
    visit(t, {}, async (page) => {
      await ready(page);
      await page.evaluate(() => globalThis.protoseg.lose());
      await explained(page, /device is lost/);
    }));

  test("the program panics", (t) =>
    visit(t, {}, async (page) => {
      await ready(page);
      await page.evaluate(() => {
        globalThis.protoseg.state = () => {
          throw new WebAssembly.RuntimeError("unreachable");
        };
      });
      await explained(page, /stopped/);
    }));
});

describe("without scripts", () => {
  const visit = site({ webgpu: false });

  test("the page says that it needs them", (t) =>
    visit(t, { context: { javaScriptEnabled: false } }, async (page) => {
      assert.match(await page.locator("noscript").innerText(), /needs JavaScript/);
    }));
});
