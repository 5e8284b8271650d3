/** @file What is shown where nothing can be computed: why, what helps, and a recorded example. */

import { $, sentence } from "./dom.js";
import { hide } from "./loading.js";

const TITLES = {
  NoWebGpu: "This browser offers no WebGPU",
  NoAdapter: "No graphics adapter answers",
  Lost: "The graphics device is lost",
  Stopped: "The program stopped",
  Failed: "The viewer could not start",
};

/** An error with one of the names above. */
export function failure(name, message) {
  return Object.assign(new Error(message), { name });
}

/**
 * Asks the browser for WebGPU before anything large is loaded.
 * @returns {Promise<string>} the adapter in the browser's words, which say as much as it likes to tell
 * @throws {Error} named `NoWebGpu` or `NoAdapter`
 */
export async function probe() {
  if (!navigator.gpu) {
    throw failure(
      "NoWebGpu",
      isSecureContext
        ? "protoseg computes on the graphics card by way of WebGPU, and this browser does not offer it, or has it switched off."
        : "Browsers offer WebGPU to secure pages only: open this page by https, or from localhost.",
    );
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter) {
    throw failure(
      "NoAdapter",
      "The browser knows WebGPU but finds no graphics adapter for it: graphics acceleration may be off, or the driver on the browser's list of troublesome ones.",
    );
  }
  const { description, vendor, architecture } = adapter.info ?? {};
  return description || [vendor, architecture].filter(Boolean).join(" ") || "WebGPU";
}

function browser() {
  const agent = navigator.userAgent;
  if (/iPhone|iPad/.test(agent)) return "safari";
  if (/Firefox\//.test(agent)) return "firefox";
  if (/Chrome\/|Chromium\//.test(agent)) return "chromium";
  return /Safari\//.test(agent) ? "safari" : "";
}

let shown = false;

/**
 * Puts the message and the recorded example in the picture's place.
 * @param {unknown} error its `name` chooses the title
 */
export function fail(error) {
  if (shown) return;
  shown = true;
  hide();
  const name = Object.hasOwn(TITLES, error?.name) ? error.name : "Failed";
  $("failed-title").textContent = TITLES[name];
  $("failed-text").textContent = sentence(error);
  const here = document.querySelector(`[data-browser="${browser()}"]`);
  if (here) {
    here.classList.add("here");
    here.parentElement.prepend(here);
  }
  for (const control of document.querySelectorAll("button")) control.disabled = control.id !== "again";
  for (const part of document.querySelectorAll(".bar, .below button, .hint, #fetching")) part.hidden = true;
  $("view").hidden = true;
  $("stage").classList.add("open");
  $("failed").hidden = false;
  $("again").onclick = () => location.reload();
  $("state").textContent = "Nothing is computed here; the picture is a recorded one.";
  $("announce").textContent = `${TITLES[name]}. ${sentence(error)}`;
  document.documentElement.dataset.phase = "failed";
}

/** Lets the handle of the recorded example move its coloured half. */
export function slider() {
  const range = $("compare");
  const move = () => {
    range.parentElement.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % coloured`);
  };
  range.addEventListener("input", move);
  move();
}
