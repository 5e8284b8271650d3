/** @file What the page looks like and how it is reached: phone to 4K, light and dark, keyboard and touch. */

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ready, site } from "./support/browser.mjs";

const SHOTS = process.env.WEB_SHOTS;
const SIZES = {
  phone: { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
  tablet: { viewport: { width: 820, height: 1180 }, hasTouch: true, isMobile: true },
  desktop: { viewport: { width: 1280, height: 800 } },
  wide: { viewport: { width: 3840, height: 2160 } },
};
/** Without screenshots to be looked at: on two cores a picture of a large window takes a minute. */
const SCHEMES = { phone: ["light"], tablet: ["dark"], desktop: ["light", "dark"], wide: ["dark"] };

async function shot(page, name) {
  if (!SHOTS) return;
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
  await page.evaluate(() => document.querySelectorAll("img").forEach((img) => (img.loading = "eager")));
  await page.screenshot({ path: join(SHOTS, `${name}-whole.png`), fullPage: true });
}

/** Nothing sticks out sideways, and what is pressed is large enough to be hit. */
async function fits(page) {
  const { wide, sideways, small } = await page.evaluate(() => {
    const seen = (element) => element.getClientRects().length > 0;
    const edge = document.documentElement.clientWidth;
    const controls = [...document.querySelectorAll("button, select, .switch label, .form input")].filter(seen);
    return {
      wide: [...document.body.querySelectorAll("*")]
        .filter((e) => seen(e) && e.getBoundingClientRect().right > edge + 0.5 && !e.closest(".results, .stage"))
        .map((e) => e.outerHTML.slice(0, 80)),
      sideways: document.documentElement.scrollWidth - edge,
      small: controls.filter((c) => c.getBoundingClientRect().height < 30).map((c) => c.outerHTML.slice(0, 80)),
    };
  });
  assert.deepEqual(wide, []);
  assert.equal(sideways, 0, "the page scrolls sideways");
  assert.deepEqual(small, []);
}

describe("with WebGPU", () => {
  const visit = site();

  for (const [name, context] of Object.entries(SIZES)) {
    for (const colorScheme of SHOTS ? ["light", "dark"] : SCHEMES[name]) {
      test(`${name}, ${colorScheme}`, (t) =>
        visit(t, { context: { ...context, colorScheme } }, async (page) => {
          await ready(page);
          await page.waitForSelector("#loading", { state: "hidden" });
          await page.waitForTimeout(500);
          await shot(page, `${name}-${colorScheme}`);
          await fits(page);
          const stage = await page.locator("#stage").boundingBox();
          const { width, height } = context.viewport;
          assert.ok(stage.height < 0.9 * height && stage.height > 0.4 * height, "the picture leaves room to scroll by, and is large");
          assert.ok(stage.x >= 8 && stage.x + stage.width <= width - 8);
          assert.equal(await page.locator("#view").evaluate((view) => getComputedStyle(view).touchAction), "none");
        }));
    }
  }

  test("the keyboard reaches everything, and leaves the picture", (t) =>
    visit(t, {}, async (page) => {
      await ready(page);
      await page.waitForSelector("#copy-link");
      const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.className);
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "skip");
      const met = new Set();
      for (let i = 0; i < 20 && (await focused()) !== "view"; i += 1) {
        await page.keyboard.press("Tab");
        met.add(await focused());
      }
      for (const id of ["new-streets", "photo", "folder", "view"]) assert.ok(met.has(id), `${id} among ${[...met]}`);
      await page.keyboard.press("F6");
      assert.equal(await focused(), "after");
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "copy-link");
      await page.keyboard.press("F6");
      // The viewer may hand the focus on to the field that it reads text from.
      assert.notEqual(await focused(), "after");
    }));

  test("every control has a name", (t) =>
    visit(t, {}, async (page) => {
      await ready(page);
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll("button, select, input:not([type=file]), canvas, a, progress, img")]
          .filter((e) => e.id || e.closest("main"))
          .filter((e) => !(e.ariaLabel || e.getAttribute("aria-labelledby") || e.textContent.trim() || e.labels?.length || e.hasAttribute("alt")))
          .map((e) => e.outerHTML.slice(0, 100)),
      );
      assert.deepEqual(nameless, []);
    }));
});

describe("without WebGPU", () => {
  const visit = site({ webgpu: false });
  const off = (page) => page.addInitScript(() => delete Navigator.prototype.gpu);

  for (const name of ["phone", "desktop"]) {
    test(`the message, ${name}`, (t) =>
      visit(t, { prepare: off, context: { ...SIZES[name], colorScheme: name === "phone" ? "dark" : "light" } }, async (page) => {
        await page.waitForSelector("#failed:not([hidden])");
        await page.waitForTimeout(500);
        await fits(page);
        await shot(page, `failed-${name}`);
      }));
  }
});
