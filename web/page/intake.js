/** @file Files that come in: pickers, drops of files and folders, the clipboard. */

import { $, attempt, notice } from "./dom.js";

/** What the program reads; anything else in a folder stays where it is. */
const KNOWN = /\.(png|jpe?g|safetensors|toml|json|txt)$/i;
/** Pictures that the browser can read for it. */
const FOREIGN = /\.(webp|gif|bmp|avif|heic|heif)$/i;
/** Bytes of a drop that a tab can be expected to hold beside the pictures made of them. */
const MOST = 1.5e9;

/** @typedef {{ path: string, file: File }} Incoming */

/** Drops so far: each gets a folder of its own, so that equal names do not meet. */
let count = 0;

/** All files below an entry, with their paths. */
async function walk(entry, above) {
  const path = above ? `${above}/${entry.name}` : entry.name;
  if (entry.isFile) {
    return [{ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) }];
  }
  const reader = entry.createReader();
  const found = [];
  // A reader gives a hundred entries at most and wants to be asked until there are none.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    for (const child of some) {
      if (!child.name.startsWith(".")) found.push(...(await walk(child, path)));
    }
  }
}

/**
 * The files of a drop, folders looked through.
 * @param {DataTransfer} transfer only readable while the event lasts, hence no await before it is read
 * @returns {Promise<Incoming[]>}
 */
export async function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const parts = entries.map(({ entry, file }) => {
    if (entry?.isDirectory) return walk(entry, "");
    return file ? [{ path: file.name, file }] : [];
  });
  return (await Promise.all(parts)).flat();
}

/** The files of a picker; those of a folder carry their paths. */
export const picked = (input) =>
  [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

/** A picture that only the browser can read, as PNG. */
async function translated(file) {
  const picture = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/**
 * Puts files on the page's disk and opens them.
 * @param {object} page
 * @param {Incoming[]} incoming
 * @returns {Promise<{ models: number, images: number, sets: string[] }>} what there was of each; `sets` are folders with images and masks
 */
export async function take(page, incoming) {
  const files = incoming.filter(({ path }) => KNOWN.test(path) || FOREIGN.test(path));
  if (files.length === 0) {
    throw new Error(
      "Nothing in there can be opened: images, folders of images and masks, .safetensors models and .toml configurations can.",
    );
  }
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  if (size > MOST) {
    throw new Error(`That is ${(size / 1e9).toFixed(1)} GB, more than a tab can hold: choose a part of it.`);
  }
  count += 1;
  const home = `opened/${count}`;
  const roots = new Set();
  const seen = { models: 0, images: 0, sets: new Set() };
  for (const { path, file } of files) {
    let [name, data] = [path, file];
    if (FOREIGN.test(path)) {
      try {
        [name, data] = [`${path}.png`, await translated(file)];
      } catch {
        notice(`${path} cannot be read by this browser: save it as JPEG or PNG.`, { bad: true });
        continue;
      }
    }
    page.put(`${home}/${name}`, new Uint8Array(await data.arrayBuffer()));
    roots.add(`${home}/${name.split("/")[0]}`);
    const set = /^(.*?)\/?masks\//.exec(name);
    if (set) seen.sets.add(set[1] ? `${home}/${set[1]}` : home);
    if (/\.safetensors$/i.test(name)) seen.models += 1;
    if (/\.(png|jpe?g)$/i.test(name)) seen.images += 1;
  }
  // Dropped as two folders beside each other, images and masks are one data set.
  if (seen.sets.has(home)) roots.clear(), roots.add(home);
  if (roots.size > 0) await page.open([...roots]);
  return { ...seen, sets: [...seen.sets] };
}

/**
 * Listens for files.
 * @param {(incoming: Promise<Incoming[]> | Incoming[], where: Element) => Promise<void>} receive
 */
export function listen(receive) {
  const shade = $("dropping");
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  let inside = 0;
  const show = (by) => {
    inside = Math.max(0, inside + by);
    shade.hidden = inside === 0;
  };
  // Caught on the way down: over the picture the viewer would take the drop itself, without the folders' paths.
  const on = (name, act) =>
    addEventListener(
      name,
      (event) => {
        if (!carries(event)) return;
        event.preventDefault();
        event.stopPropagation();
        act(event);
      },
      { capture: true },
    );
  on("dragenter", () => show(1));
  on("dragleave", () => show(-1));
  on("dragover", (event) => (event.dataTransfer.dropEffect = "copy"));
  on("drop", (event) => {
    show(-inside);
    const files = dropped(event.dataTransfer);
    attempt(() => receive(files, event.target));
  });
  const paste = (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (files.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    attempt(() => receive(files.map((file) => ({ path: file.name, file })), event.target));
  };
  addEventListener("paste", paste, { capture: true });
}

/** Lets a button open a file input, and the input hand over its files. */
export function picker(button, input, receive) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = picked(input);
    // Without this the same file could not be chosen twice.
    input.value = "";
    if (files.length > 0) attempt(() => receive(files, button));
  });
}
