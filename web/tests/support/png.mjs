/** @file Reads the label maps that `protoseg` writes: PNG, 8 bits a pixel, palette or grey, not interlaced. */

import { inflateSync } from "node:zlib";

/**
 * The values of a palette or grey PNG, without its colours.
 * @param {Buffer} png
 * @returns {{ width: number, height: number, values: Uint8Array }}
 */
export function values(png) {
  const parts = [];
  let header;
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const kind = png.toString("latin1", at + 4, at + 8);
    const data = png.subarray(at + 8, at + 8 + length);
    if (kind === "IHDR") header = data;
    if (kind === "IDAT") parts.push(data);
    at += 12 + length;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [bits, color, , , interlaced] = header.subarray(8);
  if (bits !== 8 || ![0, 3].includes(color) || interlaced) throw new Error("not a label map of 8 bits a pixel");
  const raw = inflateSync(Buffer.concat(parts));
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (width + 1)];
    for (let x = 0; x < width; x += 1) {
      const left = x > 0 ? out[y * width + x - 1] : 0;
      const up = y > 0 ? out[(y - 1) * width + x] : 0;
      const corner = x > 0 && y > 0 ? out[(y - 1) * width + x - 1] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      out[y * width + x] = raw[y * (width + 1) + 1 + x] + guess;
    }
  }
  return { width, height, values: out };
}

/** The neighbour nearest to left + up - corner (PNG specification, filter 4). */
function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
  return a <= b && a <= c ? left : b <= c ? up : corner;
}
