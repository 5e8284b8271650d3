/** @file The keyboard's way past the picture, into it and out of it. */

import { $ } from "./dom.js";

/** Milliseconds from the page's start within which the program may reach for the keyboard unasked. */
const START = 120_000;

/**
 * Keeps the keyboard at the top of the page until the visitor does something: the program takes it when it starts, and the
 * first Tab would go into the picture.
 */
export function begin() {
  const done = new AbortController();
  const { signal } = done;
  const stop = () => done.abort();
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, stop, { capture: true, signal });
  setTimeout(stop, START);
  const back = (event) => {
    // Where the picture failed, what stands in its place is reached like the rest of the page.
    if (!$("stage").contains(event.target) || $("failed").contains(event.target)) return;
    const { body } = document;
    body.tabIndex = -1;
    body.focus({ preventScroll: true });
    body.removeAttribute("tabindex");
  };
  addEventListener("focusin", back, { signal });
}

/** Names the field that the program reads text by, for those who hear the page, and takes it out of the order of Tab. */
export function name() {
  for (const input of document.querySelectorAll("input:not([id], [name])")) {
    Object.assign(input, { ariaLabel: "Text for the picture", tabIndex: -1 });
  }
}

/** F6 moves the keyboard into the picture and out of it: the program takes Tab for itself. */
export function keys() {
  const jump = (event) => {
    if (event.key !== "F6" || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    ($("stage").contains(document.activeElement) ? $("after") : $("view")).focus();
  };
  addEventListener("keydown", jump, { capture: true });
}
