/** @file Small helpers around the document. */

/**
 * The element with this id.
 * @param {string} id
 */
export const $ = (id) => document.getElementById(id);

/**
 * A new element.
 * @param {string} name
 * @param {Record<string, unknown>} [properties] set as properties, not attributes
 * @param {...(Node | string)} children
 */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Bytes for people, in decimal megabytes as file managers and network logs count them. */
export const megabytes = (bytes) =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

/** What an error says, whatever was thrown: wasm throws strings too. */
export const sentence = (error) => (error instanceof Error ? error.message : String(error)) || "it failed without a word";

/**
 * Shows a sentence above the picture until it is dismissed; the same sentence is not shown twice.
 * @param {string} text
 * @param {{ bad?: boolean, action?: { name: string, run: () => void } }} [options]
 */
export function notice(text, { bad = false, action } = {}) {
  for (const old of $("notices").children) {
    if (old.dataset.text === text) return;
  }
  const close = make("button", { className: "plain", textContent: "Dismiss" });
  const row = make("p", { className: bad ? "notice bad" : "notice" }, make("span", { textContent: text }));
  row.dataset.text = text;
  if (action) {
    row.append(make("button", { className: "primary", textContent: action.name, onclick: () => (row.remove(), action.run()) }));
  }
  row.append(close);
  close.onclick = () => row.remove();
  $("notices").append(row);
}

/** Runs `work` and shows what it throws. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    notice(sentence(error), { bad: true });
    return undefined;
  }
}

/** Whether the visitor asked the system for little motion. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
