/**
 * @file How fast the page is, beside the native program on the same machine, and whether its memory grows.
 *
 * Not a test: `npm run measure` prints numbers for web/README.md. Give it a quiet machine and half an hour; `MINUTES=1` for less training.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DIST, launch, poll, ready, state, until } from "./support/browser.mjs";
import { inFolder, protoseg, ROOT, STREET } from "./support/native.mjs";
import { serve } from "./support/server.mjs";

const CAMVID = join(ROOT, "models/camvid-mobilenetv2.safetensors");
const MINUTES = Number(process.env.MINUTES ?? 5);

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Megabytes that the browser's processes hold, shared pages counted once in each. */
function resident(mark) {
  const processes = new Map();
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
      const marked = readFileSync(`/proc/${id}/cmdline`, "utf8").includes(mark);
      processes.set(id, { parent: String(field("PPid")), kilobytes: field("VmRSS"), marked });
    } catch {
      // It ended meanwhile.
    }
  }
  // Renderers and the process of the graphics card do not carry the mark, only their ancestor does.
  const ours = (id) => processes.has(id) && (processes.get(id).marked || ours(processes.get(id).parent));
  const all = [...processes].filter(([id]) => ours(id));
  return Math.round(all.reduce((sum, [, { kilobytes }]) => sum + kilobytes, 0) / 1024);
}

const settled = (is) => is.first !== null && is.seconds !== null && !is.busy && is.work === null;

/** Seconds of the analysis of each of these drawn streets. */
async function analyses(page, seed, count) {
  const seconds = [];
  for (let index = 0; index < count; index += 1) {
    await page.evaluate(([seed, index]) => globalThis.protoseg.show_scene(seed, index), [seed, index % 12]);
    const is = await until(page, (now) => settled(now) && now.image?.scene?.[0] === seed && now.image.scene[1] === index % 12);
    seconds.push(is.seconds);
  }
  return seconds;
}

/** Seconds per image of `protoseg predict`, its start left out. */
async function native(model, variant) {
  return inFolder(async (folder) => {
    await protoseg("synth", "--out", join(folder, "set"), "--images", "13", "--seed", "31", "--size", "480x360");
    const images = ["train", "val"].flatMap((split) => {
      const place = join(folder, "set/images", split);
      return readdirSync(place).map((name) => join(place, name));
    });
    const timed = async (list) => {
      const start = performance.now();
      await protoseg("predict", model, ...list, "--out", join(folder, "out"), ...(variant ? ["--variant", variant] : []));
      return (performance.now() - start) / 1000;
    };
    await timed(images.slice(0, 1));
    const one = await timed(images.slice(0, 1));
    return ((await timed(images)) - one) / (images.length - 1);
  });
}

async function main() {
  const mark = "--protoseg-measure";
  const server = await serve(DIST, {});
  const say = (text) => console.log(text);
  try {
    const firsts = [];
    for (let visit = 0; visit < 3; visit += 1) {
      const browser = await launch({ args: [mark] });
      const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
      page.setDefaultTimeout(0);
      await page.goto(server.address);
      await ready(page);
      firsts.push((await state(page)).first / 1000);
      if (visit === 0) say(`adapter: ${(await state(page)).adapter}`);
      await browser.close();
    }
    say(`navigation to the first coloured picture, new browser each: ${firsts.map((s) => s.toFixed(1)).join(", ")} s`);

    const browser = await launch({ args: [mark] });
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    await page.goto(server.address);
    await ready(page);
    await analyses(page, 31, 2);
    say(`street-small, 480 x 360: ${median(await analyses(page, 31, 12)).toFixed(2)} s in the browser (median of 12)`);
    const memory = [];
    for (const seed of [41, 42, 43, 44, 45]) {
      await analyses(page, seed, 10);
      memory.push(resident(mark));
    }
    say(`memory of all its processes after 10, 20 ... 50 more images: ${memory.join(", ")} MB`);
    await page.click("#models label:has(input[value=camvid])");
    await until(page, (is) => is.model?.name.includes("camvid") && settled(is));
    say(`camvid-mobilenetv2, 480 x 360: ${median(await analyses(page, 31, 5)).toFixed(2)} s in the browser (median of 5)`);
    await browser.close();

    const trainer = await launch({ args: [mark] });
    const tab = await (await trainer.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    await tab.goto(server.address);
    await ready(tab);
    await tab.fill("#train-steps", "5000");
    await tab.click("#train-start");
    await until(tab, (is) => is.training?.step > 0);
    const growth = [];
    const start = Date.now();
    const first = (await state(tab)).training.step;
    for (let minute = 1; minute <= MINUTES; minute += 1) {
      await poll(async () => Date.now() > start + minute * 60_000, "the minute is over");
      growth.push(resident(mark));
    }
    const { training } = await state(tab);
    say(`training in the tab: ${((training.step - first) / ((Date.now() - start) / 1000)).toFixed(2)} steps a second, loss ${training.loss.toFixed(3)} at step ${training.step}`);
    say(`memory of all its processes after each minute: ${growth.join(", ")} MB`);
    await trainer.close();

    for (const [name, model] of [["street-small", STREET], ["camvid-mobilenetv2", CAMVID]]) {
      const [best, floor] = [await native(model), await native(model, "floor")];
      say(`${name} natively: ${best.toFixed(2)} s an image; with the kernels that a browser's software adapter gets (floor) ${floor.toFixed(2)} s`);
    }
  } finally {
    await server.close();
  }
}

await main();
