/** @file Training in the tab, and models that go from there to the native program and back. */

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { drop, ready, site, state, still, until } from "./support/browser.mjs";
import { ROOT, inFolder, protoseg } from "./support/native.mjs";

const visit = site();

/** Starts a training by the page's own controls. */
async function start(page, { net = "scratch", k = "2", steps }) {
  await page.selectOption("#train-net", net);
  await page.selectOption("#train-k", k);
  await page.fill("#train-steps", String(steps));
  await page.click("#train-start");
}

/** The losses of a run, as they came. */
const losses = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const list = new Map();
        const timer = setInterval(() => {
          const { training } = JSON.parse(globalThis.protoseg.state());
          if (!training) return;
          if (Number.isFinite(training.loss)) list.set(training.step, training.loss);
          if (!training.ended) return;
          clearInterval(timer);
          resolve([...list.entries()]);
        }, 50);
      }),
  );

test("training lowers the loss, and the saved model has the same score natively", { timeout: 900_000 }, (t) =>
  visit(t, { context: { acceptDownloads: true } }, (page) =>
    inFolder(async (folder) => {
      await ready(page);
      await start(page, { steps: 40 });
      const list = await losses(page);
      const { training } = await state(page);
      assert.ok(!training.error, training.error);
      assert.ok(list.length > 3, `only ${list.length} steps were seen`);
      console.log(`loss ${list[0][1].toFixed(3)} at step ${list[0][0]}, ${list.at(-1)[1].toFixed(3)} at step ${list.at(-1)[0]}`);
      assert.ok(list.at(-1)[1] < 0.9 * list[0][1], JSON.stringify(list));
      const is = await until(page, (s) => s.training.ended && s.training.miou !== null);
      await page.waitForSelector("#train-save:enabled");
      const [download] = await Promise.all([page.waitForEvent("download"), page.click("#train-save")]);
      assert.equal(download.suggestedFilename(), "streets-scratch-k2.safetensors");
      const file = join(folder, download.suggestedFilename());
      await download.saveAs(file);
      await protoseg("synth", "--out", join(folder, "set"), "--images", "60", "--seed", "3");
      const score = JSON.parse(await protoseg("eval", file, "--data", join(folder, "set"), "--json"));
      console.log(`mIoU ${is.training.miou.toFixed(4)} in the page, ${score.miou.toFixed(4)} natively`);
      assert.ok(Math.abs(score.miou - is.training.miou) < 0.005);
      assert.equal(score.classes.length, 9);
    }),
  ));

test("the head alone, on the frozen photograph model, starts and stops at a click", { timeout: 900_000 }, (t) =>
  visit(t, {}, async (page) => {
    await ready(page);
    await start(page, { net: "frozen", steps: 1000 });
    const { training } = await until(page, (s) => s.training && (s.training.step > 0 || s.training.error));
    assert.ok(!training.ended && !training.error, JSON.stringify(training));
    await page.click("#train-stop");
    const is = await until(page, (s) => s.training?.ended);
    assert.ok(is.training.step < 1000);
    await page.waitForSelector("#train-start:enabled");
    assert.match(await page.locator("#train-text").innerText(), /stopped/);
  }));

test("a model that was trained natively opens in the page", { timeout: 900_000 }, (t) =>
  visit(t, {}, (page) =>
    inFolder(async (folder) => {
      await ready(page);
      await protoseg("synth", "--out", join(folder, "set"), "--images", "10", "--seed", "4");
      const config = await readFile(join(ROOT, "examples/street.toml"), "utf8");
      await writeFile(join(folder, "tiny.toml"), config);
      const set = ["--set", `data.root=${join(folder, "set")}`, "--set", "train.steps=3", "--set", "train.eval_first=false"];
      await protoseg("train", join(folder, "tiny.toml"), "--out", join(folder, "run"), ...set);
      const data = await readFile(join(folder, "run/best.safetensors"));
      await drop(page, "#stage", [{ name: "tiny.safetensors", type: "", data }]);
      const is = await until(page, (s) => s.model?.name === "tiny" && still(s));
      assert.equal(is.model.bytes, data.length);
      assert.equal(await page.locator("#models input:checked").count(), 0);
    }),
  ));
