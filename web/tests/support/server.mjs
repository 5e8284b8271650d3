/** @file A static server for the tests: one folder, under a sub-path, on this machine only. */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".wasm": "application/wasm",
  ".jpg": "image/jpeg",
  ".png": "image/png",
};

/** Where the site lies on the server: every link must survive that. */
export const PATH = "/some/where/";

/**
 * Serves `folder` at `PATH`, and the files of `extra` (name below `PATH` to file) beside it.
 * @param {string} folder
 * @param {Record<string, string>} [extra]
 * @returns {Promise<{ address: string, close: () => Promise<void> }>}
 */
export async function serve(folder, extra = {}) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const name = normalize(path.slice(PATH.length) || "index.html");
    const file = extra[name] ?? join(folder, name);
    const inside = path.startsWith(PATH) && !name.startsWith("..") && !name.startsWith(sep);
    const size = inside ? await stat(file).then((s) => (s.isFile() ? s.size : -1), () => -1) : -1;
    if (size < 0) {
      response.writeHead(404, { "Content-Type": "text/plain" }).end(`${path} is not here\n`);
      return;
    }
    response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Content-Length": size });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}${PATH}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
