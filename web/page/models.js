/** @file The two models of this site, one of them loaded on demand. */

import { $, attempt } from "./dom.js";
import { bytes } from "./download.js";

const SHIPPED = {
  street: { path: "models/street-small.safetensors", url: new URL("./street-small.safetensors", import.meta.url) },
  camvid: { path: "models/camvid-mobilenetv2.safetensors", url: new URL("./camvid-mobilenetv2.safetensors", import.meta.url) },
};

/** Which of them were put on the page's disk. */
const there = new Set();
/** The one that is open: a name above, or "own" for any other file. */
let open = "";

export const current = () => open;

/** Says that another model was opened, and of none of the two switches that it is on. */
export function own() {
  open = "own";
  for (const input of document.querySelectorAll('input[name="model"]')) input.checked = false;
}

/**
 * Puts a shipped model on the page's disk.
 * @param {object} page
 * @param {"street" | "camvid"} name
 * @param {import("./download.js").Progress} [progress] by default the line under the buttons
 * @returns {Promise<string>} its path there
 */
export async function fetchModel(page, name, progress) {
  const { path, url } = SHIPPED[name];
  if (!there.has(name)) {
    const line = $("fetching");
    line.hidden = Boolean(progress);
    const show = (fraction, text) => {
      line.firstElementChild.value = fraction;
      line.lastElementChild.textContent = text;
    };
    try {
      page.put(path, await bytes(url, progress ?? show));
      there.add(name);
    } finally {
      line.hidden = true;
    }
  }
  return path;
}

/** The street model, fetched while the program is not there yet. */
export const streetBytes = (progress) => bytes(SHIPPED.street.url, progress);

/** Puts and opens what `streetBytes` gave. */
export function openStreet(page, data) {
  page.put(SHIPPED.street.path, data);
  there.add("street");
  return openShipped(page, "street");
}

/** Opens a shipped model, loading it first where it must be. */
export async function openShipped(page, name, progress) {
  const path = await fetchModel(page, name, progress);
  await page.open([path]);
  open = name;
  document.querySelector(`input[name="model"][value="${name}"]`).checked = true;
}

/** Lets the switch work. */
export function switches(page) {
  const fieldset = $("models");
  fieldset.disabled = false;
  fieldset.addEventListener("change", async (event) => {
    const before = open;
    fieldset.disabled = true;
    await attempt(() => openShipped(page, event.target.value));
    fieldset.disabled = false;
    // Where the file did not come, the switch goes back to what is open.
    if (open === before) {
      for (const input of fieldset.elements) input.checked = input.value === before;
    }
    fieldset.querySelector("input:checked")?.focus({ preventScroll: true });
  });
}
