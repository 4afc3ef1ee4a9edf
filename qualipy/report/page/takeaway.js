// What leaves the page: the lists, and the thresholds as a command and as a request.

const PREVIEW = 200; // lines of a list that are shown; all of them are copied and saved

const LISTS = { keep: KEEP, drop: DROP };

// A list as text: paths, exactly as the file system has them, with something behind each.
function listBytes(data, numbers, behind) {
  const parts = numbers.map((number) => {
    const text = data.images[number];
    return isTidy(text) ? text + behind : bytesOf(text + behind);
  });
  return new Blob(parts);
}

function listCSV(data, judge, choices, numbers) {
  const head = ["image", "list", "decided_by", "flagged", "error",
    ...data.filters.map((filter) => filter.label)];
  const rows = numbers.map((number) => {
    const problems = data.errors[number]
      ? [data.errors[number]]
      : Object.values(data.failures[number] || {});
    return [
      inert(escapedBytes(data.images[number])),
      choices.listOf(number) === KEEP ? "keep" : "drop",
      choices.marks[number] ? "hand" : "filters",
      judge.reasonsOf(number).map((filter) => filter.label).join(" "),
      problems.map((problem) => `${problem.type}: ${problem.message}`).join("; "),
      ...data.filters.map((filter) =>
        Number.isNaN(filter.predictions[number]) ? "" : String(filter.predictions[number])),
    ];
  });
  return `${[head, ...rows].map((row) => row.map(cell).join(",")).join("\n")}\n`;
}

// A filter's parameters that are other than its own defaults, the threshold of this page included.
function settingsOf(filter) {
  const settings = { ...filter.parameters };
  const known = filter.sign || filter.standard !== null;
  if (known && filter.threshold !== filter.standard) settings.threshold = filter.threshold;
  return settings;
}

// A run has each filter once; what a program has run twice cannot be asked for in one command.
function filtersOfCommand(data) {
  return data.filters.filter((filter) => !filter.label.includes("#"));
}

function command(data) {
  const paths = data.paths.length ? data.paths : commonFolders(data);
  const lines = [["qualipy", "scan", ...paths.map((path) => (/^-./.test(path) ? `./${path}` : path))]];
  const filters = filtersOfCommand(data);
  if (filters.length) lines.push(["--filters", filters.map((filter) => filter.name).join(",")]);
  for (const filter of filters) {
    for (const [name, value] of Object.entries(settingsOf(filter))) {
      const text = typeof value === "string" && !isJSON(value) ? value : JSON.stringify(value);
      lines.push(["--set", `${filter.name}.${name}=${text}`]);
    }
  }
  lines.push(...data.options);
  return lines.map((words) => words.map(shellWord).join(" ")).join(" \\\n  ");
}

// Of text that would be taken for a number, say, the quotation marks are needed.
function isJSON(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// The folder that holds everything, where nobody knows what was asked for.
function commonFolders(data) {
  let common = null;
  for (const image of data.images) {
    const [folder] = partsOf(image);
    if (common === null) common = folder;
    while (!folder.startsWith(common)) common = partsOf(common.slice(0, -1))[0];
    if (!common) break;
  }
  return [common || "."];
}

function request(data, numbers) {
  const images = Object.create(null); // a photo may be called __proto__
  for (const number of numbers) images[data.images[number]] = data.regions[number] || null;
  const filters = Object.create(null);
  for (const filter of filtersOfCommand(data)) filters[filter.name] = settingsOf(filter);
  return `${JSON.stringify({ images, filters, combine_results: false }, null, 2)}\n`;
}

class Takeaway {
  constructor(dialog, { data, judge, choices }) {
    Object.assign(this, { dialog, data, judge, choices });
    this.which = "keep";
    this.form = "lines";
    this.tabs = make("div", { class: "tabs", role: "tablist", "aria-label": "What to take away" });
    this.body = make("div", { class: "taking", role: "tabpanel", id: "taking", tabindex: "-1" });
    dialog.append(
      make("div", { class: "headline" },
        make("h2", { id: "takeaway-title" }, "Take away"),
        make("button", { type: "button", class: "icon", "aria-label": "Close (Esc)",
          onclick: () => dialog.close() }, icon("drop"))),
      this.tabs, this.body);
    this.tabs.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      const all = ["keep", "drop", "command", "request"];
      this.which = all[(all.indexOf(this.which) + by + all.length) % all.length];
      this.show();
      byId(`tab-${this.which}`).focus();
      event.preventDefault();
    });
  }

  open(which = this.which) {
    this.which = which;
    this.show();
    if (!this.dialog.open) this.dialog.showModal();
    byId(`tab-${which}`).focus();
  }

  show() {
    const sizes = { keep: this.choices.list(KEEP).length, drop: this.choices.list(DROP).length };
    const tabs = { keep: "Keep list", drop: "Drop list", command: "Command", request: "Request" };
    this.tabs.replaceChildren(...Object.entries(tabs).map(([which, title]) =>
      make("button", {
        type: "button", role: "tab", id: `tab-${which}`, "aria-controls": "taking",
        "aria-selected": which === this.which ? "true" : "false",
        tabindex: which === this.which ? "0" : "-1",
        onclick: () => this.open(which),
      }, title, which in sizes ? make("span", { class: "number" }, count(sizes[which])) : null)));
    this.body.setAttribute("aria-labelledby", `tab-${this.which}`);
    this.body.replaceChildren(...(this.which in LISTS ? this.list() : this.again()));
  }

  list() {
    const { data, choices } = this;
    const numbers = choices.list(LISTS[this.which]);
    const odd = numbers.filter((number) => !isTidy(data.images[number]));
    const broken = odd.filter((number) => /[\n\r]/.test(data.images[number])).length;
    const forms = { lines: "Text, a path a line", nul: "Text, NUL between (xargs -0)", csv: "CSV" };
    const choose = make("select", { id: "form", onchange: (event) => {
      this.form = event.target.value;
      this.show();
    } }, ...Object.entries(forms).map(([value, title]) =>
      make("option", { value, selected: value === this.form }, title)));
    const notes = [];
    const byHand = numbers.filter((number) => choices.marks[number]).length;
    const words = { keep: "pass every filter", drop: "are flagged" }[this.which];
    notes.push(numbers.length
      ? `${photos(numbers.length)}: ${count(numbers.length - byHand)} that ${words}, ${count(byHand)} marked by hand.`
      : `No photo is on this list.`);
    const neither = data.size - choices.list(KEEP).length - choices.list(DROP).length;
    if (neither) {
      notes.push(`${photos(neither)} could not be judged by every filter and ${neither === 1 ? "is" : "are"} on neither list until you mark ${neither === 1 ? "it" : "them"}.`);
    }
    if (broken && this.form === "lines") {
      notes.push(`${count(broken)} of these names hold a line break: lines cannot carry them, NUL or CSV can.`);
    }
    return [
      ...notes.map((text) => make("p", {}, text)),
      make("div", { class: "acts" },
        make("label", { for: "form" }, "As"), choose,
        make("button", { type: "button", onclick: () => this.copyList(numbers), disabled: !numbers.length },
          icon("copy"), make("span", {}, "Copy")),
        make("button", { type: "button", class: "strong", disabled: !numbers.length,
          onclick: () => this.saveList(numbers) }, icon("save"), make("span", {}, "Save"))),
      this.preview(numbers),
    ];
  }

  preview(numbers) {
    const shown = numbers.slice(0, PREVIEW);
    const text = this.form === "csv"
      ? visibleLines(listCSV(this.data, this.judge, this.choices, shown))
      : shown.map((number) => this.data.names[number]).join("\n");
    const more = numbers.length > PREVIEW ? `\n… and ${count(numbers.length - PREVIEW)} more` : "";
    return make("pre", { class: "preview", tabindex: "0", "aria-label": "Preview" }, text + more);
  }

  copyList(numbers) {
    const { data } = this;
    const behind = { lines: "\n", nul: "\0" }[this.form];
    const text = behind
      ? numbers.map((number) => data.images[number] + behind).join("")
      : listCSV(data, this.judge, this.choices, numbers);
    copy(text, this.which === "keep" ? "Keep list" : "Drop list");
  }

  saveList(numbers) {
    const { data, form, which } = this;
    if (form === "csv") {
      save(`${which}.csv`, listCSV(data, this.judge, this.choices, numbers), "text/csv");
    } else {
      save(`${which}.txt`, listBytes(data, numbers, form === "nul" ? "\0" : "\n"), "text/plain");
    }
  }

  again() {
    const { data } = this;
    const isCommand = this.which === "command";
    const moved = this.judge.moved.length;
    const notes = [moved
      ? `With the thresholds of this page; ${moved === 1 ? "one is" : `${count(moved)} are`} other than in the run.`
      : "The run as it was: no threshold has been moved."];
    if (isCommand && !data.paths.length) {
      notes.push("Results alone do not say what was asked for: this names the folder that holds all photos.");
    }
    if (isCommand && data.paths.includes("-")) {
      notes.push("The photos came as a list on standard input; give it the same list, or the keep list.");
    }
    if (filtersOfCommand(data).length < data.filters.length) {
      notes.push("A filter that was run twice with other parameters is here once.");
    }
    const fixed = data.filters.filter((filter) => filter.note && filter.standard === null);
    if (fixed.length) {
      notes.push(`Of ${fixed.map((filter) => visible(filter.label)).join(", ")}, the parameters are not known here.`);
    }
    let text = isCommand ? command(data) : null;
    if (!isCommand) {
      const all = Array.from({ length: data.size }, (_, number) => number);
      text = request(data, all);
      notes.push("For qualipy request, or a program of yours. It names every photo.");
    }
    const lines = text.split("\n");
    const shown = lines.length > PREVIEW + 40
      ? [...lines.slice(0, PREVIEW), "…", ...lines.slice(lines.findLastIndex((line) => line.startsWith("  \"filters\"")))].join("\n")
      : text;
    return [
      ...notes.map((note) => make("p", {}, note)),
      make("div", { class: "acts" },
        make("button", { type: "button", onclick: () => copy(text, isCommand ? "Command" : "Request") },
          icon("copy"), make("span", {}, "Copy")),
        make("button", { type: "button", class: "strong", onclick: () => isCommand
          ? save("scan.sh", `${text}\n`, "text/plain")
          : save("request.json", text, "application/json") },
        icon("save"), make("span", {}, "Save"))),
      make("pre", { class: `preview${isCommand ? " wrapped" : ""}`, tabindex: "0", "aria-label": "Preview" },
        visibleLines(shown)),
    ];
  }
}

function visibleLines(text) {
  return text.split("\n").map(visible).join("\n");
}
