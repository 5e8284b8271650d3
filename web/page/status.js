/** @file Watching the program: the line under the picture, and whether it still lives. */

import { $, make, sentence } from "./dom.js";
import { failure } from "./failure.js";

const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** The adapter as the browser's own interface calls it. */
let named = "WebGPU";
export const name = (adapter) => (named = adapter);

/** The facts of the line, in order; each may be absent. */
function facts(state) {
  const { adapter, image, seconds, miou, model } = state;
  const list = [];
  if (model) list.push(["Model", model.name]);
  if (image) list.push(["Image", `${image.name}, ${image.width} × ${image.height}`]);
  if (seconds !== null) list.push(["Analysed in", `${seconds < 10 ? seconds.toFixed(2) : Math.round(seconds)} s`]);
  if (miou !== null) list.push(["mIoU against its labels", percent(miou)]);
  // A browser that names no adapter to the program leaves that part blank.
  list.push(["On", /^\w/.test(adapter) ? adapter : named]);
  return list;
}

let line = "";
let told = "";
let telling = 0;

function show(state) {
  const list = facts(state);
  const work = state.work ? `${state.work.what}, ${state.work.done} of ${state.work.of}` : "";
  const text = JSON.stringify([list, work]);
  if (text === line) return;
  line = text;
  const parts = list.map(([name, value]) => make("span", {}, make("span", { className: "quiet", textContent: `${name} ` }), make("b", { textContent: value })));
  if (work) parts.push(make("span", { className: "quiet", textContent: `${work} …` }));
  $("state").replaceChildren(...parts);
}

/** Reads out a picture that is done, once it has been still for a second. */
function announce(state) {
  const { image, model, seconds, miou, busy, work } = state;
  const text = image && seconds !== null ? `${image.name} analysed by ${model?.name ?? "the model"}${miou === null ? "" : `, mean IoU ${percent(miou)}`}.` : "";
  if (busy || work || text === told) return;
  told = text;
  clearTimeout(telling);
  telling = setTimeout(() => ($("announce").textContent = text), 1000);
}

/** @returns {object} the program's state, read now */
export const read = (page) => JSON.parse(page.state());

/**
 * Waits until the program has done what was asked, which it does on its own time.
 * @param {(state: object) => unknown} done
 * @throws {Error} with the program's sentence, where it shows one
 */
export async function settled(page, done) {
  for (;;) {
    const state = read(page);
    if (done(state)) return true;
    if (state.error) throw new Error(`${state.error.replace(/[.]?$/, ".")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Asks the program how it is, a few times a second, as long as it lives.
 * @param {object} page
 * @param {(state: object) => void} follow called with every state
 * @param {(error: Error) => void} died called once, when the device is lost or the program has stopped
 */
export function watch(page, follow, died) {
  let over = false;
  const end = (error) => {
    if (!over) died(error);
    over = true;
  };
  let mute = 0;
  const stopped = (error) =>
    end(failure("Stopped", `The viewer ran into an error of its own and cannot go on; what was not saved is lost. (${sentence(error)})`));
  // A panic in wasm surfaces wherever the browser called it, as a trap.
  addEventListener("error", ({ error }) => error instanceof WebAssembly.RuntimeError && stopped(error));
  addEventListener("unhandledrejection", ({ reason }) => reason instanceof WebAssembly.RuntimeError && stopped(reason));
  const ask = () => {
    if (over) return undefined;
    let state;
    try {
      state = read(page);
    } catch (error) {
      // A window that is being drawn answers a moment later; one that broke down never does.
      mute += 1;
      if (mute > 20 || error instanceof WebAssembly.RuntimeError || /panic/i.test(sentence(error))) return stopped(error);
      return setTimeout(ask, 100);
    }
    mute = 0;
    if (state.lost) {
      return end(failure("Lost", "The browser took the graphics device away, as it does when a driver is reset or the memory of the card runs out."));
    }
    show(state);
    announce(state);
    follow(state);
    return setTimeout(ask, state.busy || state.work || state.training ? 150 : 300);
  };
  ask();
}
