// Which queue? Each with how many wait and why they are in it.
import { get, insist } from "./api.js";
import { $, announce, h, show } from "./dom.js";
import { Keys } from "./keys.js";
import { offerDraws } from "./review-draws.js";
import { count, number } from "./words.js";

function line(one, i) {
  const words = [
    h("span", { class: "queue-name" }, one.name, one.blind && h("span", { class: "tag", text: "blind" })),
    h("span", { class: "hint", text: one.why }),
  ];
  const amount = h("b", { class: "queue-count", text: `${number(one.count)}${one.is_at_least ? "+" : ""}`, title: count(one.count, "image") });
  return h("li", { class: "queue" }, h(
    "a", { class: "queue-line", href: `?queue=${encodeURIComponent(one.key)}`, "data-queue": one.key },
    i < 9 && h("kbd", { text: i + 1 }), h("span", { class: "queue-words" }, words), amount,
  ));
}

export async function showQueues(page) {
  show($("#queues"), true);
  offerDraws(page, () => list(page));
  new Keys(await list(page));
}

/** Fetch and show them; gives the keys of the list, which find whatever is shown when they are pressed. */
async function list(page) {
  const { results } = await insist(() => get(`/projects/${page.project}/queues`), { tries: 5 });
  const mine = results.filter((one) => page.rights.curate || !one.for_curators);
  const filled = mine.filter((one) => one.count > 0);
  $("#queue-list").replaceChildren(...filled.map((one, i) => line(one, i)));
  const rest = mine.filter((one) => !one.count);
  $("#queues-empty").textContent = rest.length ? `Nothing waits in: ${rest.map((one) => one.name).join(", ")}.` : "";
  show($("#no-queue"), !filled.length);
  announce(filled.length ? `${count(filled.length, "queue")} with images` : "No queue has images.");
  const links = () => [...document.querySelectorAll("#queue-list a")];
  const walk = (by) => links()[(links().indexOf(document.activeElement) + by + links().length) % links().length]?.focus();
  if (!$("#draws")?.open) links()[0]?.focus();
  return [
    { group: "Queues", keys: "123456789".split(""), shown: ["1", "–", "9"], say: "open that queue", act: (_, { key }) => links()[Number(key) - 1]?.click() },
    { group: "Queues", keys: ["ArrowDown"], say: "next queue", act: () => walk(1) },
    { group: "Queues", keys: ["ArrowUp"], say: "queue before", act: () => walk(-1) },
  ];
}
