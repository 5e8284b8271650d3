/** @file The recorded picture and the bar over it, until the first live picture is there. */

import { $, calm } from "./dom.js";

// Parts of the whole bar. Compiling has no bytes; on a first visit it takes about as long as the program's download.
const PARTS = {
  program: { share: 0.45, words: "Loading the program" },
  model: { share: 0.05, words: "Loading the street model" },
  kernels: { share: 0.5, words: "Compiling for your graphics card" },
};

const done = { program: 0, model: 0, kernels: 0 };
let gone = false;

/**
 * Tells the bar about one part.
 * @param {"program" | "model" | "kernels"} part
 * @param {number} fraction 0..1
 * @param {string} text how far, in words
 */
export function part(part, fraction, text) {
  if (gone) return;
  done[part] = Math.max(done[part], fraction);
  const total = Object.keys(PARTS).reduce((sum, key) => sum + PARTS[key].share * done[key], 0);
  $("loading-bar").value = total;
  // Words for what is waited for: the first part that is not there yet.
  const waiting = Object.keys(PARTS).find((key) => done[key] < 1) ?? "kernels";
  $("loading-what").textContent = PARTS[waiting].words;
  if (waiting === part) $("loading-much").textContent = text;
}

/** Says what happens now, outside of the bar's parts. */
export function say(words, text = "") {
  if (gone) return;
  $("loading-what").textContent = words;
  $("loading-much").textContent = text;
}

/** Takes the recorded picture away. */
export function hide() {
  if (gone) return;
  gone = true;
  const shade = $("loading");
  shade.classList.add("gone");
  setTimeout(() => (shade.hidden = true), calm() ? 0 : 400);
}
