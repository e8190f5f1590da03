// Elements and words. Text is only ever set as text: nothing that a skill holds can become markup.

const numbers = new Intl.NumberFormat("en");

/** An element with attributes and children. A child that is a string becomes a text node; null is left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A small label: its text, and the colour that goes with `kind`. */
export function tag(kind, text = kind) {
  return element("span", { class: `tag ${kind}` }, text);
}

export function byId(id) {
  return document.getElementById(id);
}

export function number(value) {
  return numbers.format(value);
}

/** "1 skill", "12 skills". */
export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** The time of day, and the date where it is not today's. `when` is in milliseconds since the epoch. */
export function clock(when) {
  const date = new Date(when);
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString("en-CA")} ${time}`;
}

export function bytes(size) {
  if (size < 1_000) return `${size} B`;
  return size < 1_000_000 ? `${(size / 1_000).toFixed(1)} kB` : `${(size / 1_000_000).toFixed(1)} MB`;
}

/** `path` without the root that it lies below. */
export function belowRoot(path, roots) {
  const root = roots.find((each) => path.startsWith(`${each.replace(/\/$/, "")}/`));
  return root === undefined ? path : path.slice(root.replace(/\/$/, "").length + 1);
}

/** Shows the first `most` children of `list` alone, and where there are more, `button`, which shows them all. */
export function shorten(list, button, most) {
  const children = [...list.children];
  const all = button.dataset.all === "true";
  children.forEach((child, index) => (child.hidden = !all && index >= most));
  button.hidden = all || children.length <= most;
  button.textContent = `Show all ${number(children.length)}`;
  button.onclick = () => {
    button.dataset.all = "true";
    shorten(list, button, most);
  };
}

/** Makes the children of `list` be `wanted`, in this order, moving only those that stand elsewhere. */
export function arrange(list, wanted) {
  const keep = new Set(wanted);
  for (const child of [...list.children]) if (!keep.has(child)) child.remove();
  let next = list.firstElementChild;
  let fresh = document.createDocumentFragment();
  for (const child of wanted) {
    if (child === next) {
      list.insertBefore(fresh, next);
      next = next.nextElementSibling;
    } else {
      fresh.append(child);
    }
  }
  list.append(fresh);
}
