// *Wrong? fix it*: find a label, save a review, take it back.
import { insist, post } from "./api.js";
import { announce, h, toast } from "./dom.js";
import { newId } from "./ids.js";
import { searcher } from "./label-finder.js";

export function saveReview({ image, prediction, verdict, labelKey, box, seconds }) {
  const annotations = labelKey ? [{ label: labelKey, box: box ?? null, count: 1 }] : [];
  const body = { verdict, annotations, how: "suggested", prediction, client_id: newId(), seconds };
  return insist(() => post(`/images/${image}/reviews`, body));
}

/** The editor under an answer. `onSaved(label or null, undo)` is told of every change. */
export function fixer({ project, answer, onSaved, onClose }) {
  const shownAt = performance.now();
  const image = answer.image.id;

  async function save(verdict, label) {
    const seconds = Math.round((performance.now() - shownAt) / 100) / 10;
    // The image may have moved on since; the server keeps which answer was on the screen.
    const box = answer.regions.length === 1 ? answer.regions[0].box : null;
    try {
      const review = await saveReview({ image, prediction: answer.prediction ?? null, verdict, labelKey: label?.key, box, seconds });
      const words = { labelled: label ? label.name : "nothing there", "cannot-tell": "cannot tell", "bad-image": "bad image" }[verdict];
      const undo = () => takeBack(review);
      onSaved({ label, verdict, words, undo });
      toast(`Saved: ${words}.`, { act: undo, label: "Undo" });
      announce(`Saved: ${words}`);
    } catch (problem) {
      toast(`Not saved. ${problem.message}`, { bad: true, seconds: 15 });
    }
  }

  async function takeBack(review) {
    try {
      await insist(() => post(`/reviews/${review.uid ?? review.id}/undo`, {}));
      onSaved(null);
      toast("Taken back.");
    } catch (problem) {
      toast(`Not taken back. ${problem.message}`, { bad: true });
    }
  }

  const { input, nodes } = searcher(project, (label) => save("labelled", label));
  const other = (verdict, text) => h("button", { type: "button", class: "btn btn-sm btn-quiet", text, onclick: () => save(verdict, null) });
  const box = h("div", { class: "fixer" }, nodes, h(
    "div", { class: "fixer-others" },
    other("labelled", "Nothing there"), other("cannot-tell", "Cannot tell"), other("bad-image", "Bad image"),
    h("button", { type: "button", class: "btn btn-sm btn-link", text: "Cancel", onclick: onClose }),
  ));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") onClose();
  });
  requestAnimationFrame(() => input.focus());
  return box;
}
