/** @file `?selftest`: the numbers of the oracle and of reference files, on the browser's adapter. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { PATIENCE, poll, ready, site } from "./support/browser.mjs";
import { ROOT } from "./support/native.mjs";

const visit = site();
const SHARED = resolve(process.env.PROTOSEG_SHARED ? resolve(ROOT, process.env.PROTOSEG_SHARED) : join(ROOT, "../shared"));

/** What the page leaves for scripts, once it is there: the oracle's report, or those of so many files. */
const oracle = (page) => poll(() => page.evaluate(() => globalThis.selftest), "the self test ends", 2 * PATIENCE);
const verified = (page, count) =>
  poll(() => page.evaluate((n) => globalThis.verified?.length === n && globalThis.verified, count), "the files are checked", 2 * PATIENCE);

function within(got) {
  assert.equal(got.error, undefined);
  assert.ok(got.tensors.length > 0);
  for (const tensor of got.tensors) assert.ok(tensor.passed && tensor.deviation <= tensor.tolerance, JSON.stringify(tensor));
  assert.ok(got.passed);
}

test("the section is hidden where nobody asks", (t) =>
  visit(t, {}, async (page) => assert.ok(await page.locator("#reference").isHidden())));

test("the oracle's case, and golden files through the picker", { timeout: 4 * PATIENCE }, (t) =>
  visit(t, { query: "?selftest" }, async (page) => {
    await ready(page);
    const own = await oracle(page);
    console.log(`${own.tensors.length} tensors of the oracle's case within their tolerances on ${own.adapter}`);
    within(own);
    assert.equal(await page.locator("#reference tbody tr").count(), own.tensors.length);
    const names = ["c2_k3_d16.safetensors", "edge_few_pixels.safetensors"];
    const files = names.map((name) => join(SHARED, "golden", name));
    if (!files.every((file) => existsSync(file))) return console.log("skipped: PROTOSEG_SHARED has no golden files");
    await page.setInputFiles("#pick-tests", files);
    for (const got of await verified(page, names.length)) within(got);
    return undefined;
  }));

test("what is no reference file is refused in words", (t) =>
  visit(t, { query: "?selftest" }, async (page) => {
    await ready(page);
    await oracle(page);
    await page.setInputFiles("#pick-tests", [{ name: "bad.safetensors", mimeType: "", buffer: Buffer.from("bad") }]);
    const [got] = await verified(page, 1);
    assert.ok(!got.passed && got.error.length > 10, JSON.stringify(got));
  }));
