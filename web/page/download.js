/** @file Downloads that say how far they are. */

import { megabytes } from "./dom.js";

// A compressed answer names its compressed length, while the bytes that arrive here are unpacked. The typical ratio of a
// wasm file makes a usable bar of that; model files hardly shrink.
const RATIO = { wasm: { gzip: 2.6, br: 3.5, zstd: 2.8 }, safetensors: { gzip: 1.1, br: 1.1, zstd: 1.1 } };

/** @typedef {(fraction: number, text: string) => void} Progress */

/**
 * Fetches a file of this site.
 * @param {string | URL} url
 * @param {Progress} progress called with 0..1 and words for every piece that arrives
 * @returns {Promise<Response>} its body is counted as it is read
 * @throws {Error} with a sentence where the server does not give it
 */
export async function open(url, progress) {
  const name = new URL(url).pathname.split("/").pop();
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${name} could not be loaded: the connection failed. Check it and try again.`);
  }
  if (!response.ok) {
    throw new Error(`${name} could not be loaded: the server answers ${response.status} ${response.statusText}.`);
  }
  const kind = name.split(".").pop();
  const encoding = response.headers.get("Content-Encoding");
  const ratio = encoding ? (RATIO[kind]?.[encoding] ?? 1) : 1;
  const total = Number(response.headers.get("Content-Length")) * ratio;
  let got = 0;
  const counted = response.body.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        got += chunk.length;
        const about = encoding ? "about " : "";
        const of = total > got ? ` of ${about}${megabytes(total)}` : "";
        progress(total ? Math.min(got / total, 0.99) : 0.5, megabytes(got) + of);
        controller.enqueue(chunk);
      },
      flush: () => progress(1, megabytes(got)),
    }),
  );
  // The type is kept: only as application/wasm can the browser compile what is still arriving.
  const type = response.headers.get("Content-Type") ?? "application/octet-stream";
  return new Response(counted, { headers: { "Content-Type": type } });
}

/**
 * The bytes of a file of this site.
 * @param {string | URL} url
 * @param {Progress} progress
 */
export async function bytes(url, progress) {
  const response = await open(url, progress);
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch {
    throw new Error("The connection broke while a file was loading. Check it and try again.");
  }
}
