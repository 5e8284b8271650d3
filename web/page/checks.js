/** @file `?selftest`: the same numbers on this adapter as everywhere, tensor by tensor. */

import { $, make, sentence } from "./dom.js";
import { picker } from "./intake.js";

/** Weights of the backbone that parity files are compared on. */
let weights;

// JSON has no NaN; the largest number stands for a case that gave none.
const number = (value) => (value === null || value > 1e300 ? "none" : value === 0 ? "0" : value.toExponential(2));

/** A report as a table. */
function table({ file, passed, adapter, tensors }) {
  const title = `${file}: ${passed ? "passed" : "failed"}, on ${adapter}`;
  const head = make("tr", {}, ...["Tensor", "Deviation", "Tolerance", ""].map((text) => make("th", { textContent: text, scope: "col" })));
  const rows = tensors.map((tensor) =>
    make(
      "tr",
      {},
      make("td", {}, make("code", { textContent: tensor.name })),
      make("td", { textContent: number(tensor.deviation) }),
      make("td", { textContent: number(tensor.tolerance) }),
      make("td", { className: tensor.passed ? "passed" : "missed", textContent: [tensor.passed ? "within" : "outside", tensor.note].filter(Boolean).join(": ") }),
    ),
  );
  const good = tensors.filter((tensor) => tensor.passed).length;
  const summary = make("summary", { className: passed ? "passed" : "missed", textContent: `${title} (${good} of ${tensors.length} tensors)` });
  const all = make("table", {}, make("caption", { className: "unseen", textContent: title }), make("thead", {}, head), make("tbody", {}, ...rows));
  return make("details", { className: "results", open: !passed || tensors.length < 40 }, summary, all);
}

const say = (text) => ($("selftest-state").textContent = text);

/**
 * Runs one check and shows it.
 * @param {(progress: (text: string) => void) => Promise<string>} work
 * @returns {Promise<object>} the report; one with `error` where there is none
 */
async function run(name, work) {
  say(`${name}: running`);
  try {
    const report = JSON.parse(await work((text) => say(`${name}: ${text}`)));
    $("selftest-results").append(table(report));
    const good = report.tensors.filter((tensor) => tensor.passed).length;
    say(`${name}: ${good} of ${report.tensors.length} tensors within their tolerances`);
    return report;
  } catch (error) {
    say(`${name}: ${sentence(error)}`);
    return { file: name, passed: false, error: sentence(error), tensors: [] };
  }
}

/** Files to check wait for each other: two at a time would share the adapter. */
let queue = Promise.resolve();

/**
 * Checks files.
 * @param {typeof import("./protoseg.js")} program
 * @param {import("./intake.js").Incoming[]} incoming
 */
function check(program, incoming) {
  for (const { path, file } of incoming) {
    queue = queue.then(async () => {
      const bytes = new Uint8Array(await file.arrayBuffer());
      globalThis.verified.push(await run(path, () => program.verify(file.name, bytes, weights)));
    });
  }
  return queue;
}

/**
 * Opens the section and runs the case of the oracle. What came of it is left in `window.selftest`, and what came of
 * files in the list `window.verified`, for whoever asks by script.
 */
export async function checks(program) {
  globalThis.verified = [];
  queue = run("Operations", (progress) => program.selftest(progress)).then((report) => {
    globalThis.selftest = report;
  });
  picker($("selftest-weights"), $("pick-weights"), async ([{ path, file }]) => {
    weights = new Uint8Array(await file.arrayBuffer());
    say(`${path} is used for parity files from now on.`);
  });
  picker($("selftest-pick"), $("pick-tests"), (files) => check(program, files));
  await queue;
}

/** Whether a drop at `where` is for this section; then its files are checked. */
export function claims(program, where, incoming) {
  if (!where.closest?.("#reference")) return null;
  return Promise.resolve(incoming).then((files) => check(program, files));
}
