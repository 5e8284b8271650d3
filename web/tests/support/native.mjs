/** @file The native program, whose numbers the page must give. */

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The repository. */
export const ROOT = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
/** A shipped model. */
export const STREET = join(ROOT, "models/street-small.safetensors");

/**
 * Runs `protoseg`: `$PROTOSEG_BIN`, or what cargo builds.
 * @param {...string} args
 * @returns {Promise<string>} what it printed
 */
export async function protoseg(...args) {
  const own = process.env.PROTOSEG_BIN;
  const [program, before] = own ? [own, []] : ["cargo", ["run", "--release", "--quiet", "--"]];
  const { stdout } = await promisify(execFile)(program, [...before, ...args], { cwd: ROOT, maxBuffer: 2 ** 26 });
  return stdout;
}

/** A folder that is gone after `work`. */
export async function inFolder(work) {
  const folder = await mkdtemp(join(tmpdir(), "protoseg-web-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Mean IoU of two label maps, over the classes that either holds.
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 */
export function meanIou(a, b) {
  if (a.length !== b.length) throw new Error(`the maps have ${a.length} and ${b.length} pixels`);
  const both = new Float64Array(256);
  const either = new Float64Array(256);
  for (let i = 0; i < a.length; i += 1) {
    if (a[i] === b[i]) both[a[i]] += 1;
    else either[b[i]] += 1;
    either[a[i]] += 1;
  }
  const there = [...either.keys()].filter((label) => either[label] > 0);
  return there.reduce((sum, label) => sum + both[label] / either[label], 0) / there.length;
}
