// Whether what was decided is safe: saved, saving, or waiting and until when; and what the site refused, with the reason.
import { $, h, show } from "./dom.js";
import { count } from "./words.js";

export function wordsOf(outbox, now = Date.now()) {
  const waiting = outbox.records.length;
  if (!waiting) return { state: "saved", words: "saved" };
  if (!outbox.trouble) return { state: "saving", words: waiting > 1 ? `saving ${waiting}` : "saving" };
  if (outbox.trouble.signedOut) return { state: "waiting", words: `${waiting} waiting (signed out)` };
  const seconds = Math.max(0, Math.ceil((outbox.trouble.until - now) / 1000));
  return { state: "waiting", words: `${waiting} waiting (${outbox.trouble.words}, retrying in ${seconds} s)` };
}

/** Keep `#save-state`, and the list of refusals in `#refused`, as the outbox is. `open(record)` shows one again. */
export function watchOutbox(outbox, { open }) {
  const box = $("#save-state");
  let said = "";

  function draw() {
    const { state, words } = wordsOf(outbox);
    box.className = `save-state is-${state}`;
    $(".save-words", box).textContent = words;
    show($("#retry-now"), state === "waiting");
    // Read aloud when it changes in kind, not at every second of a wait.
    if (state !== said) $("#save-live").textContent = state === "saving" ? $("#save-live").textContent : words;
    said = state === "saving" ? said : state;
    const note = $("#save-note");
    const about = outbox.trouble?.signedOut
      ? "You are signed out. Sign in in another tab; what you decided is kept here and goes on by itself."
      : outbox.isKept ? "" : "This browser keeps nothing: leave this page open until all is saved.";
    note.textContent = about;
    show(note, Boolean(about) && (outbox.records.length > 0 || !outbox.isKept));
  }

  function line(record) {
    return h("li", {},
      h("span", {}, h("b", { text: record.what }), ` on ${count(record.images?.length ?? 1, "image")} was not taken: ${record.reason}`),
      record.images && h("button", { type: "button", class: "btn btn-sm btn-quiet", text: "Look at it again", onclick: () => open(record) }),
      h("button", { type: "button", class: "btn btn-sm btn-link", text: "Leave it", onclick: () => outbox.dismiss(record) }),
    );
  }

  function drawRefused() {
    const list = $("#refused");
    show(list, outbox.refused.length > 0);
    list.replaceChildren(...outbox.refused.map(line));
  }

  outbox.addEventListener("change", () => { draw(); drawRefused(); });
  $("#retry-now").addEventListener("click", () => outbox.hurry());
  setInterval(() => outbox.trouble && draw(), 500);
  draw();
  drawRefused();
}
