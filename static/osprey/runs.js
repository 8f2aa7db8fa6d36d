// The list of runs renews itself while one of them works; a form that somebody fills in is left alone.
import { pause } from "./api.js";

const EVERY = 3000;

async function renew() {
  const response = await fetch(window.location.href, { credentials: "same-origin" });
  if (!response.ok) return true;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const list = document.querySelector('[aria-labelledby="list-title"]');
  const now = fresh.querySelector('[aria-labelledby="list-title"]');
  if (!now) return false;
  list.replaceChildren(...now.childNodes);
  return Boolean(list.querySelector("[data-works]"));
}

let isWorking = true;
while (isWorking) {
  await pause(EVERY);
  if (!document.hidden) isWorking = await renew().catch(() => true);
}
