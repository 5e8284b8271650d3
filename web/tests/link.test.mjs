/** @file What the address asks for: `?model=` and `?image=`. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { ready, site } from "./support/browser.mjs";
import { ROOT, STREET } from "./support/native.mjs";

const visit = site({
  extra: {
    "own/mine.safetensors": STREET,
    "own/bad.safetensors": join(ROOT, "README.md"),
    "own/street.jpg": join(ROOT, "web/page/example.jpg"),
  },
});

const notices = (page) => page.locator("#notices").innerText();

test("a model and an image beside the page", (t) =>
  visit(t, { query: "?model=own/mine.safetensors&image=own/street.jpg" }, async (page) => {
    const is = await ready(page);
    assert.equal(is.model.name, "mine");
    assert.match(is.image.name, /street/);
    assert.deepEqual([is.image.width, is.image.height, is.image.labelled], [480, 360, false]);
    assert.equal((await notices(page)).trim(), "");
  }));

test("a drawn street", (t) =>
  visit(t, { query: "?image=7-3" }, async (page) => {
    const is = await ready(page);
    assert.deepEqual(is.image.scene, [7, 3]);
    assert.ok(is.miou > 0);
  }));

test("the model for photographs", (t) =>
  visit(t, { query: "?model=camvid&image=own/street.jpg" }, async (page) => {
    const is = await ready(page);
    assert.match(is.model.name, /^camvid/);
    assert.ok(await page.locator('#models input[value="camvid"]').isChecked());
  }));

for (const [query, ...sentences] of [
  ["?model=nonsense&image=7-12", /the model “nonsense”, which is neither/, /the image “7-12”, which is neither/],
  ["?model=https://elsewhere.example/a.safetensors&image=https://elsewhere.example/a.jpg", /a\.safetensors”, which is neither/, /a\.jpg”, which is neither/],
  ["?model=//elsewhere.example/a.safetensors&image=4294967296-0", /a\.safetensors”, which is neither/, /4294967296-0”, which is neither/],
  ["?model=own/none.safetensors&image=own/none.png", /none\.safetensors could not be loaded: the server answers 404/, /none\.png could not be loaded: the server answers 404/],
  ["?model=own/bad.safetensors", /The street model is shown instead/],
]) {
  test(`${query} is told in words, and a street shown all the same`, (t) =>
    visit(t, { query, expected: /Failed to load resource.*404/ }, async (page) => {
      const is = await ready(page);
      assert.equal(is.model.name, "street-small");
      assert.ok(is.image.scene);
      for (const sentence of sentences) assert.match(await notices(page), sentence);
    }));
}
