/** @file The section that trains: what to train, how it goes, and the file that comes of it. */

import { $, attempt, calm, make, notice } from "./dom.js";
import { fetchModel } from "./models.js";
import { DRAWN, configuration } from "./presets.js";

/** Runs so far: each gets a folder of its own. */
let runs = 0;
const folder = () => `run-${runs}`;
/** Seed of the drawn set: `protoseg synth --images 60 --seed 3` draws the same. */
const SEED = 3;

/** Steps and losses of the run at hand, for the curve. */
let curve = [];
/** True from the start button to the first state that shows the new run. */
let starting = false;
let file = "";

function draw() {
  const points = curve.filter(({ loss }) => Number.isFinite(loss));
  if (points.length < 2) return $("train-curve").firstElementChild.setAttribute("points", "");
  const most = Math.max(...points.map(({ loss }) => loss));
  const least = Math.min(0, ...points.map(({ loss }) => loss));
  const last = Math.max(points.at(-1).steps, 1);
  const place = ({ step, loss }) =>
    `${((300 * step) / last).toFixed(1)},${(57 - (54 * (loss - least)) / (most - least || 1)).toFixed(1)}`;
  $("train-curve").firstElementChild.setAttribute("points", points.map(place).join(" "));
}

/**
 * Shows how the training goes.
 * @param {object | null} training of the program's state
 */
export function follow(training) {
  if (!training) return;
  const { step, steps, loss, miou, ended, error } = training;
  // The run before, until the new one is there.
  if (starting && ended && !error) return;
  starting = false;
  $("train-live").hidden = false;
  $("train-start").disabled = !ended;
  $("train-stop").disabled = ended;
  $("train-save").disabled = !ended;
  $("train-watch").hidden = false;
  $("train-bar").value = steps ? step / steps : 0;
  const known = Number.isFinite(loss);
  const parts = [`Step ${step} of ${steps}`];
  if (known) parts.push(`loss ${loss.toFixed(3)}`);
  if (Number.isFinite(miou)) parts.push(`validation mIoU ${(miou * 100).toFixed(1)} %`);
  if (error) parts.push(error);
  else if (ended) parts.push(step < steps ? "stopped" : "done");
  $("train-text").textContent = parts.join(" · ");
  if (known && (curve.length === 0 || curve.at(-1).step < step)) {
    curve.push({ step, steps, loss });
    draw();
  }
}

/** Adds a folder of the visitor's own to the list, and chooses it. */
export function offer(path) {
  const list = $("train-data");
  const known = [...list.options].some((option) => option.value === path);
  if (!known) list.append(make("option", { value: path, textContent: `Your folder: ${path.split("/").slice(2).join("/") || "images and masks"}` }));
  list.value = path;
}

async function begin(page) {
  const data = $("train-data").value;
  const net = $("train-net").value;
  const drawn = data === "streets";
  const weights = net === "frozen" ? await fetchModel(page, "camvid") : undefined;
  if (drawn) {
    $("train-text").textContent = `Drawing ${DRAWN} streets`;
    // Two frames, so that the words are seen before the drawing takes the thread.
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    await page.draw_set("streets", DRAWN, SEED);
  }
  curve = [];
  draw();
  const [prototypes, steps] = [Number($("train-k").value), Number($("train-steps").value)];
  const text = configuration({ root: data, drawn, net, weights, prototypes, steps });
  file = `${drawn ? "streets" : "own"}-${net}-k${prototypes}.safetensors`;
  runs += 1;
  await page.train(text, folder());
}

function save(page) {
  const bytes = page.file(`${folder()}/best.safetensors`) ?? page.file(`${folder()}/last.safetensors`);
  if (!bytes) return notice("This training left no model: it was stopped before its first checkpoint.", { bad: true });
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  make("a", { href: url, download: file || "model.safetensors" }).click();
  // The download has its own hold on the data by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Lets the section work. */
export function trainer(page) {
  const start = $("train-start");
  start.disabled = false;
  $("train-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    start.disabled = true;
    starting = true;
    $("train-live").hidden = false;
    $("train-bar").value = 0;
    $("train-text").textContent = "Starting";
    const begun = await attempt(() => begin(page).then(() => true));
    if (!begun) {
      starting = false;
      start.disabled = false;
      $("train-live").hidden = true;
    }
  });
  $("train-stop").addEventListener("click", () => attempt(() => page.stop_training()));
  $("train-save").addEventListener("click", () => save(page));
  $("train-watch").addEventListener("click", (event) => {
    event.preventDefault();
    $("stage").scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "center" });
    $("view").focus({ preventScroll: true });
  });
}
