// *Cannot tell* is a verdict, not a skip: how far down the tree of labels is it sure?
import { $, h } from "./dom.js";
import { groups, sureAncestors, tree } from "./labels.js";
import { percent } from "./words.js";

const MOST = 9;

async function choices(project, unit) {
  let labels;
  try {
    labels = await tree(project);
  } catch (_) {
    return []; // without the site: cannot tell at all
  }
  const near = unit.blind ? [] : sureAncestors(labels, unit.guesses);
  return (near.length ? near : groups(labels)).slice(0, MOST);
}

/** `onPick(said)` gets the labels that are sure, none or one; it is not called when the person goes back. */
export async function askSure(project, unit, onPick) {
  const offered = await choices(project, unit);
  const dialog = $("#tell");
  if ($("dialog[open]")) return;
  if (!offered.length) {
    onPick([]);
    return;
  }
  const pick = (said) => { dialog.close(); onPick(said); };
  const option = (words, key, said, score) => h("li", {}, h(
    "button", { type: "button", class: "slot", "data-digit": key, onclick: () => pick(said) },
    h("kbd", { text: key }), h("span", { class: "slot-name", text: words }), score > 0 && h("span", { class: "slot-score", text: percent(Math.min(1, score)) }),
  ));
  const list = h("ol", { class: "slots" },
    offered.map((one, i) => option(one.label, i + 1, [{ key: one.key, label: one.label }], one.score)),
    option("Not even that", 0, []),
  );
  dialog.replaceChildren(
    h("h2", { id: "tell-title", text: "Cannot tell. What is it surely?" }), list,
    h("p", { class: "hint", text: "Enter takes the first, 0 none of them, Esc goes back." }),
  );
  dialog.showModal();
  $("button", dialog).focus();
}

/** For the table of keys: a digit, or Enter for the first, while the question is open. */
export function answerSure(key) {
  const button = $(key === "Enter" ? "#tell .slot" : `#tell .slot[data-digit="${key}"]`);
  button?.click();
  return Boolean(button);
}
