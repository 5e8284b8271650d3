/** @file The page on a browser with WebGPU: it starts, segments as the native program does, reads the pointer, takes files. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { DIST, drop, poll, ready, site, state, still, until } from "./support/browser.mjs";
import { ROOT, STREET, inFolder, meanIou, protoseg } from "./support/native.mjs";
import { values } from "./support/png.mjs";

// A camera that shows a drawn test picture.
const visit = site({ args: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"] });
const EXAMPLE = join(ROOT, "web/page/example.jpg");
const SIZE = "480x360"; // of the streets that the page draws

/** The class of every pixel that the page shows; the shipped models have few. */
const mask = async (page) => {
  const text = await page.evaluate(async () => {
    const labels = (await globalThis.protoseg.mask()) ?? [];
    return Array.from(labels, (label) => String.fromCharCode(label)).join("");
  });
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
};

/** What the native program predicts for `image`. */
async function native(model, folder, image) {
  await protoseg("predict", model, image, "--out", join(folder, "maps"));
  const name = image.split("/").pop().replace(/\.\w+$/, ".png");
  return values(await readFile(join(folder, "maps", name)));
}

test("the page loads, finds an adapter and shows a first picture", (t) =>
  visit(t, {}, async (page) => {
    const is = await ready(page);
    console.log(`first picture after ${(is.first / 1000).toFixed(1)} s on ${is.adapter}; analysed in ${is.seconds.toFixed(2)} s`);
    assert.ok(is.adapter.length > 0);
    assert.equal(is.model.name, "street-small");
    assert.ok(is.miou > 0.2 && is.miou < 1, `mIoU ${is.miou}`);
    await page.waitForSelector("#loading", { state: "hidden" });
    assert.match(await page.locator("#state").innerText(), /street-small[^]*mIoU[^]*%/);
    assert.ok(await page.locator("#new-streets").isEnabled());
    assert.ok(await page.locator("#failed").isHidden());
  }));

test("the recorded picture and a bar are there before the program", (t) =>
  visit(t, { prepare: (page) => page.route("**/*.wasm", async (route) => setTimeout(() => route.continue().catch(() => {}), 3000)) }, async (page) => {
    assert.ok(await page.locator("#loading img").first().evaluate(async (img) => (await img.decode(), img.naturalWidth > 0)));
    await poll(async () => /^Loading the program/.test(await page.locator("#loading-what").innerText()), "words");
    const bar = () => page.locator("#loading-bar").evaluate((element) => element.value);
    const early = await bar();
    assert.ok(early < 0.2);
    await poll(async () => (await bar()) > early, "the bar moves");
    await ready(page);
  }));

test("a drawn street is segmented as by the native program", (t) =>
  visit(t, {}, (page) =>
    inFolder(async (folder) => {
      await ready(page);
      await page.evaluate(() => globalThis.protoseg.show_scene(7, 0));
      await until(page, (s) => s.image?.scene?.join() === "7,0" && still(s));
      await protoseg("synth", "--out", join(folder, "set"), "--images", "12", "--seed", "7", "--size", SIZE);
      const expected = await native(STREET, folder, join(folder, "set/images/train/street00000.png"));
      const got = await mask(page);
      const iou = meanIou(got, expected.values);
      console.log(`mean IoU of the page's classes with the native ones: ${iou.toFixed(5)}`);
      assert.ok(iou > 0.99, `mean IoU ${iou}`);
      assert.notEqual(new Set(got).size, 1);
    }),
  ));

test("the pointer reads the class that the mask has there", (t) =>
  visit(t, {}, async (page) => {
    const is = await ready(page);
    const labels = await mask(page);
    const box = await page.locator("#view").boundingBox();
    const read = new Set();
    for (const [fx, fy] of [[0.3, 0.4], [0.5, 0.5], [0.45, 0.7], [0.6, 0.35], [0.35, 0.6], [0.5, 0.25]]) {
      const before = JSON.stringify((await state(page)).hover);
      await page.mouse.move(box.x + fx * box.width, box.y + fy * box.height, { steps: 3 });
      await page.waitForTimeout(1500);
      const { hover } = await state(page);
      if (!hover || JSON.stringify(hover) === before) continue;
      assert.equal(hover.class, is.model.classes[labels[hover.y * is.image.width + hover.x]], JSON.stringify(hover));
      assert.ok(Number.isInteger(hover.prototype));
      read.add(`${hover.x},${hover.y}`);
    }
    assert.ok(read.size >= 3, `only ${read.size} places of the picture answered the pointer`);
  }));

test("new streets come at a click, with labels, and have a link", (t) =>
  visit(t, { context: { permissions: ["clipboard-read", "clipboard-write"] } }, async (page) => {
    const first = await ready(page);
    await page.click("#new-streets");
    const is = await until(page, (s) => still(s) && s.image.scene?.join() !== first.image.scene.join());
    assert.ok(is.image.labelled && is.miou > 0);
    await page.click("#copy-link");
    const address = new URL(await page.evaluate(() => navigator.clipboard.readText()));
    assert.equal(address.searchParams.get("image"), is.image.scene.join("-"));
    await page.goto(address.href);
    const again = await ready(page);
    assert.deepEqual(again.image.scene, is.image.scene);
  }));

test("a dropped photograph is shown, and the other model offered", (t) =>
  visit(t, {}, async (page) => {
    await ready(page);
    const data = await readFile(EXAMPLE);
    await drop(page, "#view", [{ name: "my-street.jpg", type: "image/jpeg", data }]);
    const is = await until(page, (s) => still(s) && s.image.name.includes("my-street"));
    assert.deepEqual([is.image.width, is.image.height, is.image.labelled], [480, 360, false]);
    assert.equal(is.miou, null);
    const size = (await readFile(join(ROOT, "models/camvid-mobilenetv2.safetensors"))).length;
    // Said before it is loaded, here and on the switch.
    assert.match(await page.locator("#notices").innerText(), new RegExp(`${(size / 1e6).toFixed(1)} MB`));
    assert.match(await page.locator("#models").innerText(), new RegExp(`${(size / 1e6).toFixed(1)} MB`));
    await page.click("#notices .primary");
    const other = await until(page, (s) => s.model?.name.startsWith("camvid") && still(s));
    assert.equal(other.model.bytes, size);
    assert.ok(await page.locator('#models input[value="camvid"]').isChecked());
  }));

test("a pasted image and a chosen one are shown; a file that nobody knows is refused in words", (t) =>
  visit(t, {}, async (page) => {
    await ready(page);
    const data = [...(await readFile(EXAMPLE))];
    await page.evaluate((bytes) => {
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([Uint8Array.from(bytes)], "pasted.jpg", { type: "image/jpeg" }));
      document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, data);
    await until(page, (s) => s.image?.name.includes("pasted"));
    await page.setInputFiles("#pick-photos", EXAMPLE);
    await until(page, (s) => s.image?.name.includes("example"));
    await drop(page, "#stage", [{ name: "letter.docx", type: "", data: "x" }]);
    await page.waitForSelector(".notice.bad");
    assert.match(await page.locator(".notice.bad").innerText(), /Nothing in there can be opened/);
  }));

test("a folder of images and masks keeps its paths and its labels", (t) =>
  visit(t, {}, (page) =>
    inFolder(async (folder) => {
      await ready(page);
      await protoseg("synth", "--out", join(folder, "mine"), "--images", "10", "--seed", "5");
      await page.setInputFiles("#pick-folder", join(folder, "mine"));
      const is = await until(page, (s) => s.image && !s.image.scene && s.image.labelled && s.miou !== null);
      assert.deepEqual([is.image.width, is.image.height], [256, 160]);
      assert.match(await page.locator("#train-data").inputValue(), /\/mine$/);
    }),
  ));

test("a WebP picture, which only the browser reads, is shown too", (t) =>
  visit(t, {}, async (page) => {
    await ready(page);
    const url = await page.evaluate(() => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 96, height: 64 });
      canvas.getContext("2d").fillRect(0, 0, 96, 64);
      return canvas.toDataURL("image/webp");
    });
    await drop(page, "#stage", [{ name: "small.webp", type: "image/webp", data: Buffer.from(url.split(",")[1], "base64") }]);
    const is = await until(page, (s) => s.image?.name.includes("small"));
    assert.deepEqual([is.image.width, is.image.height], [96, 64]);
  }));

test("the camera's picture is shown, and the camera goes dark", (t) =>
  visit(t, { context: { permissions: ["camera"] } }, async (page) => {
    await ready(page);
    await page.click("#camera");
    await page.click("#camera-take:enabled");
    const is = await until(page, (s) => s.image?.name.includes("camera") && s.image.width >= 320);
    assert.ok(!is.image.labelled);
    assert.equal(await page.locator("#camera-video").evaluate((video) => video.srcObject), null);
    assert.equal(await page.locator("#camera-dialog").evaluate((dialog) => dialog.open), false);
  }));

test("every reference of the built page is relative", async (t) => {
  const html = await readFile(join(DIST, "index.html"), "utf8").catch(() => null);
  if (html === null) return t.skip("the site is not built");
  const found = [...html.matchAll(/<(\w+)[^>]*?\s(?:src|href)="([^"]*)"[^>]*>/g)];
  assert.ok(found.length > 15);
  for (const [tag, name, target] of found) {
    if (name === "a" && target.startsWith("https://")) assert.match(tag, /rel="noreferrer"/);
    else assert.match(target, /^(\.\/|assets\/|#|data:image)/, tag);
  }
});
