// The table of the Review page's keys. Handlers, the overlay and the fields' own keys are all made from it.

const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
const LATER = "n"; // draws a box once boxes can be drawn

function pageLines(acts) {
  return [
    { group: "Say what it is", keys: DIGITS, shown: ["1", "–", "9"], shift: "own", say: "that label for the whole sequence", act: (_, { key, shift }) => acts.slot(Number(key), shift) },
    { group: "Say what it is", keys: ["Enter"], say: "accept, save and go on", act: acts.accept },
    { group: "Say what it is", keys: ["/"], say: "find a label by any of its names", act: acts.find },
    { group: "Say what it is", keys: ["e"], shift: "own", say: "empty: nothing there", act: (_, { shift }) => acts.empty(shift) },
    { group: "Say what it is", keys: ["x"], shift: "own", say: "cannot tell, and what is sure", act: (_, { shift }) => acts.cannotTell(shift) },
    { group: "Say what it is", keys: ["b"], shift: "own", say: "bad image", act: (_, { shift }) => acts.bad(shift) },
    { group: "Say what it is", shown: ["Shift", "+ key"], say: "the same, only for this frame" },
    { group: "Say what it is", keys: ["a"], say: "and: the next label is one more", act: acts.also },
    { group: "Say more", keys: ["+"], repeats: true, say: "one more of them", act: () => acts.count(1) },
    { group: "Say more", keys: ["-"], repeats: true, say: "one fewer", act: () => acts.count(-1) },
    { group: "Say more", keys: ["r"], say: "repeat the last fields", act: acts.repeat },
    { group: "Say more", keys: ["m"], say: "a note (memo)", act: acts.note },
    { group: "Look", keys: ["ArrowLeft"], repeats: true, say: "frame before", act: () => acts.step(-1) },
    { group: "Look", keys: ["ArrowRight"], repeats: true, say: "frame after", act: () => acts.step(1) },
    { group: "Look", keys: ["Home"], say: "first frame", act: () => acts.ends(false) },
    { group: "Look", keys: ["End"], say: "last frame", act: () => acts.ends(true) },
    { group: "Look", keys: ["z"], say: "zoom in and out; or press and hold", act: acts.zoom },
    { group: "Look", keys: ["h"], say: "hide or show the boxes", act: acts.boxes },
    { group: "Look", keys: ["i"], say: "this image's page, in a new tab", act: acts.details },
    { group: "Go", keys: ["s"], say: "skip: it comes again later", act: acts.skip },
    { group: "Go", keys: ["u"], say: "undo, as far back as this sitting goes", act: acts.undo },
    { group: "Go", keys: ["o"], say: "on at once: a label saves without Enter", act: acts.goesOn },
  ];
}

function otherScopes(acts) {
  return [
    { scope: "tell", keys: [...DIGITS, "0", "Enter"], act: (_, { key }) => acts.sure(key) },
    { scope: "typing", keys: ["Escape"], act: (event) => (event.target.closest("dialog") ? false : acts.leaveField()) },
    { scope: "typing", keys: ["Enter"], act: (event) => (event.target.closest("dialog") ? false : acts.leaveField()) },
  ];
}

/** The letters that fields cannot have. */
export function lettersOf(acts) {
  return [...pageLines(acts).flatMap((line) => line.keys ?? []).filter((key) => /^[a-z]$/.test(key)), LATER];
}

/** `controls.press(field)` does what a field's key does. */
export function linesOf(acts, fields, controls) {
  const own = fields.filter((field) => field.shortcut).map((field) => ({
    group: "Say more", keys: [field.shortcut], say: field.kind === "choice" ? `${field.name}: the next choice` : field.name, act: () => controls.press(field),
  }));
  const taken = new Set(own.flatMap((line) => line.keys));
  return [...pageLines(acts).filter((line) => !line.keys?.some((key) => taken.has(key))), ...own, ...otherScopes(acts)];
}
