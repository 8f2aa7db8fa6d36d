// A picture that cannot be had: words in its place instead of the browser's broken icon.
import { $$, h } from "./dom.js";

const FRAMES = ".thumb, .picture";

function replace(image) {
  const frame = image.closest(FRAMES);
  if (!frame) return;
  frame.classList.add("is-empty");
  frame.replaceChildren(h("span", { class: "no-thumb", text: "no picture" }));
}

/** Errors of pictures do not bubble, so they are caught on the way down; some came before this script ran. */
export function watchPictures() {
  document.addEventListener("error", (event) => {
    if (event.target instanceof HTMLImageElement) replace(event.target);
  }, true);
  for (const image of $$(`:is(${FRAMES}) img`)) if (image.complete && image.src && !image.naturalWidth) replace(image);
}
