// What is under way on the Models page renews itself; a form that somebody fills in is left alone.
import { pause } from "./api.js";

const EVERY = 3000;

async function renew() {
  const response = await fetch(window.location.href, { credentials: "same-origin" });
  if (!response.ok) return true;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const line = document.querySelector("#models-now [aria-labelledby='again-title']");
  const now = fresh.querySelector("#models-now [aria-labelledby='again-title']");
  if (!line || !now) return false;
  line.replaceChildren(...now.childNodes);
  return Boolean(line.querySelector("[data-works]"));
}

let isWorking = Boolean(document.querySelector("[data-works]"));
while (isWorking) {
  await pause(EVERY);
  if (!document.hidden) isWorking = await renew().catch(() => true);
}
