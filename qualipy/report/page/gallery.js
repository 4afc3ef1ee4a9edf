// The photos in view, and only those: rows of cards, heads between them, lines for errors. However
// many photos there are, the document holds a screen's worth of them.

const GAP = 14;
const NARROWEST = 172; // of a card, in pixels
const BELOW_PICTURE = 66; // name and reasons
const HEAD = 52;
const LINE = 68;
const LINES = 2; // of reasons on a card
const AHEAD = 600; // pixels above and below the window that are made already

class Gallery {
  constructor(element, parts) {
    Object.assign(this, parts); // data, judge, choices, thumbnails, opened, marked
    this.element = element;
    this.rows = [];
    this.order = [];
    this.places = new Map(); // number of a photo: where it stands in `order`
    this.nodes = new Map(); // number of a row: its element
    this.pictures = new Map(); // number of a photo: its thumbnail, decoded once while in view
    this.active = -1;
    this.layout = perFrame(() => this.show());
    addEventListener("scroll", this.layout, { passive: true });
    new ResizeObserver(() => {
      if (element.clientWidth !== this.width) this.arrange();
    }).observe(element);
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("click", (event) => this.click(event));
    element.addEventListener("focus", () => {
      if (this.active < 0 && this.order.length) this.activate(this.firstSeen());
    });
  }

  // Blocks are lists of photos, each under a head of its own or under none.
  set(blocks, { lines = false, anchor = false } = {}) {
    const kept = this.order[this.active];
    this.blocks = blocks;
    this.lines = lines;
    this.order = blocks.flatMap((block) => block.numbers);
    this.places = new Map(this.order.map((number, place) => [number, place]));
    this.active = kept === undefined ? -1 : (this.places.get(kept) ?? -1);
    this.arrange();
    if (!anchor) this.active = -1;
  }

  arrange() {
    this.width = this.element.clientWidth;
    if (!this.width || !this.blocks) return;
    const gap = this.width < 560 ? 8 : GAP;
    const narrowest = this.width < 560 ? 148 : NARROWEST;
    const columns = this.lines ? 1 : Math.max(2, Math.floor((this.width + gap) / (narrowest + gap)));
    const across = (this.width - gap * (columns - 1)) / columns;
    this.columns = columns;
    this.card = { gap, across, tall: this.lines ? LINE : Math.round(across * 0.75) + BELOW_PICTURE };
    this.rows = [];
    let top = 0;
    let place = 0;
    for (const block of this.blocks) {
      if (block.head) {
        this.rows.push({ top, tall: HEAD, head: block.head, place: -1 });
        top += HEAD;
      }
      for (let at = 0; at < block.numbers.length; at += columns) {
        const numbers = block.numbers.slice(at, at + columns);
        this.rows.push({ top, tall: this.card.tall, place, numbers, best: block.best && at === 0 });
        place += numbers.length;
        top += this.card.tall + (this.lines ? 0 : gap);
      }
    }
    this.element.style.height = `${top}px`;
    this.clear();
    this.show();
  }

  clear() {
    for (const node of this.nodes.values()) node.remove();
    this.nodes.clear();
  }

  // Make the rows that can be seen, and let go of the others.
  show() {
    const { top } = this.element.getBoundingClientRect();
    const from = -top - AHEAD;
    const to = -top + innerHeight + AHEAD;
    const wanted = new Set();
    for (let at = this.rowAt(from); at < this.rows.length && this.rows[at].top < to; at++) {
      wanted.add(at);
    }
    if (this.active >= 0) wanted.add(this.rowOf(this.active));
    for (const [at, node] of this.nodes) {
      if (!wanted.has(at)) {
        node.remove();
        this.nodes.delete(at);
      }
    }
    for (const at of [...wanted].sort((one, other) => one - other)) {
      if (!this.nodes.has(at)) this.nodes.set(at, this.insert(at));
    }
    for (const [number, image] of this.pictures) {
      if (!image.isConnected) this.pictures.delete(number);
    }
    this.element.setAttribute(
      "aria-activedescendant",
      this.active >= 0 ? `photo-${this.order[this.active]}` : "",
    );
  }

  // The last row that begins at a height or above.
  rowAt(height) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].top + this.rows[middle].tall < height) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  rowOf(place) {
    let low = 0;
    let high = this.rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      let first = middle;
      while (this.rows[first].place < 0 && first < this.rows.length - 1) first++;
      if (this.rows[first].place >= 0 && this.rows[first].place <= place) low = middle;
      else high = middle - 1;
    }
    while (this.rows[low].place < 0) low++;
    return low;
  }

  insert(at) {
    const row = this.rows[at];
    const node = row.head
      ? make("div", { class: "head", role: "presentation" }, ...row.head())
      : make("div", { class: "row", role: "presentation" },
          ...row.numbers.map((number, index) => {
            const place = row.place + index;
            return this.lines ? this.line(number, place) : this.cardOf(number, place, row.best && index === 0);
          }));
    node.style.transform = `translateY(${row.top}px)`;
    node.style.height = `${row.tall}px`;
    // In the document, rows stand in their order: it is the order in which they are read out.
    const after = [...this.nodes.keys()].filter((other) => other > at);
    this.element.insertBefore(node, after.length ? this.nodes.get(Math.min(...after)) : null);
    return node;
  }

  option(kind, number, place, ...children) {
    const { judge, choices } = this;
    const mark = choices.marks[number];
    const verdict = ["suitable", "flagged", "failed", "unfinished"][judge.verdicts[number]];
    return make("div", {
      class: `${kind} ${verdict}${mark === KEEP ? " kept" : mark === DROP ? " dropped" : ""}`
        + (place === this.active ? " active" : ""),
      role: "option",
      id: `photo-${number}`,
      "data-place": place,
      "aria-selected": place === this.active ? "true" : "false",
      "aria-posinset": place + 1,
      "aria-setsize": this.order.length,
      "aria-label": this.told(number),
    }, ...children);
  }

  told(number) {
    const { data, judge, choices } = this;
    const said = judge.reasonsOf(number).map((filter) => reason(filter, number));
    if (data.errors[number]) said.push(data.errors[number].message);
    const mark = { [KEEP]: "marked to keep", [DROP]: "marked to drop" }[choices.marks[number]];
    return [data.names[number], ...said, ...(mark ? [mark] : [])].join(", ");
  }

  cardOf(number, place, best) {
    const { data, card } = this;
    const frame = make("div", { class: "frame" }, this.pictureOf(number));
    if (best) frame.append(make("span", { class: "best" }, "best"));
    frame.append(
      make("span", { class: "mark", "aria-hidden": "true" }, icon("keep"), icon("drop")),
      make("span", { class: "choose", "aria-hidden": "true" },
        make("button", { type: "button", tabindex: "-1", class: "keep", title: "Keep (k)" }, icon("keep")),
        make("button", { type: "button", tabindex: "-1", class: "drop", title: "Drop (d)" }, icon("drop"))),
    );
    const node = this.option("card", number, place, frame,
      make("div", { class: "name short", title: data.names[number] }, shortNameOf(data, number)),
      make("div", { class: "why" }, ...this.why(number)));
    node.style.width = `${card.across}px`;
    frame.style.height = `${Math.round(card.across * 0.75)}px`;
    return node;
  }

  why(number) {
    const { data, judge } = this;
    const filters = judge.reasonsOf(number);
    if (this.filter) filters.sort((one, other) => (other === this.filter) - (one === this.filter));
    const parts = filters.map((filter) => {
      const label = visible(filter.label);
      return make("span", { class: filter === this.filter ? "reason here" : "reason" },
        make("span", { class: "label" }, label),
        make("span", { class: "value" }, reason(filter, number).slice(label.length + 1)));
    });
    const problems = data.errors[number]
      ? [data.errors[number].message]
      : Object.keys(data.failures[number] || {}).map((label) => `${visible(label)} failed`);
    parts.push(...problems.map((text) => make("span", { class: "problem" }, text)));
    if (!parts.length && this.filter && !Number.isNaN(this.filter.predictions[number])) {
      const value = short(this.filter.predictions[number]);
      parts.push(make("span", { class: "passed" }, `${visible(this.filter.label)} ${value}`));
    }
    if (!parts.length && judge.verdicts[number] === UNFINISHED) {
      parts.push(make("span", { class: "passed" }, "not asked by every filter"));
    }
    if (parts.length > LINES) {
      const hidden = parts.splice(LINES).length;
      parts[LINES - 1].append(make("span", { class: "more" }, `+${hidden}`));
    }
    return parts;
  }

  pictureOf(number) {
    const kept = this.pictures.get(number);
    if (kept) return kept;
    const source = this.thumbnails.of(number);
    if (!source) return make("span", { class: "nothing" }, this.lines ? "" : this.whyNot(number));
    const image = make("img", { src: source, alt: "", decoding: "async", draggable: "false" });
    image.addEventListener("error", () => {
      this.pictures.delete(number);
      image.replaceWith(make("span", { class: "nothing" }, "thumbnail missing"));
    }, { once: true });
    this.pictures.set(number, image);
    return image;
  }

  whyNot(number) {
    if (number in this.data.errors) return "unreadable";
    return this.data.thumbnails.wanted ? "no thumbnail" : "made without thumbnails";
  }

  line(number, place) {
    const { data } = this;
    const problems = data.errors[number]
      ? [["", data.errors[number]]]
      : Object.entries(data.failures[number] || {});
    const shown = this.only ? problems.filter(([label]) => label === this.only) : problems;
    return this.option("line", number, place,
      make("div", { class: "small" }, this.pictureOf(number)),
      make("div", { class: "said" },
        make("div", { class: "name", title: data.names[number] }, nameOf(data, number, { folder: true })),
        make("div", { class: "problem" }, shown.map(([label, problem]) =>
          `${label ? `${visible(label)}: ` : ""}${problem.message} (${problem.type})`).join("; "))));
  }

  // Draw a photo again, for its mark has changed.
  refresh(number) {
    const place = this.places.get(number);
    const old = byId(`photo-${number}`);
    if (place === undefined || !old) return;
    const row = this.rows[this.rowOf(place)];
    const best = row.best && row.place === place;
    old.replaceWith(this.lines ? this.line(number, place) : this.cardOf(number, place, best));
  }

  point(node, active) {
    node.classList.toggle("active", active);
    node.setAttribute("aria-selected", active);
  }

  firstSeen() {
    const { top } = this.element.getBoundingClientRect();
    let at = this.rowAt(Math.max(0, -top));
    while (at < this.rows.length - 1 && this.rows[at].place < 0) at++;
    return Math.max(this.rows[at].place, 0);
  }

  activate(place) {
    this.active = Math.min(Math.max(place, 0), this.order.length - 1);
    const row = this.rows[this.rowOf(this.active)];
    const { top } = this.element.getBoundingClientRect();
    const above = byId("bar").getBoundingClientRect().height + 16;
    if (top + row.top < above) scrollBy({ top: top + row.top - above, behavior: "instant" });
    const under = top + row.top + row.tall + 12 - innerHeight;
    if (under > 0) scrollBy({ top: under, behavior: "instant" });
    this.show();
    for (const node of this.element.querySelectorAll(".active")) this.point(node, false);
    this.point(byId(`photo-${this.order[this.active]}`), true);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.order.length) return;
    const page = Math.max(1, Math.floor(innerHeight / this.card.tall)) * this.columns;
    const by = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity,
    };
    const number = this.order[this.active];
    if (event.key in by) this.activate(this.next(by[event.key]));
    else if (number === undefined) return;
    else if (event.key === "Enter" || event.key === " ") this.opened(number);
    else if (event.key === "k") this.marked(number, KEEP);
    else if (event.key === "d") this.marked(number, DROP);
    else if (event.key === "c") copy(this.data.images[number], "Path");
    else return;
    event.preventDefault();
  }

  // Up and down go to the same column of the next row of photos, whatever stands between.
  next(by) {
    if (this.active < 0) return 0;
    if (Math.abs(by) !== this.columns || this.columns === 1) return this.active + by;
    const row = this.rowOf(this.active);
    const column = this.active - this.rows[row].place;
    let to = row + Math.sign(by);
    while (this.rows[to] && this.rows[to].place < 0) to += Math.sign(by);
    if (!this.rows[to]) return this.active;
    return this.rows[to].place + Math.min(column, this.rows[to].numbers.length - 1);
  }

  click(event) {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    const place = Number(option.dataset.place);
    const number = this.order[place];
    const button = event.target.closest("button");
    if (button) this.marked(number, button.classList.contains("keep") ? KEEP : DROP);
    else {
      this.activate(place);
      this.opened(number);
    }
  }
}
