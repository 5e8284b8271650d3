/** @file Configurations of the trainings that the page offers: those of `protoseg train`, as TOML. */

/** Images of a drawn set; a fifth of them are for validation. */
export const DRAWN = 60;

/** In the order of the drawn streets' classes: small classes count more. */
const STREET_WEIGHTS = "class_weights = [0.8, 0.6, 0.6, 1.0, 0.7, 3.0, 4.0, 0.9, 2.0]";

const NETS = {
  // The demo's network and settings.
  scratch: {
    model: 'arch = "scratch"\noutput_stride = 16\ntaps = [4, 8, 16]\nlateral = 24\nwidth = 48\nembedding = 32\ndropout = 0.0',
    // From scratch the first embeddings say little, and k-means of them helps nobody.
    head: 'prototype_init = "random"',
    train: "lr = 0.06\nweight_decay = 1e-4",
  },
  // Forty steps of this know most of what 300 from scratch do: the features are those of photographs of streets.
  frozen: {
    model: 'arch = "mobilenet_v2"\ntaps = [4, 8, 16, 32]\nembedding = 32\ndropout = 0.0',
    head: 'prototype_init = "kmeans"',
    train: "lr = 0.03\nfreeze_backbone = true",
  },
};

/**
 * A configuration.
 * @param {{ root: string, drawn: boolean, net: "scratch" | "frozen", weights?: string, prototypes: number, steps: number, seed?: number }} wish
 *   `root` is the data set's folder and `weights` the backbone's file, on the page's own disk
 * @returns {string} TOML
 */
export function configuration({ root, drawn, net, weights, prototypes, steps, seed = 0 }) {
  const { model, head, train } = NETS[net];
  const quoted = JSON.stringify;
  return `[data]
root = ${quoted(root)}
val_images = 8
${drawn ? STREET_WEIGHTS : "balance = 0.5"}

[model]
${model}
prototypes = ${prototypes}

[head]
profile = "rec"
${head}
# The default 0.999 is for tens of thousands of steps; here a prototype must reach its cluster within a few hundred.
momentum = 0.98

[augment]
scale_min = 0.9
scale_max = 1.25
crop_height = 128
crop_width = 192
brightness = 0.15
contrast = 0.15
saturation = 0.15
hue = 0.01

[train]
${weights ? `weights = ${quoted(weights)}\n` : ""}seed = ${seed}
steps = ${steps}
batch = 4
${train}
warmup_steps = ${Math.min(10, Math.floor(steps / 5))}
eval_every = ${Math.max(50, Math.ceil(steps / 4))}
log_every = 5
tensorboard = false
`;
}
