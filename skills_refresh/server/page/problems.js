// The problems: what is wrong, where, and how to mend it. The gravest come first.

import { arrange, belowRoot, byId, count, element, number, shorten, tag } from "./elements.js";

const GRAVITY = ["error", "warning", "info"];
const MANY = { error: "errors", warning: "warnings", info: "info" };
// More than that would hide what stands below.
const MOST_SHOWN = 12;
const list = byId("problem-list");
let rows = new Map();

/** Shows the problems of a snapshot; `roots` are paths. */
export function showProblems(problems, roots) {
  const sorted = [...problems].sort((one, other) => GRAVITY.indexOf(one.severity) - GRAVITY.indexOf(other.severity));
  const kept = new Map();
  for (const problem of sorted) kept.set(problemKey(problem), rows.get(problemKey(problem)) ?? draw(problem, roots));
  rows = kept;
  arrange(list, [...rows.values()]);
  shorten(list, byId("all-problems"), MOST_SHOWN);
  byId("no-problems").hidden = rows.size > 0;
  const counts = GRAVITY.map((severity) => [severity, problems.filter((each) => each.severity === severity).length]);
  const said = counts.filter(([, many]) => many > 0).map(([severity, many]) => count(many, severity, MANY[severity]));
  byId("count-problems").textContent = number(problems.length);
  byId("count-problems").className = counts.find(([, many]) => many > 0)?.[0] ?? "fine";
  byId("note-problems").textContent = `${problems.length === 1 ? "problem" : "problems"}${said.length > 0 ? `: ${said.join(", ")}` : ""}`;
}

export function problemKey(problem) {
  return JSON.stringify([problem.code, problem.path, problem.message]);
}

/** Where it is: the path, and the line where the message names one. */
export function placeOf(problem, roots) {
  const line = /^line (\d+)\b/.exec(problem.message);
  return belowRoot(problem.path, roots) + (line === null ? "" : `:${line[1]}`);
}

function draw(problem, roots) {
  return element(
    "li",
    { class: `problem ${problem.severity}` },
    element("p", { class: "line" }, tag(problem.severity), element("code", { class: "code" }, problem.code), element("span", { class: "path", title: problem.path }, placeOf(problem, roots))),
    element("p", { class: "message" }, problem.message),
    element("p", { class: "cure quiet" }, problem.cure),
  );
}
