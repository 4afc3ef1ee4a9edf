// The page as a whole: what is looked at, in which order, and what happens when it changes.

const SORTS = {
  worst: "Worst first",
  nearest: "Nearest the limit",
  name: "Name",
  order: "As they came",
};

class Report {
  constructor(data) {
    this.data = data;
    this.judge = new Judge(data);
    this.choices = new Choices(data, this.judge);
    this.thumbnails = new Thumbnails(data);
    this.view = { kind: this.judge.counts[FLAGGED] ? "flagged" : "all", filter: null };
    this.part = "flagged";
    this.sort = "worst";
    this.search = "";
    this.marks = "any";
    const { judge, choices, thumbnails } = this;
    const marked = (number, mark) => this.mark(number, mark);
    this.gallery = new Gallery(byId("photos"), {
      data, judge, choices, thumbnails, marked, opened: (number) => this.enlarged.open(number),
    });
    this.enlarged = new Enlarged(byId("enlarged"), {
      data, judge, choices, thumbnails, marked, gallery: this.gallery,
    });
    this.takeaway = new Takeaway(byId("takeaway"), { data, judge, choices });
    // The views with the most in them first, and this order stays while thresholds move.
    this.filters = [...data.filters].sort((one, other) => other.count - one.count);
    this.refill = perFrame(() => this.fill({ anchor: true }));
    this.heading();
    this.notices();
    this.views();
    this.bar();
    this.controls();
    this.go(this.view);
  }

  heading() {
    const { data } = this;
    const title = document.title.replace(/ · QualiPy$/, "");
    byId("title").replaceChildren(make("bdi", {}, title));
    const made = new Date(data.made).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    byId("about").textContent =
      `${photos(data.size)} · ${data.filters.length} ${data.filters.length === 1 ? "filter" : "filters"} · ${made}`;
  }

  // What the page cannot show, said at once.
  notices() {
    const { data, judge, choices } = this;
    const told = [];
    if (!data.complete) told.push("The run was stopped before it had seen every photo. This is what was done.");
    if (data.stopEarly) {
      told.push(`Each photo's other filters were left out once one had flagged it, so ${photos(judge.reasons.filter(Boolean).length)} may have more faults than are shown, and raising a threshold leaves photos that were not asked everything.`);
    }
    if (data.size && data.thumbnails.kind === "none" && data.thumbnails.wanted) {
      told.push("No photo could be read for a thumbnail.");
    } else if (data.thumbnails.kind !== "none") {
      const without = data.thumbnails.missing.filter((number) => !(number in data.errors)).length;
      if (without) told.push(`Of ${photos(without)} there is no thumbnail: the files were not where the results say.`);
    }
    const notes = told.map((text) => make("p", { class: "notice" }, text));
    if (choices.restored) {
      const restored = make("p", { class: "notice" },
        "Your choices of last time are back. ",
        make("button", { type: "button", class: "link", onclick: () => {
          choices.clear();
          restored.remove();
          this.views();
          this.go(this.view);
        } }, "Start over"));
      notes.push(restored);
    }
    byId("notices").replaceChildren(...notes);
  }

  // The list on the left: verdicts, then filters.
  views() {
    const { data, judge } = this;
    this.items = [];
    const item = (view, label, kind, extra) => {
      const number = make("span", { class: "number" });
      const change = make("span", { class: "change" });
      const button = make("button", { type: "button", class: `view ${kind}`, onclick: () => this.go(view) },
        make("span", { class: "label" }, label), change, number, extra ? extra.picture : null);
      this.items.push({ view, button, number, change, spark: extra });
      return make("li", {}, button);
    };
    const verdicts = [
      item({ kind: "flagged" }, "Flagged", "flagged"),
      item({ kind: "suitable" }, "Suitable", "suitable"),
    ];
    if (judge.otherwise.includes(UNFINISHED)) {
      verdicts.push(item({ kind: "unfinished" }, "Not asked everything", "unfinished"));
    }
    const failed = Object.keys(data.errors).length + Object.keys(data.failures).length;
    if (failed) verdicts.push(item({ kind: "failed" }, "Errors", "failed"));
    verdicts.push(item({ kind: "all" }, "All photos", "all"));
    const filters = this.filters.map((filter) =>
      item({ kind: "filter", filter }, visible(filter.label), "filter", sparkline(filter)));
    byId("views").replaceChildren(
      make("ul", { class: "verdicts" }, ...verdicts),
      filters.length ? make("h2", {}, "Filters") : "",
      make("ul", { class: "filters" }, ...filters));
    this.count();
  }

  count() {
    const { data, judge } = this;
    const failed = Object.keys(data.errors).length + Object.keys(data.failures).length;
    const sizes = {
      flagged: judge.counts[FLAGGED], suitable: judge.counts[SUITABLE],
      unfinished: judge.counts[UNFINISHED], failed, all: data.size,
    };
    for (const { view, button, number, change, spark } of this.items) {
      const { filter } = view;
      number.textContent = count(filter ? filter.count : sizes[view.kind]);
      button.classList.toggle("none", !(filter ? filter.count : sizes[view.kind]));
      const difference = filter
        ? filter.count - sum(filter.before)
        : view.kind === "flagged" ? sizes.flagged - judge.countsBefore[FLAGGED] : 0;
      change.textContent = difference ? `${difference > 0 ? "+" : "−"}${count(Math.abs(difference))}` : "";
      if (spark) spark.update();
      const here = view.kind === this.view.kind && view.filter === (this.view.filter || undefined);
      if (here) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  go(view) {
    this.view = { filter: null, ...view };
    this.gallery.filter = this.view.filter;
    if (this.view.filter && this.part === "groups" && !this.view.filter.groups.length) this.part = "flagged";
    this.count();
    this.panel();
    this.tune();
    this.fill();
    const { top } = byId("panel").getBoundingClientRect();
    if (top < 0) scrollTo({ top: 0, behavior: "instant" });
    byId("views").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // What stands above the photos.
  panel() {
    const { view } = this;
    this.histogram = null;
    if (view.filter) {
      this.panelOfFilter(view.filter);
      return;
    }
    const titles = {
      flagged: "Flagged photos", suitable: "Suitable photos", failed: "Errors",
      unfinished: "Not asked everything", all: "All photos",
    };
    const words = {
      flagged: "Worst is what lies farthest beyond a threshold, as a share of the way to the end of that filter's scale.",
      suitable: "Photos that every filter has passed; those nearest to a threshold come first.",
      failed: "Photos that could not be judged at all, and filters that failed on a photo. They are on neither list until you mark them.",
      unfinished: "No filter has flagged these photos, but not every filter was asked about them.",
      all: "Every photo of the run.",
    };
    byId("panel").replaceChildren(
      make("h2", { id: "heading" }, titles[view.kind]),
      make("p", { class: "lead" }, words[view.kind]),
      view.kind === "flagged" || view.kind === "all" ? this.balance() : "");
  }

  // How the photos fall out, as one bar.
  balance() {
    const { judge, data } = this;
    const kinds = [["flagged", FLAGGED, "flagged"], ["failed", FAILED, "with errors"],
      ["unfinished", UNFINISHED, "not asked everything"], ["suitable", SUITABLE, "suitable"]];
    const bar = make("div", { class: "balance", "aria-hidden": "true" });
    const legend = make("p", { class: "legend" });
    for (const [name, verdict, label] of kinds) {
      const number = judge.counts[verdict];
      if (!number) continue;
      const piece = make("span", { class: name });
      piece.style.flexGrow = number;
      bar.append(piece);
      legend.append(make("span", { class: name }, `${count(number)} ${label} (${percent(number, data.size)})`));
    }
    return make("div", {}, data.size ? bar : "", legend);
  }

  panelOfFilter(filter) {
    this.histogram = new Histogram(filter, (value, ended) => this.move(filter, value, ended));
    this.effect = make("p", { class: "effect" });
    this.field = make("input", {
      id: "threshold", type: "text", inputmode: "decimal", autocomplete: "off", size: "8",
      disabled: !filter.sign,
      onchange: (event) => {
        const value = Number(event.target.value.trim().replace(",", "."));
        if (event.target.value.trim() && Number.isFinite(value)) this.move(filter, value, true);
        else this.tell(filter);
      },
    });
    this.reset = make("button", { type: "button", class: "link", onclick: () => this.move(filter, filter.given, true) },
      icon("back"), make("span", {}, `Back to ${decimal(filter.given)}`));
    const notes = [];
    if (filter.note) notes.push(filter.note);
    if (filter.failed.length) {
      notes.push(`It failed on ${photos(filter.failed.length)}: see Errors.`);
    }
    const unasked = this.data.size - filter.measured - filter.failed.length - Object.keys(this.data.errors).length;
    if (unasked > 0) notes.push(`It was not asked about ${photos(unasked)}.`);
    if (filter.groups.length) {
      notes.push(`The ${count(filter.groups.length)} groups are those of the run. Moving the threshold changes what is flagged, not who belongs together: for that, scan again with the command under Take away.`);
    } else if (filter.ofSet) {
      notes.push("It compares photos with each other. The page moves its threshold over the numbers of the run; to compare anew, scan again.");
    }
    byId("panel").replaceChildren(
      make("h2", { id: "heading" }, visible(filter.label)),
      make("p", { class: "lead" }, filter.summary),
      make("div", { class: "setting" },
        ...(filter.sign
          ? [make("label", { for: "threshold" }, `Flagged ${whichSide(filter.sign)}`), this.field]
          : []),
        this.reset, this.effect),
      this.histogram.element,
      make("p", { class: "caption" }, filter.measured
        ? `What ${visible(filter.label)} measured on ${photos(filter.measured)}; the heights are square roots of the numbers.`
        : "It has measured no photo."),
      ...notes.map((text) => make("p", { class: "note" }, text)));
    this.tell(filter);
  }

  // Numbers that follow the handle.
  tell(filter) {
    const { judge } = this;
    this.histogram.update();
    if (document.activeElement !== this.field || this.field.value === "" || filter.threshold !== Number(this.field.value)) {
      this.field.value = filter.sign || filter.standard !== null ? decimal(filter.threshold) : "";
    }
    const { more, fewer } = judge.changed(filter);
    const overall = judge.changedOverall();
    const parts = [make("strong", { id: "flags" }, photos(filter.count)),
      ` flagged of ${count(filter.measured)}`];
    if (filter.threshold !== filter.given) {
      parts.push(make("span", { class: "changes", id: "changes" },
        `${count(more)} more, ${count(fewer)} fewer than in the run; over all filters ${count(overall.more)} more, ${count(overall.fewer)} fewer`));
    }
    this.effect.replaceChildren(...parts);
    this.reset.hidden = filter.threshold === filter.given;
  }

  move(filter, threshold, ended) {
    this.judge.move(filter, threshold);
    this.tell(filter);
    this.count();
    if (ended) {
      this.choices.save();
      this.tune();
    }
    this.refill();
  }

  mark(number, mark) {
    const now = this.choices.mark(number, mark);
    this.gallery.refresh(number);
    const what = { [KEEP]: "Marked to keep", [DROP]: "Marked to drop" }[now] || "No longer marked";
    say(`${what}: ${this.data.names[number]}`);
  }

  // Search, order and parts.
  bar() {
    this.parts = make("div", { class: "parts", role: "group", "aria-label": "Which photos" });
    this.finder = make("input", {
      type: "search", id: "search", placeholder: "Find a name", "aria-label": "Find by name",
      autocomplete: "off", spellcheck: "false",
      oninput: (event) => {
        this.search = event.target.value;
        this.refill();
      },
    });
    this.sorter = make("select", { id: "sort", "aria-label": "Order", onchange: (event) => {
      this.sort = event.target.value;
      this.fill();
    } });
    this.marker = make("select", { id: "marks", "aria-label": "Marked by hand", onchange: (event) => {
      this.marks = event.target.value;
      this.fill();
    } }, ...Object.entries({ any: "Any mark", keep: "Marked keep", drop: "Marked drop", none: "Unmarked" })
      .map(([value, title]) => make("option", { value }, title)));
    this.shown = make("p", { class: "shown" });
    byId("bar").replaceChildren(this.parts,
      make("div", { class: "finder" }, icon("find"), this.finder), this.sorter, this.marker, this.shown);
  }

  // What the bar offers depends on the view.
  tune() {
    const { filter } = this.view;
    const sorts = Object.entries(SORTS).filter(([name]) => name !== "nearest" || filter);
    if (!filter && this.sort === "nearest") this.sort = "worst";
    this.sorter.replaceChildren(...sorts.map(([value, title]) =>
      make("option", { value, selected: value === this.sort }, title)));
    this.sorter.hidden = this.view.kind === "failed";
    this.parts.hidden = !filter;
    if (!filter) return;
    const parts = [["flagged", "Flagged", filter.count], ["passed", "Passed", filter.measured - filter.count],
      ["both", "Both", filter.measured]];
    if (filter.groups.length) parts.push(["groups", "Groups", filter.groups.length]);
    this.parts.replaceChildren(...parts.map(([part, title, number]) => make("button", {
      type: "button", "aria-pressed": part === this.part ? "true" : "false",
      onclick: () => {
        this.part = part;
        this.tune();
        this.fill();
      },
    }, title, make("span", { class: "number" }, count(number)))));
  }

  // The photos of the view, in blocks.
  blocks() {
    const { data, judge, view } = this;
    const fits = this.fitting();
    const all = [];
    for (let number = 0; number < data.size; number++) if (fits(number)) all.push(number);
    const { filter } = view;
    if (view.kind === "failed") return this.failures(all);
    if (!filter) {
      const wanted = { flagged: FLAGGED, suitable: SUITABLE, unfinished: UNFINISHED }[view.kind];
      const numbers = wanted === undefined ? all : all.filter((number) => judge.verdicts[number] === wanted);
      return [{ numbers: this.sorted(numbers, (number) => judge.worst(number)) }];
    }
    if (this.part === "groups") return this.groups(filter, fits);
    const measured = all.filter((number) => !Number.isNaN(filter.predictions[number]));
    const key = (number) => judge.margin(filter, number);
    const flagged = measured.filter((number) => filter.flags[number]);
    const passed = measured.filter((number) => !filter.flags[number]);
    if (this.part === "flagged") return [{ numbers: this.sorted(flagged, key) }];
    if (this.part === "passed") return [{ numbers: this.sorted(passed, key) }];
    if (this.sort === "name" || this.sort === "order") return [{ numbers: this.sorted(measured, key) }];
    const side = (title, numbers) => () => [make("h3", {}, title), make("span", {}, photos(numbers.length))];
    const blocks = [
      { numbers: this.sorted(flagged, key), head: side("Flagged", flagged) },
      { numbers: this.sorted(passed, key), head: side(`Passed: not ${whichSide(filter.sign || ">")} ${decimal(filter.threshold)}`, passed) },
    ];
    return blocks.filter((block) => block.numbers.length);
  }

  fitting() {
    const { data, choices } = this;
    const sought = this.search.trim().toLowerCase();
    if (sought && !this.lowered) this.lowered = data.names.map((name) => name.toLowerCase());
    const mark = { keep: KEEP, drop: DROP, none: 0 }[this.marks];
    return (number) =>
      (!sought || this.lowered[number].includes(sought))
      && (mark === undefined || choices.marks[number] === mark);
  }

  sorted(numbers, key) {
    if (this.sort === "order") return numbers;
    if (this.sort === "name") {
      const { names } = this.data;
      this.collator ??= new Intl.Collator("en", { numeric: true });
      return numbers.sort((one, other) => this.collator.compare(names[one], names[other]));
    }
    const { judge } = this;
    const keys = new Float64Array(this.data.size);
    for (const number of numbers) keys[number] = this.sort === "nearest" ? -Math.abs(key(number)) : key(number);
    return numbers.sort((one, other) =>
      keys[other] - keys[one] || judge.reasons[other] - judge.reasons[one] || one - other);
  }

  failures(all) {
    const { data } = this;
    const blocks = [];
    const unreadable = all.filter((number) => number in data.errors);
    const head = (title, numbers) => () => [make("h3", {}, title), make("span", {}, photos(numbers.length))];
    if (unreadable.length) {
      blocks.push({ numbers: unreadable, head: head("Could not be judged at all", unreadable) });
    }
    const broken = new Map();
    for (const number of all) {
      const failures = Object.keys(data.failures[number] || {});
      // A photo stands once, under the first of its filters that failed; its line names them all.
      if (failures.length) broken.set(failures[0], [...(broken.get(failures[0]) || []), number]);
    }
    for (const [label, numbers] of broken) {
      blocks.push({ numbers, head: head(`${visible(label)} failed`, numbers) });
    }
    return blocks;
  }

  groups(filter, fits) {
    return filter.groups
      .map((group, place) => {
        const numbers = group.numbers.filter(fits);
        const { outside } = group;
        const head = () => [
          make("h3", {}, `Group ${count(place + 1)}`),
          make("span", { title: outside.map(visible).join(", ") },
            `${photos(group.numbers.length)}, best first${outside.length ? `; ${count(outside.length)} more of earlier runs` : ""}`),
          make("button", { type: "button", onclick: () => this.keepBest(group) },
            "Keep the best, drop the others"),
        ];
        return { numbers, head, best: numbers[0] === group.best };
      })
      .filter((block) => block.numbers.length);
  }

  keepBest(group) {
    const { numbers, best } = group;
    for (const number of numbers) this.choices.marks[number] = number === best ? KEEP : DROP;
    this.choices.save();
    for (const number of numbers) this.gallery.refresh(number);
    const kept = numbers.includes(best) ? 1 : 0;
    say(`Marked: ${kept} to keep, ${numbers.length - kept} to drop`);
  }

  fill({ anchor = false } = {}) {
    const blocks = this.blocks();
    const total = blocks.reduce((sum, block) => sum + block.numbers.length, 0);
    this.gallery.set(blocks, { lines: this.view.kind === "failed", anchor });
    this.shown.textContent = photos(total);
    byId("photos").hidden = !total;
    const nothing = byId("nothing");
    nothing.hidden = total > 0;
    if (!total) nothing.textContent = this.whyNothing();
  }

  whyNothing() {
    const { view, data } = this;
    if (!data.size) return "No photo was judged.";
    if (this.search || this.marks !== "any") return "No photo of this view fits the search.";
    if (view.filter && this.part === "flagged") return `${visible(view.filter.label)} flags no photo at this threshold.`;
    return { flagged: "No photo is flagged.", suitable: "No photo is suitable.", failed: "Nothing went wrong." }[view.kind] || "There is no photo here.";
  }

  controls() {
    byId("take").addEventListener("click", () => this.takeaway.open());
    byId("help").addEventListener("click", () => this.help());
    const root = document.documentElement;
    const themes = { auto: "as the system", light: "light", dark: "dark" };
    const apply = (theme) => {
      root.dataset.theme = theme;
      const label = `Theme: ${themes[theme]}`;
      byId("theme").setAttribute("aria-label", label);
      byId("theme").title = label;
    };
    let theme = "auto";
    try {
      theme = localStorage.getItem("qualipy-report theme") || "auto";
    } catch { /* as for the choices */ }
    apply(theme in themes ? theme : "auto");
    byId("theme").addEventListener("click", () => {
      const names = Object.keys(themes);
      const next = names[(names.indexOf(root.dataset.theme) + 1) % names.length];
      apply(next);
      try {
        localStorage.setItem("qualipy-report theme", next);
      } catch { /* as for the choices */ }
      say(`Theme: ${themes[next]}`);
    });
    for (const dialog of document.querySelectorAll("dialog")) {
      // A click beside the dialog closes it.
      dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    }
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, select, textarea");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "?") this.help();
      else if (document.querySelector("dialog[open]")) return;
      else if (event.key === "/") this.finder.focus();
      else if (event.key === "e") this.takeaway.open();
      else if (event.key === "g" || event.key.startsWith("Arrow") && event.target === document.body) {
        this.gallery.element.focus({ preventScroll: true });
      } else return;
      event.preventDefault();
    });
  }

  help() {
    const dialog = byId("helping");
    const keys = [
      ["← → ↑ ↓", "move among the photos; between photos when one is enlarged"],
      ["Enter", "enlarge"], ["Esc", "close what is open"],
      ["k", "mark to keep; again: no longer"], ["d", "mark to drop; again: no longer"],
      ["c", "copy the path"], ["g", "go to the photos"], ["/", "find by name"],
      ["e", "take lists and thresholds away"],
      ["← →", "on the handle of a histogram: move the threshold; with Shift in finer steps"],
      ["Page ↑ ↓", "on the handle: in larger steps"], ["?", "this help"],
    ];
    dialog.replaceChildren(
      make("div", { class: "headline" }, make("h2", { id: "helping-title" }, "How to use this page"),
        make("button", { type: "button", class: "icon", "aria-label": "Close (Esc)", onclick: () => dialog.close() }, icon("drop"))),
      make("p", {}, "Choose a filter, drag the handle of its histogram, and look at what changes. Mark photos where you see better than the filter. Then take the lists, or the thresholds, away."),
      make("dl", { class: "keys" }, ...keys.flatMap(([key, what]) => [
        make("dt", {}, ...key.split(" ").map((each) => make("kbd", {}, each))), make("dd", {}, what)])),
      make("p", { class: "aside" }, "Nothing leaves this page by itself: it asks no network. It holds thumbnails and the paths of your photos; think of that before you pass it on. Your marks stay in this browser."));
    if (!dialog.open) dialog.showModal();
  }
}

function whichSide(sign) {
  return { ">": "above", ">=": "from", "<": "below", "<=": "up to", "==": "at", "!=": "other than" }[sign];
}

function percent(part, whole) {
  const share = (100 * part) / whole;
  return share > 0 && share < 0.1 ? "< 0.1 %" : `${Number(share.toPrecision(share < 10 ? 2 : 3))} %`;
}

byId("app").hidden = false;
const report = new Report(readData());
document.documentElement.dataset.ready = "true";
