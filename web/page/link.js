/** @file What the address asks for: `?model=street|camvid|FILE.safetensors&image=SEED-INDEX|FILE.jpg|FILE.png`. */

/**
 * @typedef {{ kind: "street" | "camvid" } | { kind: "file", url: URL, name: string }} ModelWish
 * @typedef {{ kind: "scene", seed: number, index: number } | { kind: "file", url: URL, name: string }} ImageWish
 */

/** Scenes of one series, as `new_scenes` draws them. */
const SERIES = 12;
/** Largest seed: 32 bits. */
const MOST = 2 ** 32 - 1;

/** A file beside this page, or null where the address leads elsewhere. */
function beside(value, pattern) {
  if (!pattern.test(value)) return null;
  let url;
  try {
    url = new URL(value, document.baseURI);
  } catch {
    return null;
  }
  if (url.origin !== location.origin) return null;
  return { kind: "file", url, name: decodeURIComponent(url.pathname.split("/").pop()) };
}

/**
 * Reads the wishes.
 * @param {string} search
 * @returns {{ model: ModelWish, image: ImageWish | null, problems: string[], selftest: boolean }}
 */
export function read(search) {
  const query = new URLSearchParams(search);
  const problems = [];
  const wanted = query.get("model");
  let model = { kind: "street" };
  if (wanted === "camvid") model = { kind: "camvid" };
  else if (wanted !== null && wanted !== "street") {
    const file = beside(wanted, /\.safetensors$/i);
    if (file) model = file;
    else
      problems.push(
        `The link asks for the model “${wanted}”, which is neither street nor camvid nor a .safetensors file on this site: the street model is shown instead.`,
      );
  }
  const pictured = query.get("image");
  let image = null;
  if (pictured !== null) {
    const [, seed, index] = /^(\d{1,10})-(\d{1,2})$/.exec(pictured) ?? [];
    if (seed !== undefined && Number(seed) <= MOST && Number(index) < SERIES) image = { kind: "scene", seed: Number(seed), index: Number(index) };
    else image = beside(pictured, /\.(jpe?g|png)$/i);
    if (!image)
      problems.push(
        `The link asks for the image “${pictured}”, which is neither a drawn street (SEED-INDEX, with an index from 0 to ${SERIES - 1}) nor a .jpg or .png file on this site: another street is shown instead.`,
      );
  }
  return { model, image, problems, selftest: query.has("selftest") };
}

/**
 * The address that opens one drawn street.
 * @param {[number, number]} scene seed and index
 * @param {string} model
 */
export function write([seed, index], model) {
  const url = new URL(location.href);
  url.hash = "";
  url.search = new URLSearchParams({ ...(model === "camvid" && { model }), image: `${seed}-${index}` }).toString();
  return url.href;
}
