// The text that a model reads, and how much of it there is.

import { byId, count, number } from "./elements.js";

// A rule of thumb for English; each model counts in its own way, so the page says that it is an estimate.
const CHARACTERS_PER_TOKEN = 4;

const details = byId("prompt-details");
let text = "";

/** Shows the prompt. */
export function showPrompt(prompt) {
  text = prompt;
  let characters = 0;
  for (const _ of text) characters += 1; // code points, as Python counts them; `length` counts an emoji twice
  const tokens = Math.ceil(characters / CHARACTERS_PER_TOKEN);
  byId("count-tokens").textContent = `≈ ${number(tokens)}`;
  byId("note-tokens").textContent = "prompt tokens";
  byId("prompt-size").textContent =
    text === "" ? "Empty: there is no skill to tell a model of." : `${count(characters, "character")}, about ${count(tokens, "token")} (an estimate: characters / ${CHARACTERS_PER_TOKEN})`;
  fill();
}

/** Writes the text, which may be long, once somebody opens it. */
function fill() {
  if (details.open) byId("prompt-text").textContent = text;
}

details.addEventListener("toggle", fill);
