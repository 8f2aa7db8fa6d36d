// New project: each kind of pictures says what it brings, and how many labels were typed.
import { $, $$ } from "./dom.js";
import { count } from "./words.js";

function kinds() {
  const chosen = $("input[name=pictures]:checked")?.value;
  for (const box of $$("[data-kind]")) box.hidden = box.dataset.kind !== chosen;
}

function labels() {
  const names = new Set($("#id_labels").value.split(/[\n,;]/).map((name) => name.trim().toLowerCase()).filter(Boolean));
  $("#label-count").textContent = names.size ? count(names.size, "label") : "none yet: they can be added later";
}

for (const input of $$("input[name=pictures]")) input.addEventListener("change", kinds);
$("#id_labels").addEventListener("input", labels);
kinds();
labels();
