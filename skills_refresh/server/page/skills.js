// The list of skills: one row each, made once and touched only when its skill differs; what lies inside is fetched when
// somebody opens it.

import { ask } from "./following.js";
import { arrange, belowRoot, byId, bytes, clock, count, element, number, tag } from "./elements.js";

// From so many on, rows that are off the screen are not laid out: a thousand skills then scroll like a dozen.
const LONG_LIST = 60;
// One edit should catch the eye; a checkout of everything should not.
const MOST_HIGHLIGHTS = 12;
const HIGHLIGHT_MS = 1_600;

const stillness = matchMedia("(prefers-reduced-motion: reduce)");
const list = byId("skill-list");
const search = byId("search");
const rows = new Map();

/** Shows the skills of a snapshot; `roots` are paths. */
export function showSkills(snapshot, roots) {
  const troubles = countProblems(snapshot);
  const names = new Set(snapshot.skills.map((skill) => skill.name));
  for (const name of rows.keys()) if (!names.has(name)) rows.delete(name);
  const wanted = snapshot.skills.map((skill) => {
    const row = rows.get(skill.name) ?? new Row(skill.name);
    rows.set(skill.name, row);
    row.show(skill, troubles.get(skill.name) ?? 0);
    return row.item;
  });
  list.classList.toggle("long", wanted.length > LONG_LIST);
  arrange(list, wanted);
  showEmpty(roots);
  filter();
}

/** Says on their rows which skills were changed or added, and when. */
export function markChanged(changes, when) {
  const highlight = changes.length <= MOST_HIGHLIGHTS && !stillness.matches;
  for (const { skill, kind } of changes) rows.get(skill)?.mark(`${kind} ${clock(when)}`, highlight);
}

/** Hides the rows that do not hold every word that is searched for. */
export function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const row of rows.values()) {
    const matches = words.every((word) => row.searched.includes(word));
    if (row.item.hidden === matches) row.item.hidden = !matches;
    found += matches;
  }
  const said = found === 0 ? "No skill has that. Esc clears the search." : `${number(found)} of ${count(rows.size, "skill")}`;
  byId("found").textContent = words.length === 0 || rows.size === 0 ? "" : said;
  list.hidden = found === 0;
}

/** Moves the focus from a skill to the next one (1) or the one before (-1); from the search to the first. */
export function step(from, by) {
  const heads = [...list.querySelectorAll(":scope > li:not([hidden]) > details > summary")];
  const next = from === search ? 0 : heads.indexOf(from) + by;
  if (next < 0) search.focus();
  else heads[Math.min(next, heads.length - 1)]?.focus();
}

class Row {
  constructor(name) {
    this.name = name;
    this.head = element("summary");
    this.inside = element("div", { class: "inside" });
    this.details = element("details", {}, this.head, this.inside);
    this.item = element("li", { class: "skill" }, this.details);
    this.searched = "";
    this.shown = "";
    this.changed = "";
    this.details.addEventListener("toggle", () => this.#fill());
  }

  show(skill, problems) {
    const shown = JSON.stringify([skill, problems]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.skill = skill;
    this.problems = problems;
    this.searched = `${skill.name}\n${skill.description}\n${skill.location}`.toLowerCase();
    this.#draw();
    this.#fill();
  }

  mark(changed, highlight) {
    this.changed = changed;
    this.#draw();
    if (highlight) this.item.animate({ backgroundColor: ["var(--highlight)", "transparent"] }, { duration: HIGHLIGHT_MS, easing: "ease-out" });
  }

  #draw() {
    const { skill, problems } = this;
    const labels = element("span", { class: "labels" });
    if (problems > 0) labels.append(tag("warning", count(problems, "problem")));
    if (skill.shadows.length > 0) labels.append(tag("info", `shadows ${number(skill.shadows.length)}`));
    if (this.changed !== "") labels.append(tag("changed", this.changed));
    const place = belowRoot(skill.location, [skill.root]);
    this.head.replaceChildren(
      element("span", { class: "line" }, element("b", { class: "name" }, skill.name), labels),
      element("span", { class: "description" }, skill.description),
      element(
        "span",
        { class: "place quiet" },
        element("span", { class: "path" }, element("span", {}, `${skill.root.replace(/\/$/, "")}/`), place),
        element("span", {}, count(skill.files, "file")),
      ),
    );
  }

  async #fill() {
    if (!this.details.open) return;
    const shown = this.shown;
    try {
      const response = await ask(`v1/skills/${encodeURIComponent(this.name)}`, { cache: "no-store" });
      const details = await response.json();
      if (shown === this.shown) this.inside.replaceChildren(...describe(details));
    } catch (error) {
      if (shown === this.shown) this.inside.replaceChildren(element("p", { class: "error-text" }, `It cannot be shown: ${error.message}.`));
    }
  }
}

function describe(skill) {
  const facts = element("dl");
  const fact = (term, ...values) =>
    facts.append(element("dt", {}, term), ...values.map((value) => element("dd", {}, value)));
  fact("File", skill.location);
  fact("Root", skill.root);
  if (skill.shadows.length > 0) fact("Shadows", ...skill.shadows);
  for (const [key, value] of Object.entries(skill.frontmatter)) {
    if (key !== "name" && key !== "description") fact(key, typeof value === "string" ? value : JSON.stringify(value));
  }
  fact("Digest", skill.digest);
  const files = skill.files.map((file) =>
    element("li", {}, element("span", {}, file.path), element("span", { class: "quiet" }, bytes(file.size))),
  );
  const instructions = { tabindex: "0", role: "region", "aria-label": `Instructions of ${skill.name}` };
  return [
    facts,
    element("h3", {}, count(files.length, "file")),
    element("ul", { class: "files" }, ...files),
    element("h3", {}, "Instructions"),
    element("pre", instructions, skill.instructions),
  ];
}

/** By name, how many problems lie in the skill's directory. */
function countProblems(snapshot) {
  const owners = new Map(snapshot.skills.map((skill) => [above(skill.location), skill.name]));
  const counted = new Map();
  for (const problem of snapshot.problems) {
    let path = problem.path;
    while (path !== "" && !owners.has(path)) path = above(path);
    const name = owners.get(path);
    if (name !== undefined) counted.set(name, (counted.get(name) ?? 0) + 1);
  }
  return counted;
}

function above(path) {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

function showEmpty(roots) {
  const empty = byId("no-skills");
  empty.hidden = rows.size > 0;
  if (rows.size > 0) return;
  const root = roots[0];
  if (root === undefined) {
    empty.replaceChildren(element("p", {}, "No skills yet, and no root to look for them. Name a directory when you start the server."));
    return;
  }
  empty.replaceChildren(
    element("p", {}, "No skills yet: make a folder with a SKILL.md in ", element("code", {}, root), "."),
    element("pre", {}, `${root}/my-skill/SKILL.md\n\n---\nname: my-skill\ndescription: What it does, and when to use it.\n---\n\nThe instructions.`),
  );
}
