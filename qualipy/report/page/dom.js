// Making elements. Text of the data becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

function draw(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function icon(name) {
  return draw("svg", { "aria-hidden": "true" }, draw("use", { href: `#i-${name}` }));
}

function byId(id) {
  return document.getElementById(id);
}

// A name as a person may read it: the folder stands back, and nothing in it turns its direction.
function nameOf(data, number, { folder = false } = {}) {
  const [before, last] = partsOf(data.images[number]);
  const parts = folder ? [make("span", { class: "folder" }, visible(before))] : [];
  return make("bdi", {}, ...parts, visible(last));
}

// The same on one line: what does not fit is left out of the middle, for names differ at their ends.
function shortNameOf(data, number) {
  const name = visible(partsOf(data.images[number])[1]);
  let end = name.length > 16 ? name.length - 10 : name.length;
  if (/[\udc00-\udfff]/.test(name[end] || "")) end++; // not between the halves of a character
  return make("bdi", {}, make("span", { class: "start" }, name.slice(0, end)),
    make("span", {}, name.slice(end)));
}

let saying = 0;

// Say something to those who listen to the page, and show it for a moment.
function say(text) {
  const said = byId("said");
  // What stands behind an open dialog is neither seen nor read out.
  (document.querySelector("dialog[open]") || byId("app")).append(said);
  said.textContent = text;
  said.classList.add("shown");
  clearTimeout(saying);
  saying = setTimeout(() => said.classList.remove("shown"), 2500);
}

async function copy(text, what) {
  let copied = false;
  try {
    await navigator.clipboard.writeText(text);
    copied = true;
  } catch {
    const area = make("textarea", { class: "aside", readonly: true, "aria-hidden": "true" });
    area.value = text;
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  say(copied ? `${what} copied` : `This browser does not let the page copy. ${what} not copied.`);
}

function save(name, bytes, type) {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  say(`${name} saved`);
}

// Call something at most once per frame, however often it is asked for.
function perFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}
