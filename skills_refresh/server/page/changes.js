// The feed: what changed, when, and in which aspect. The newest stands at the top.

import { belowRoot, byId, clock, count, element, number, shorten, tag } from "./elements.js";
import { placeOf, problemKey } from "./problems.js";

// More than anybody reads back; older entries make room.
const MOST_ENTRIES = 100;
// Until somebody wants to see them all.
const MOST_SHOWN = 10;
// A checkout changes hundreds of skills at once: it is told by its first few.
const MOST_LINES = 6;
const MOST_PATHS = 3;
const MEANINGS = {
  catalog: "its name, description or place: what the prompt shows",
  instructions: "the text below the frontmatter",
  files: "the files beside SKILL.md",
};

const list = byId("change-list");
let told = 0;

/** Tells of one change of the snapshot. `problems` are the lines that `compareProblems` made. */
export function tellChange({ version, reason, changes }, problems, roots) {
  const lines = changes.slice(0, MOST_LINES).map((change) => changeLine(change, roots));
  if (changes.length > MOST_LINES) lines.push(element("p", { class: "quiet" }, `and ${number(changes.length - MOST_LINES)} more`));
  // An edit by the user is the usual case; any other reason is worth a word.
  const why = reason === "watch" ? null : element("p", { class: "quiet" }, `Told by: ${reason}`);
  tell(version, lines.concat(problems.slice(0, MOST_LINES)), why);
}

/** Tells that a root is watched in another way than before. */
export function tellHealth(health) {
  const line = element("p", { class: "line" }, tag(modeColour(health.mode), health.mode), element("b", { class: "name" }, health.path));
  tell(Date.now(), [line], health.message === "" ? null : element("p", { class: "quiet" }, health.message));
}

/** The colour of a mode. */
export function modeColour(mode) {
  return { native: "fine", missing: "error" }[mode] ?? "warning";
}

/** Lines for the problems that came and went between two lists of them; none where the earlier one is not known. */
export function compareProblems(before, after, roots) {
  if (before === null) return [];
  const [had, has] = [before, after].map((problems) => new Set(problems.map(problemKey)));
  const line = (kind, problem) =>
    element("p", { class: "line" }, tag(kind === "mended" ? "fine" : problem.severity, kind), element("code", { class: "code" }, problem.code), element("span", { class: "path" }, placeOf(problem, roots)));
  return [
    ...after.filter((problem) => !had.has(problemKey(problem))).map((problem) => line("problem", problem)),
    ...before.filter((problem) => !has.has(problemKey(problem))).map((problem) => line("mended", problem)),
  ];
}

/** What differs between two lists of skills, as far as lists tell, in the form of a change. */
export function compareSkills(before, after) {
  const [had, has] = [before, after].map((skills) => new Map(skills.map((skill) => [skill.name, skill])));
  const change = (skill, kind, aspects) => ({ skill: skill.name, kind, aspects, paths: [skill.location] });
  return [
    ...after.filter((skill) => !had.has(skill.name)).map((skill) => change(skill, "added", [])),
    ...after.filter((skill) => differs(had.get(skill.name), skill)).map((skill) => change(skill, "changed", [])),
    ...before.filter((skill) => !has.has(skill.name)).map((skill) => change(skill, "removed", [])),
  ];
}

function differs(was, now) {
  return was !== undefined && (was.digest !== now.digest || was.location !== now.location || was.files !== now.files);
}

function changeLine(change, roots) {
  const aspects = change.aspects.map((aspect) => element("span", { class: "aspect", title: MEANINGS[aspect] }, aspect));
  const paths = change.paths.slice(0, MOST_PATHS).map((path) => belowRoot(path, roots));
  if (change.paths.length > MOST_PATHS) paths.push(`and ${count(change.paths.length - MOST_PATHS, "more file", "more files")}`);
  return element(
    "div",
    {},
    element("p", { class: "line" }, tag(change.kind), element("b", { class: "name" }, change.skill ?? "files of no skill"), ...aspects),
    element("p", { class: "path quiet", title: change.paths[0] ?? "" }, paths.join(", ")),
  );
}

function tell(when, lines, note) {
  const time = element("time", { datetime: new Date(when).toISOString() }, clock(when));
  list.prepend(element("li", { class: "change" }, time, element("div", { class: "lines" }, ...lines, note)));
  while (list.children.length > MOST_ENTRIES) list.lastElementChild.remove();
  shorten(list, byId("all-changes"), MOST_SHOWN);
  told += 1;
  byId("no-changes").hidden = true;
  byId("count-changes").textContent = number(told);
  byId("note-changes").textContent = `${told === 1 ? "change" : "changes"}, last ${clock(when)}`;
}
