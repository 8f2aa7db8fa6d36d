// The Review page: a sequence at a time, by keys; what is decided leaves through the outbox and never makes anybody wait.
import { $, announce, data, h, show, toast } from "./dom.js";
import { Keys } from "./keys.js";
import { askLabel } from "./label-finder.js";
import { tree } from "./labels.js";
import { Outbox } from "./outbox.js";
import { showQueues } from "./review-queues.js";
import { linesOf, lettersOf } from "./review-keys.js";
import { Fields, withShortcuts } from "./review-fields.js";
import { Panel, announcement } from "./review-panel.js";
import { Session } from "./review-session.js";
import { ListSource, QueueSource } from "./review-source.js";
import { Stage } from "./review-stage.js";
import { answerSure, askSure } from "./review-tell.js";
import { watchOutbox } from "./save-state.js";
import { count } from "./words.js";

const page = data("review");
const AT_ONCE = `osprey-at-once-${page.project}`;

class Review {
  constructor(outbox) {
    const source = page.image ? new ListSource(page) : new QueueSource(page);
    this.session = new Session({ source, outbox });
    this.stage = new Stage({ onFrame: () => {} });
    this.panel = new Panel({ pinned: page.pinned, onLabel: (label, { shift }) => this.label(label, shift) });
    this.acts = this.makeActs();
    const reserved = lettersOf(this.acts);
    // A project's own field of notes takes the place of the verdict's note, and its key.
    this.ownNotes = page.fields.find((one) => one.kind === "text" && one.key === "notes") ?? null;
    const fields = withShortcuts(page.fields.filter((one) => one !== this.ownNotes), reserved);
    if (this.ownNotes) fields.push({ ...this.ownNotes, shortcut: "m" });
    show($("#note-line"), !this.ownNotes);
    this.fields = new Fields($("#fields"), fields, { onChange: (key, value) => this.change((draft) => draft.field(key, value)) });
    this.keys = new Keys(linesOf(this.acts, fields, this.fields));
    this.goesOn = localStorage.getItem(AT_ONCE) === "yes";
    this.buttons();
    this.session.addEventListener("unit", () => this.draw());
    this.session.addEventListener("progress", () => this.progress());
    this.session.addEventListener("trouble", () => this.draw());
    outbox.addEventListener("refused", ({ detail: { record } }) => this.session.bringBack(record.id, record.reason));
    this.session.start().catch(() => null);
    tree(page.project).catch(() => null); // so that labels are found while the site is away
  }

  get unit() {
    return this.session.current?.unit ?? null;
  }

  get draft() {
    return this.session.current?.draft ?? null;
  }

  // ---- drawing ----

  draw() {
    const { unit, draft } = this;
    const wasHidden = $("#review-body").hidden;
    show($("#review-body"), Boolean(unit));
    if (unit && wasHidden && !$("dialog[open]")) this.toStage();
    show($("#nothing"), !unit);
    if (!unit) return this.drawNothing();
    $("#review-body").dataset.unit = unit.unit;
    $("#review-body").classList.toggle("is-group", Boolean(unit.isGroup));
    this.stage.show(unit, draft);
    this.panel.show(unit, draft);
    this.fields.show(draft.hand.fields);
    announce(announcement(unit));
    return undefined;
  }

  drawNothing() {
    const { isDry, trouble, left } = this.session;
    const isShared = isDry && left > 0;
    $("#nothing-title").textContent = trouble ? "Nothing to show at present" : isShared ? "The rest is with others" : isDry ? "Nothing left here" : "Fetching what comes next…";
    $("#nothing-words").textContent = trouble ?? (isShared ? this.sharedWords(left) : isDry ? this.doneWords() : "");
    show($("#nothing-links"), isDry || Boolean(trouble));
    if (isDry) announce($("#nothing-title").textContent);
  }

  sharedWords(left) {
    return `${count(left, "image")} left in this queue: other reviewers have them on the screen just now, you skipped them, or they are for somebody who has not read them before. This page looks again by itself.`;
  }

  doneWords() {
    const { decided } = this.session;
    return `${decided ? `You decided ${decided} in this sitting. ` : ""}Other queues may still have something, and this one fills again when new pictures come.`;
  }

  progress() {
    const { left, decided, pace } = this.session;
    this.panel.progress({ left, today: page.doneToday + decided, pace });
    $("#undo").disabled = !this.session.back.length && !this.draft?.isTouched;
  }

  change(act) {
    if (!this.draft) return false;
    this.draft.isTaken = false;
    act(this.draft);
    this.panel.paint();
    this.fields.show(this.draft.hand.fields);
    this.stage.marks();
    this.progress();
    return true;
  }

  // ---- what a person does ----

  label(label, onlyFrame = false) {
    if (!this.unit) return false;
    const said = { key: label.key, label: label.label ?? label.name };
    if (onlyFrame && this.unit.images.length > 1) return this.frame("labelled", [said]);
    const isOneOfSeveral = this.draft.isAdding;
    this.change((draft) => draft.label(said));
    if (this.goesOn && !isOneOfSeveral) this.accept();
    return true;
  }

  frame(verdict, said = []) {
    return this.change((draft) => draft.frame(this.stage.image.id, verdict, said));
  }

  /** A verdict that needs no count and no fields is saved at once. */
  conclude(verdict, said, onlyFrame) {
    if (!this.unit) return false;
    if (onlyFrame && this.unit.images.length > 1) return this.frame(verdict, said);
    this.draft.conclude(verdict, said);
    return this.accept();
  }

  accept() {
    const { unit, draft } = this;
    if (!unit) return false;
    const suggestion = unit.blind ? null : unit.suggestion;
    if (!draft.isWhole && suggestion) draft.label({ key: suggestion.label_key, label: suggestion.label });
    if (!draft.isWhole) {
      toast("Say what it is first: a number, / to find a label, or E for empty.", { seconds: 4 });
      return true;
    }
    const { words } = draft;
    this.session.decide(words);
    $("#last").textContent = `${words}: `;
    show($("#last-line"), true);
    return true;
  }

  cannotTell(onlyFrame) {
    const { unit } = this;
    if (!unit || $("dialog[open]")) return;
    askSure(page.project, unit, (said) => {
      this.toStage();
      if (unit === this.unit) this.conclude("cannot-tell", said, onlyFrame);
    });
  }

  find() {
    const { unit } = this;
    if (!unit || $("dialog[open]")) return;
    const hint = unit.images.length > 1 ? "Shift and Enter: only this frame." : "";
    const onPick = (label, shift) => {
      // The field that had the caret keeps it until the next paint; keys typed before that are for the page.
      this.toStage();
      if (unit === this.unit) this.label(label, shift);
    };
    askLabel(page.project, { onPick, mayCreate: page.rights.curate, hint });
  }

  undo() {
    if (this.draft?.isTouched && !this.draft.isTaken) {
      this.session.restart();
      return announce("Choice cleared.");
    }
    const last = this.session.undo();
    if (!last) return toast("Nothing to take back in this sitting.", { seconds: 3 });
    show($("#last-line"), false);
    toast(last.id ? `Taken back: ${last.what}.` : "Back to the one you skipped.", { seconds: 3 });
    return undefined;
  }

  repeat() {
    const { lastFields } = this.session;
    if (!lastFields) return toast("No fields were given in this sitting yet.", { seconds: 3 });
    return this.change((draft) => draft.repeat(lastFields));
  }

  toggleGoesOn() {
    this.goesOn = !this.goesOn;
    localStorage.setItem(AT_ONCE, this.goesOn ? "yes" : "no");
    this.paintGoesOn();
    announce(this.goesOn ? "A label saves at once." : "A label waits for Enter.");
  }

  paintGoesOn() {
    $("#at-once").setAttribute("aria-pressed", String(this.goesOn));
  }

  toStage() {
    $("#stage").focus({ preventScroll: true });
  }

  makeActs() {
    return {
      slot: (number, shift) => (this.panel.slots[number - 1] ? this.label(this.panel.slots[number - 1], shift) : false),
      accept: () => this.accept(),
      find: () => { this.find(); },
      empty: (shift) => this.conclude("labelled", [], shift),
      cannotTell: (shift) => { this.cannotTell(shift); },
      bad: (shift) => this.conclude("bad-image", [], shift),
      also: () => this.change((draft) => draft.also()),
      count: (step) => this.change((draft) => draft.count(step)),
      repeat: () => { this.repeat(); },
      skip: () => (this.unit ? this.session.skip() : false),
      undo: () => { this.undo(); },
      step: (by) => this.stage.step(by),
      ends: (last) => this.stage.go(last ? Infinity : 0),
      zoom: () => (this.unit ? this.stage.zoom() : false),
      boxes: () => (this.unit ? this.stage.toggleBoxes() : false),
      note: () => (this.ownNotes ? false : $("#note").focus()),
      details: () => { if (this.unit) window.open(`/i/${this.stage.image.id}/`, "_blank", "noopener"); },
      goesOn: () => { this.toggleGoesOn(); },
      leaveField: () => { this.toStage(); },
      sure: (key) => answerSure(key),
    };
  }

  buttons() {
    const { acts } = this;
    const wire = (id, act) => $(`#${id}`).addEventListener("click", (event) => {
      act(event);
      // After a click the keys go on at the picture; after the keyboard's own Enter the focus stays where it is.
      if (event.detail && !$("dialog[open]")) this.toStage();
    });
    wire("accept", acts.accept);
    wire("empty", (event) => acts.empty(event.shiftKey));
    wire("cannot-tell", (event) => acts.cannotTell(event.shiftKey));
    wire("bad", (event) => acts.bad(event.shiftKey));
    wire("skip", acts.skip);
    wire("undo", acts.undo);
    wire("find", acts.find);
    wire("also", acts.also);
    wire("repeat", acts.repeat);
    wire("less", () => acts.count(-1));
    wire("more", () => acts.count(1));
    wire("at-once", acts.goesOn);
    $("#slots").addEventListener("click", (event) => event.detail && this.toStage());
    $("#count").addEventListener("change", (event) => this.change((draft) => draft.setCount(Number(event.target.value))));
    $("#note").addEventListener("input", (event) => { if (this.draft) this.draft.note = event.target.value; });
    this.paintGoesOn();
  }
}

async function start() {
  const outbox = new Outbox({ project: page.project, person: page.person });
  watchOutbox(outbox, { open: (record) => { outbox.dismiss(record); window.location.search = `?image=${record.images[0]}`; } });
  await outbox.open();
  if (outbox.others) toast(`${outbox.others} decisions of somebody else wait in this browser until they sign in again.`, { seconds: 12 });
  if (!page.queue && !page.image) return showQueues(page);
  const review = new Review(outbox);
  review.toStage();
  return review;
}

start().catch((problem) => {
  $("#review-root").prepend(h("p", { class: "note bad", role: "alert", text: problem.message }));
});
