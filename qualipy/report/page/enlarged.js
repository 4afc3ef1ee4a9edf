// One photo, as large as the window, with all that is known about it.

class Enlarged {
  constructor(dialog, parts) {
    Object.assign(this, parts); // data, judge, choices, thumbnails, gallery, marked
    this.dialog = dialog;
    this.image = make("img", { alt: "" });
    this.state = make("p", { class: "state" });
    this.stage = make("div", { class: "stage" }, this.image);
    this.name = make("h2", {});
    this.folder = make("p", { class: "folder" });
    this.facts = make("div", { class: "facts" });
    this.position = make("p", { class: "position" });
    const button = (label, glyph, action, kind = "") =>
      make("button", { type: "button", class: kind, onclick: action }, icon(glyph),
        make("span", {}, label));
    this.keep = button("Keep", "keep", () => this.mark(KEEP), "keep");
    this.drop = button("Drop", "drop", () => this.mark(DROP), "drop");
    const step = (by, label, glyph) => make("button", {
      type: "button", class: `step ${glyph}`, "aria-label": label, title: label,
      onclick: () => this.step(by),
    }, icon(glyph));
    dialog.append(
      make("div", { class: "scene" }, this.stage, step(-1, "Previous photo (←)", "prev"),
        step(1, "Next photo (→)", "next"), this.state),
      make("div", { class: "side" },
        make("div", { class: "headline" },
          this.position,
          make("button", { type: "button", class: "icon", "aria-label": "Close (Esc)",
            title: "Close (Esc)", onclick: () => dialog.close() }, icon("drop"))),
        this.name, this.folder,
        make("div", { class: "choice" }, this.keep, this.drop,
          button("Copy path", "copy", () => copy(this.data.images[this.number], "Path"))),
        this.facts),
    );
    dialog.addEventListener("keydown", (event) => this.key(event));
    dialog.addEventListener("close", () => {
      this.image.removeAttribute("src");
      this.number = undefined;
      const place = this.gallery.active;
      if (place >= 0) this.gallery.activate(place);
      this.gallery.element.focus({ preventScroll: true });
    });
  }

  open(number) {
    this.show(number);
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.focus();
  }

  show(number) {
    const { data, choices, gallery } = this;
    this.number = number;
    const [folder] = partsOf(data.images[number]);
    this.name.replaceChildren(nameOf(data, number));
    this.folder.textContent = visible(folder);
    const place = gallery.places.get(number);
    this.position.textContent =
      place === undefined ? "" : `${count(place + 1)} of ${count(gallery.order.length)}`;
    this.keep.setAttribute("aria-pressed", choices.marks[number] === KEEP);
    this.drop.setAttribute("aria-pressed", choices.marks[number] === DROP);
    this.facts.replaceChildren(...this.told(number));
    this.picture(number);
  }

  // The thumbnail at once, the photo itself as soon as it is found, and words where neither is.
  picture(number) {
    const { data } = this;
    const thumbnail = this.thumbnails.of(number);
    this.image.alt = data.names[number];
    this.image.onerror = null;
    this.stage.classList.toggle("empty", !thumbnail);
    this.stage.classList.add("small");
    if (thumbnail) this.image.src = thumbnail;
    else this.image.removeAttribute("src");
    const places = placesOf(data, number);
    const instead = thumbnail ? "Shown is the thumbnail" : "It cannot be shown";
    if (!places.length) {
      this.state.textContent =
        isRemote(data.images[number])
          ? `${instead}: the photo lies behind a URL, and this page asks no network.`
          : `${instead}: no file has such a name.`;
      return;
    }
    this.state.textContent = "Looking for the photo on this disk …";
    const look = (place) => {
      const photo = new Image();
      photo.onload = () => {
        if (this.number !== number || this.image.alt !== data.names[number]) return;
        this.image.src = photo.src;
        this.stage.classList.remove("small", "empty");
        this.state.textContent =
          `The photo itself, ${photo.naturalWidth} × ${photo.naturalHeight} pixels.`;
      };
      photo.onerror = () => {
        if (this.number !== number) return;
        if (place + 1 < places.length) look(place + 1);
        else this.state.textContent =
          `${instead}: the photo is not where it was, or is of a kind that browsers cannot show.`;
      };
      photo.src = places[place];
    };
    look(0);
  }

  told(number) {
    const { data, judge } = this;
    const parts = [];
    if (data.errors[number]) {
      const { type, message } = data.errors[number];
      parts.push(make("p", { class: "error" }, `${message} (${type})`));
    }
    const region = data.regions[number];
    if (region) parts.push(make("p", { class: "aside" }, `Judged was the region ${region.join(", ")}.`));
    const order = [...data.filters].sort((one, other) =>
      other.flags[number] - one.flags[number]
      || judge.margin(other, number) - judge.margin(one, number));
    const rows = order.map((filter) => this.row(filter, number)).filter(Boolean);
    if (rows.length) parts.push(make("ul", { class: "measured" }, ...rows));
    for (const filter of data.filters) {
      const group = filter.groups.find((each) => each.numbers.includes(number));
      if (group) parts.push(this.companions(filter, group, number));
    }
    return parts;
  }

  row(filter, number) {
    const { data } = this;
    const failure = (data.failures[number] || {})[filter.label];
    const prediction = filter.predictions[number];
    const name = make("span", { class: "label" }, visible(filter.label));
    if (failure) {
      return make("li", { class: "broken" }, name,
        make("span", { class: "message" }, `${failure.message} (${failure.type})`));
    }
    if (Number.isNaN(prediction)) {
      if (data.errors[number]) return null;
      return make("li", { class: "unasked" }, name, make("span", { class: "value" }, "not asked"));
    }
    const track = make("span", { class: "track", "aria-hidden": "true" });
    const bar = make("span", { class: "level" });
    const mark = make("span", { class: "limit" });
    bar.style.width = `${100 * fractionOf(filter, filter.positions[number])}%`;
    mark.style.left = `${100 * fractionOf(filter, filter.threshold)}%`;
    track.append(bar, ...(filter.sign ? [mark] : []));
    const flagged = filter.flags[number];
    const value = flagged ? reason(filter, number).slice(visible(filter.label).length + 1) : short(prediction);
    const where = (data.explanations[filter.label] || {})[number];
    return make("li", { class: flagged ? "flagged" : "" }, name,
      make("span", { class: "value" }, value), track,
      where ? make("button", {
        type: "button", class: "where", "aria-pressed": "false",
        onclick: (event) => this.where(where, filter, event.target),
      }, "Show where") : null);
  }

  // Show an explanation, or the photo again.
  where({ file, text }, filter, button) {
    const shown = button.getAttribute("aria-pressed") === "true";
    for (const each of this.facts.querySelectorAll(".where")) each.setAttribute("aria-pressed", "false");
    if (shown) {
      this.picture(this.number);
      return;
    }
    button.setAttribute("aria-pressed", "true");
    this.image.onerror = () => {
      this.state.textContent = "The picture of this explanation is no longer beside the page.";
    };
    this.image.src = `./${urlPath(file)}`;
    this.image.alt = text;
    this.stage.classList.remove("small", "empty");
    this.state.textContent = `${visible(filter.label)}: ${text}`;
  }

  companions(filter, group, number) {
    const { data } = this;
    return make("div", { class: "companions" },
      make("h3", {}, `Belongs together, says ${visible(filter.label)}`),
      make("ul", {},
        ...group.numbers.map((other) => make("li", {},
          make("button", { type: "button", "aria-current": other === number ? "true" : null,
            onclick: () => this.show(other) }, nameOf(data, other)),
          other === group.best ? make("span", { class: "best" }, "best") : null)),
        ...group.outside.map((name) => make("li", {}, make("bdi", {}, visible(name))))));
  }

  mark(mark) {
    this.marked(this.number, mark);
    this.show(this.number);
  }

  step(by) {
    const place = this.gallery.places.get(this.number);
    const next = place === undefined ? this.gallery.active : place + by;
    if (next < 0 || next >= this.gallery.order.length) return;
    this.gallery.active = next;
    this.show(this.gallery.order[next]);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    if (key === "ArrowLeft" || key === "ArrowUp") this.step(-1);
    else if (key === "ArrowRight" || key === "ArrowDown") this.step(1);
    else if (key === "k") this.mark(KEEP);
    else if (key === "d") this.mark(DROP);
    else if (key === "c") copy(this.data.images[this.number], "Path");
    else return;
    event.preventDefault();
  }
}
