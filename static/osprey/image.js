// The page of one image: boxes that can be chosen, and *wrong? fix it*.
import { showAnswer, pressFix } from "./answer.js";
import { $, data, h, onKeys } from "./dom.js";
import { fetchAnswer } from "./fetch-answer.js";

const page = data("image");

async function draw() {
  const box = $("#answer");
  try {
    const answer = await fetchAnswer({ image: page.id, prediction: page.prediction });
    if (!answer) return;
    showAnswer(box, { ...answer, image: { ...answer.image, path: page.path } }, {
      picture: page.picture, project: page.project, rights: page.rights, verdict: page.verdict, link: false, signIn: page.signIn,
      onFixed: () => $("#reload").hidden = false,
    });
  } catch (problem) {
    box.prepend(h("p", { class: "note bad", text: problem.message }));
  }
}

function go(selector) {
  const link = $(selector);
  if (link) window.location = link.href;
  return Boolean(link);
}

onKeys({ f: () => pressFix($("#answer")), ArrowLeft: () => go("#previous"), ArrowRight: () => go("#next"), j: () => go("#next"), k: () => go("#previous") });
if (page.hasAnswer) draw();
