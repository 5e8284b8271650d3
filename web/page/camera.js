/** @file A picture from the device's camera. */

import { $, sentence } from "./dom.js";

const REASONS = {
  NotAllowedError: "The browser was not allowed to use the camera: allow it in the address bar and open this again.",
  NotFoundError: "No camera was found on this device.",
  NotReadableError: "The camera is in use by another program.",
};

/** Whether there is anything to ask for a camera. */
export const available = () => Boolean(navigator.mediaDevices?.getUserMedia && globalThis.HTMLDialogElement);

let stream = null;
let facing = "environment";
/** Counts openings, so that a camera that answers after the dialog closed is let go. */
let turn = 0;

function release() {
  turn += 1;
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  $("camera-video").srcObject = null;
  $("camera-take").disabled = true;
}

async function aim() {
  release();
  const mine = turn;
  $("camera-text").textContent = "Waiting for the camera.";
  try {
    const got = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: facing, width: { ideal: 1280 }, height: { ideal: 960 } },
      audio: false,
    });
    if (mine !== turn || !$("camera-dialog").open) {
      got.getTracks().forEach((track) => track.stop());
      return;
    }
    stream = got;
    const video = $("camera-video");
    video.srcObject = stream;
    await video.play();
    $("camera-take").disabled = false;
    $("camera-text").textContent = "The picture stays on this device.";
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
    $("camera-turn").hidden = cameras.length < 2;
  } catch (error) {
    // Closing the dialog while the picture starts is no failure.
    if (mine !== turn) return;
    $("camera-text").textContent = REASONS[error.name] ?? `The camera does not answer: ${sentence(error)}`;
  }
}

/** @returns {Promise<File>} what the camera sees now */
async function shoot() {
  const video = $("camera-video");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  return new File([blob], "camera.jpg", { type: "image/jpeg" });
}

/**
 * Lets the button open the camera.
 * @param {(file: File) => void} receive
 */
export function camera(receive) {
  const dialog = $("camera-dialog");
  $("camera").addEventListener("click", () => {
    dialog.showModal();
    aim();
  });
  $("camera-cancel").addEventListener("click", () => dialog.close());
  $("camera-turn").addEventListener("click", () => {
    facing = facing === "environment" ? "user" : "environment";
    aim();
  });
  $("camera-take").addEventListener("click", async () => {
    const file = await shoot();
    dialog.close();
    receive(file);
  });
  // However it closes, by key or button, the camera goes dark.
  dialog.addEventListener("close", release);
}
