// The page: it follows the server's events, fetches what they tell of, and hands it to the parts. Nothing here draws.

import { Follower, ask, keepToken } from "./following.js";
import { compareProblems, compareSkills, tellChange, tellHealth } from "./changes.js";
import { byId, clock, count, number } from "./elements.js";
import { showProblems } from "./problems.js";
import { showPrompt } from "./prompt.js";
import { filter, markChanged, showSkills, step } from "./skills.js";
import { lookWhenSeen, showRoots } from "./watching.js";

// How long to wait with fetching once more what the server could not give.
const AGAIN_MS = 2_000;
// Where this tab began to follow, a version, and the problems that there were then: a reload resumes there, and has the
// same feed again.
const BEGAN = `skills-refresh-began ${location.pathname}`;

let snapshot = null;
let promptVersion = null;
let paths = []; // of the roots
let told = null; // the problems as of the last event, or null where they are not known
let awaySince = null;
let beforeAway = null; // the snapshot that was shown when the server went away

// -- what the server has ----------------------------------------------------------------------------------------------

let refreshing = null;
let wanted = false;

/** Fetches and shows what is current; called again meanwhile, it does so once more. */
function refresh() {
  wanted = true;
  refreshing ??= (async () => {
    try {
      while (wanted) {
        wanted = false;
        await fetchAll();
      }
    } catch (error) {
      if (awaySince === null) {
        say("waiting", `Not up to date: ${error.message}`);
        setTimeout(refresh, AGAIN_MS);
      }
    } finally {
      refreshing = null;
    }
  })();
  return refreshing;
}

async function fetchAll() {
  const [current, health] = await Promise.all(["v1/snapshot", "v1/health"].map(async (path) => (await ask(path)).json()));
  paths = health.roots.map((root) => root.path);
  snapshot = current;
  byId("content").hidden = false;
  showSkills(snapshot, paths);
  showProblems(snapshot.problems, paths);
  showRoots(health.roots);
  if (awaySince === null) say("live", "Live");
  const skills = snapshot.skills.length;
  byId("count-skills").textContent = number(skills);
  byId("note-skills").textContent = skills === 1 ? "skill" : "skills";
  byId("version").textContent = `version ${snapshot.version}, from ${clock(snapshot.version)}`;
  const problems = snapshot.problems.length;
  document.title = `${problems > 0 ? `${count(problems, "problem")}, ` : ""}${count(skills, "skill")}${nameOfWorkspace(" in ")}`;
  if (promptVersion !== snapshot.prompt_version) {
    showPrompt(await (await ask("v1/prompt")).text());
    promptVersion = current.prompt_version;
  }
}

// -- what the server tells --------------------------------------------------------------------------------------------

const events = {
  async ready(data) {
    awaySince = null;
    byId("away").hidden = true;
    byId("token-form").hidden = true;
    if (follower.lastId === "") began(data);
    paths = data.roots.map((root) => root.path); // what is replayed names files below them
    await refresh();
    byId("change-list").setAttribute("aria-live", "polite"); // from here on; what was replayed is no news
  },

  async changed(data) {
    const notes = data.problems === undefined ? [] : compareProblems(told, data.problems, paths);
    told = data.problems ?? told;
    tellChange(data, notes, paths);
    await refresh();
    markChanged(data.changes, data.version);
  },

  health(data) {
    tellHealth(data);
    refresh();
  },

  async reset(data) {
    const before = beforeAway;
    began(data);
    await refresh();
    told = snapshot?.problems ?? null;
    if (before === null || told === null) return;
    const changes = compareSkills(before.skills, snapshot.skills);
    const notes = compareProblems(before.problems, snapshot.problems, paths);
    if (changes.length + notes.length > 0) tellChange({ version: data.version, reason: "found after the connection came back", changes }, notes, paths);
  },
};

/** Remembers where this tab's feed begins. */
function began(data) {
  told = data.problems ?? told;
  try {
    sessionStorage.setItem(BEGAN, JSON.stringify({ version: data.version, problems: told }));
  } catch {
    sessionStorage.setItem(BEGAN, JSON.stringify({ version: data.version })); // too many problems to keep
  }
}

function readBegan() {
  try {
    return JSON.parse(sessionStorage.getItem(BEGAN)) ?? {};
  } catch {
    return {};
  }
}

const start = readBegan();
told = start.problems ?? null;

const follower = new Follower({
  lastId: String(start.version ?? ""),
  onEvent: (name, data) => events[name]?.(data),
  onAway(error) {
    if (awaySince === null) {
      awaySince = Date.now();
      beforeAway = snapshot;
    }
    const refusal = error?.cure === undefined ? "" : ` It says: ${error.message}. ${error.cure}`;
    const kept = snapshot === null ? "" : " What you see is from then.";
    byId("away-title").textContent = `${error?.cure === undefined ? "Not connected" : "No answer"} since ${clock(awaySince)}.`;
    byId("away-text").textContent = `${refusal}${kept} This page tries again by itself.`.trim();
    byId("away").hidden = false;
    say("away", "Not connected");
  },
  onToken: askForToken,
});

function askForToken() {
  const [form, field, error] = [byId("token-form"), byId("token"), byId("token-error")];
  error.textContent = form.hidden ? "" : "The server does not know this token.";
  form.hidden = false;
  byId("content").hidden = true;
  byId("away").hidden = true;
  say("waiting", "Waiting for a token");
  field.value = "";
  field.focus();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      keepToken(field.value.trim());
      resolve();
    };
  });
}

function say(state, text) {
  const connection = byId("connection");
  if (connection.textContent === text) return;
  connection.dataset.state = state;
  connection.textContent = text;
}

function nameOfWorkspace(before) {
  const found = /\/w\/([^/]+)\/[^/]*$/.exec(location.pathname);
  return found === null ? "" : `${before}${decodeURIComponent(found[1])}`;
}

// -- what the user does -----------------------------------------------------------------------------------------------

const search = byId("search");

search.addEventListener("input", filter);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, textarea");
  const stepping = event.target === search || event.target.matches("#skill-list summary");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "Escape" && search.value !== "") {
    event.preventDefault();
    search.value = "";
    filter();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && stepping) {
    event.preventDefault();
    step(event.target, event.key === "ArrowDown" ? 1 : -1);
  }
});

byId("refresh").addEventListener("click", async ({ currentTarget: button }) => {
  button.textContent = "Rescanning…";
  try {
    await ask("v1/refresh", { method: "POST" });
    await refresh();
    button.textContent = "Rescanned";
  } catch {
    button.textContent = "Not rescanned"; // why the server does not answer is told beside it
  }
  setTimeout(() => (button.textContent = "Rescan"), AGAIN_MS);
});

byId("try-now").addEventListener("click", () => follower.tryNow());
window.addEventListener("online", () => follower.tryNow());

byId("title").textContent = `Skills${nameOfWorkspace(" in ")}`;
lookWhenSeen();
follower.run();
