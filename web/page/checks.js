/** @file `?selftest`: the same numbers on this adapter as everywhere, tensor by tensor. */

import { $, make, sentence } from "./dom.js";
import { picker } from "./intake.js";

const number = (value) => (value === 0 ? "0" : Number(value).toExponential(2));

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
      make("td", { className: tensor.passed ? "passed" : "missed", textContent: tensor.passed ? "within" : "outside" }),
    ),
  );
  return make(
    "div",
    { className: "results", tabIndex: 0 },
    make("table", {}, make("caption", { className: passed ? "passed" : "missed", textContent: title }), make("thead", {}, head), make("tbody", {}, ...rows)),
  );
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
      globalThis.verified.push(await run(file.name ?? path, (progress) => program.verify(file.name, bytes, progress)));
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
  queue = run("Oracle's case", (progress) => program.selftest(progress)).then((report) => {
    globalThis.selftest = report;
  });
  picker($("selftest-pick"), $("pick-tests"), (files) => check(program, files));
  await queue;
}

/** Whether a drop at `where` is for this section; then its files are checked. */
export function claims(program, where, incoming) {
  if (!where.closest?.("#selftest")) return null;
  return Promise.resolve(incoming).then((files) => check(program, files));
}
