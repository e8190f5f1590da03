// How the roots are watched. What is left out, and the budget, cost the server a look at every directory: they are asked
// for only while this part of the page is on the screen, and seldom.

import { ask } from "./following.js";
import { modeColour } from "./changes.js";
import { belowRoot, byId, clock, count, element, number, tag } from "./elements.js";

// The server looks anew once in so long, however often it is asked.
const LOOK_EVERY_MS = 60_000;
// From here on the bar warns: other programs of the same user need watches too.
const TIGHT = 0.8;

let roots = [];
let diagnosis = null;
let lookedAt = -Infinity;
let seen = false;
let drawn = "";

/** Shows the health of all roots. */
export function showRoots(health) {
  roots = health;
  const modes = [...new Set(roots.map((root) => root.mode))];
  byId("count-roots").textContent = number(roots.length);
  byId("count-roots").className = modes.map(modeColour).sort(byGravity)[0] ?? "";
  byId("note-roots").textContent = `${roots.length === 1 ? "root" : "roots"}: ${modes.join(", ") || "none"}`;
  draw();
  look();
}

/** Begins to ask for what is left out as soon as this part of the page is seen. */
export function lookWhenSeen() {
  new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    look();
  }).observe(byId("watching"));
}

async function look() {
  if (!seen || roots.length === 0 || performance.now() - lookedAt < LOOK_EVERY_MS) return;
  lookedAt = performance.now();
  try {
    diagnosis = await (await ask("v1/doctor")).json();
  } catch {
    lookedAt = -Infinity; // the server is away; the next snapshot asks again
    return;
  }
  draw();
  showBudget(diagnosis.kernel_watches, diagnosis.max_user_watches);
}

function showBudget(used, most) {
  const known = used !== null && most !== null && most > 0;
  byId("budget").hidden = !known;
  if (!known) return;
  const share = Math.min(used / most, 1);
  const bar = byId("budget-bar");
  const said = `${number(used)} of ${number(most)} (${(share * 100).toFixed(share < 0.1 ? 2 : 0)} %)`;
  byId("budget-text").textContent = said;
  bar.setAttribute("aria-valuemax", most);
  bar.setAttribute("aria-valuenow", used);
  bar.setAttribute("aria-valuetext", said);
  bar.classList.toggle("tight", share >= TIGHT);
  bar.firstElementChild.style.width = `${share * 100}%`;
}

function draw() {
  const wanted = JSON.stringify([roots, diagnosis]);
  if (wanted === drawn) return;
  drawn = wanted;
  const open = new Set([...byId("root-list").querySelectorAll("details[open]")].map((each) => each.dataset.root));
  byId("root-list").replaceChildren(...roots.map((root) => drawRoot(root, open.has(root.path))));
}

function drawRoot(root, open) {
  const item = element(
    "li",
    { class: "root" },
    element("p", { class: "line" }, tag(modeColour(root.mode), root.mode), element("b", { class: "name path" }, root.path)),
  );
  if (root.message !== "") item.append(element("p", { class: "message" }, `${root.message}${root.reason === "" ? "" : ` (${root.reason})`}`));
  if (root.cure !== "") item.append(element("p", { class: "cure quiet" }, root.cure));
  item.append(element("p", { class: "quiet" }, figures(root).join(" · ")));
  const found = diagnosis?.roots.find((each) => each.path === root.path);
  if (found !== undefined) item.append(drawPruned(root.path, found.pruned, open));
  return item;
}

function figures(root) {
  const said = [`${count(root.watched_dirs, "directory", "directories")} watched`, `${number(root.polled_dirs)} polled`];
  if (root.poll_interval !== null) said.push(`every ${root.poll_interval} s`);
  if (root.last_event !== null) said.push(`last event ${clock(root.last_event * 1_000)}`);
  if (root.last_audit !== null) said.push(`last audit ${clock(root.last_audit * 1_000)}`);
  if (root.found_by_audit > 0) said.push(`${number(root.found_by_audit)} found by audits`);
  if (root.instances_replaced > 0) said.push(`${count(root.instances_replaced, "watcher")} replaced`);
  if (root.failures > 0) said.push(`${count(root.failures, "failure")} survived`);
  return said;
}

function drawPruned(path, pruned, open) {
  if (pruned.length === 0) return element("p", { class: "quiet" }, "No directory is left out.");
  const files = pruned.reduce((sum, each) => sum + each.files, 0);
  const least = pruned.every((each) => each.complete) ? "" : "at least ";
  const made = element(
    "details",
    { "data-root": path },
    element("summary", {}, `${count(pruned.length, "directory is", "directories are")} left out, with ${least}${count(files, "file")}`),
    element("ul", { class: "files" }, ...pruned.map((each) => drawOne(each, path))),
  );
  made.open = open;
  return made;
}

function drawOne(pruned, root) {
  const many = `${pruned.complete ? "" : "at least "}${count(pruned.files, "file")}`;
  return element(
    "li",
    {},
    element("span", { title: pruned.path }, belowRoot(pruned.path, [root]), element("small", { class: "quiet" }, pruned.rule)),
    element("span", { class: "quiet" }, many),
  );
}

function byGravity(one, other) {
  const order = ["error", "warning", "fine"];
  return order.indexOf(one) - order.indexOf(other);
}
