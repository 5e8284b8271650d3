/** @file The page: starts the program, and ties its parts to the buttons. */

import { camera, available as cameraAvailable } from "./camera.js";
import * as checks from "./checks.js";
import { $, attempt, notice, sentence } from "./dom.js";
import { bytes, open } from "./download.js";
import { fail, failure, probe, slider } from "./failure.js";
import * as intake from "./intake.js";
import * as link from "./link.js";
import * as loading from "./loading.js";
import * as models from "./models.js";
import { begin, keys, name } from "./keyboard.js";
import * as status from "./status.js";
import * as training from "./train.js";

/** The drawn street of the recorded picture, so that the live one takes its place. */
const RECORDED = [21, 5];

const wishes = link.read(location.search);

/** The program's own module; imported late, so that the page has words where it cannot be loaded. */
async function glue() {
  try {
    return await import("./protoseg.js");
  } catch (error) {
    throw failure("Failed", `The program could not be loaded: ${sentence(error)}`);
  }
}

/** Loads and starts the program. */
async function launch() {
  status.name(await probe());
  const counted = (part) => (fraction, text) => loading.part(part, fraction, text);
  const [program, wasm, street] = await Promise.all([
    glue(),
    open(new URL("./protoseg_bg.wasm", import.meta.url), counted("program")),
    models.streetBytes(counted("model")),
  ]);
  try {
    await program.default({ module_or_path: wasm });
  } catch (error) {
    throw failure("Failed", `The program did not arrive whole, or this browser is too old for it. (${sentence(error)})`);
  }
  loading.part("program", 1, "");
  const page = await program.Page.start($("view"), JSON.stringify({ theme: null, seed: null }));
  name();
  return { program, page, street };
}

/** Shows the image that the address asks for, or a street. */
async function picture(page) {
  const { image } = wishes;
  if (image?.kind === "file") {
    const shown = await attempt(async () => {
      page.put(`linked/${image.name}`, await bytes(image.url, () => {}));
      await page.open([`linked/${image.name}`]);
      return status.settled(page, (state) => state.image);
    });
    if (shown) return;
  }
  const [seed, index] = image?.kind === "scene" ? [image.seed, image.index] : RECORDED;
  await page.show_scene(seed, index);
}

/** Opens the model that the address asks for, or the one for drawn streets. */
async function model(page, street) {
  const wish = wishes.model;
  const counted = (_, text) => loading.say("Loading the model", text);
  try {
    if (wish.kind === "street") await models.openStreet(page, street);
    else if (wish.kind === "camvid") await models.openShipped(page, "camvid", counted);
    else {
      page.put(`linked/${wish.name}`, await bytes(wish.url, counted));
      await page.open([`linked/${wish.name}`]);
      await status.settled(page, (state) => state.model?.bytes > 0);
      models.own();
    }
  } catch (error) {
    notice(`${sentence(error)} The street model is shown instead.`, { bad: true });
    await models.openStreet(page, street);
  }
}

/** Takes files in, from wherever they come. */
async function receive(program, page, incoming, where) {
  const claimed = wishes.selftest && checks.claims(program, where, incoming);
  if (claimed) return claimed;
  const found = await intake.take(page, await incoming);
  if (found.models > 0) models.own();
  for (const folder of found.sets) training.offer(folder);
  if (found.sets.length === 0 && found.images > 0 && found.models === 0 && models.current() === "street") {
    notice("The model that is open knows drawn streets only. For photographs of streets there is another one (4.1 MB).", {
      action: { name: "Load it", run: () => attempt(() => models.openShipped(page, "camvid")) },
    });
  }
  return undefined;
}

/** Lets the buttons above the picture work. */
function buttons(program, page) {
  const take = (files, where) => receive(program, page, files, where);
  for (const id of ["new-streets", "photo", "camera", "folder", "full"]) $(id).disabled = false;
  $("new-streets").addEventListener("click", () => attempt(() => page.new_scenes()));
  intake.picker($("photo"), $("pick-photos"), take);
  $("folder").hidden = !("webkitdirectory" in $("pick-folder"));
  intake.picker($("folder"), $("pick-folder"), take);
  $("camera").hidden = !cameraAvailable();
  camera((file) => attempt(() => take([{ path: file.name, file }], $("camera"))));
  $("full").hidden = !document.fullscreenEnabled;
  $("full").addEventListener("click", () => attempt(() => $("stage").requestFullscreen()));
  $("copy-link").addEventListener("click", async () => {
    const address = link.write(status.read(page).image.scene, models.current());
    try {
      await navigator.clipboard.writeText(address);
      notice("The link to this street is on the clipboard.");
    } catch {
      notice(`The link to this street: ${address}`);
    }
  });
  models.switches(page);
  intake.listen(take);
  training.trainer(page);
}

async function main() {
  document.querySelector(".late").remove();
  slider();
  begin();
  $("reference").hidden = !wishes.selftest;
  try {
    const { program, page, street } = await launch();
    // For tests, and for whoever likes to look.
    globalThis.protoseg = page;
    let first;
    let complaint = null;
    const ready = () => document.documentElement.dataset.phase === "ready";
    const pictured = new Promise((resolve) => (first = resolve));
    status.watch(
      page,
      (state) => {
        if (state.work) loading.part("kernels", state.work.done / Math.max(1, state.work.of) - 0.001, `${state.work.done} of ${state.work.of}`);
        if (state.first !== null) {
          loading.hide();
          first();
        }
        if (state.error && state.error !== complaint && ready()) notice(state.error, { bad: true });
        complaint = state.error;
        $("copy-link").hidden = !state.image?.scene;
        training.follow(state.training);
      },
      fail,
    );
    for (const problem of wishes.problems) notice(problem, { bad: true });
    // The picture first: the program draws streets of its own where it has a model and nothing to show.
    await picture(page);
    await model(page, street);
    buttons(program, page);
    keys();
    document.documentElement.dataset.phase = "ready";
    await pictured;
    if (wishes.selftest) await checks.checks(program);
  } catch (error) {
    fail(error);
  }
}

main();
