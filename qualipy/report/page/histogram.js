// How a filter's predictions are spread, with the threshold as a handle: an ARIA slider.

const BINS = 80;
const HEIGHT = 148;
const BELOW = 22; // room for the numbers of the axis
const STEPS = 200; // of the scale that the handle moves in

// Photos per bin. What lies beyond the scale is counted in its first or last bin.
function binned(filter, bins) {
  const [low, high] = filter.scale;
  const counts = new Uint32Array(bins);
  for (const position of filter.positions) {
    if (Number.isNaN(position)) continue;
    const bin = Math.floor(((position - low) / (high - low)) * bins);
    counts[Math.min(Math.max(bin, 0), bins - 1)]++;
  }
  return counts;
}

function heights(counts) {
  // Square roots, for most photos crowd at one end and the few are what one looks for.
  const largest = Math.sqrt(Math.max(1, ...counts));
  return Array.from(counts, (number) => Math.sqrt(number) / largest);
}

function fractionOf(filter, value) {
  const [low, high] = filter.scale;
  return Math.min(Math.max((value - low) / (high - low), 0), 1);
}

// The part of the scale that is flagged, as fractions, or null where it is no one part.
function flaggedPart(filter) {
  const at = fractionOf(filter, filter.threshold);
  if (!filter.sign) return null;
  if (filter.sign[0] === ">") return [at, 1];
  if (filter.sign[0] === "<") return [0, at];
  return null;
}

function stepOf(filter) {
  const [low, high] = filter.scale;
  const exact = (high - low) / STEPS;
  const ten = 10 ** Math.floor(Math.log10(exact));
  return [1, 2, 5, 10].map((times) => times * ten).find((step) => step >= exact * 0.999);
}

function rounded(value, step) {
  const decimals = Math.max(0, Math.ceil(-Math.log10(step)) + 1);
  return Number((Math.round(value / step) * step).toFixed(decimals));
}

function decimal(value) {
  return String(Number(value.toPrecision(6)));
}

function ticks([low, high], wanted) {
  const exact = (high - low) / wanted;
  const ten = 10 ** Math.floor(Math.log10(exact));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * ten).find((each) => each >= exact);
  const marks = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) {
    marks.push(Number(at.toPrecision(10)));
  }
  return marks;
}

// A small picture of the same for the list of filters.
function sparkline(filter) {
  const bars = heights(binned(filter, 32));
  const outline = bars
    .map((height, bin) => `V${(18 - 17 * height).toFixed(2)}H${(bin + 1) * 2}`)
    .join("");
  const picture = draw("svg", {
    class: "spark",
    viewBox: "0 0 64 18",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  const path = `M0 18${outline}V18Z`;
  const clip = draw("rect", { y: 0, height: 18 });
  const id = `spark-${filter.index}`;
  picture.append(
    draw("clipPath", { id }, clip),
    draw("path", { d: path, class: "rest" }),
    draw("path", { d: path, class: "beyond", "clip-path": `url(#${id})` }),
  );
  const update = () => {
    const [from, to] = flaggedPart(filter) || [0, 0];
    clip.setAttribute("x", 64 * from);
    clip.setAttribute("width", 64 * (to - from));
  };
  update();
  return { picture, update };
}

class Histogram {
  // `moved` is called with the new threshold, again and again while the handle is dragged.
  constructor(filter, moved) {
    this.filter = filter;
    this.moved = moved;
    this.step = stepOf(filter);
    this.counts = binned(filter, BINS);
    this.picture = draw("svg", { class: "bars", "aria-hidden": "true" });
    this.grip = make("span", { class: "grip" });
    this.handle = make("div", {
      class: "handle",
      role: "slider",
      tabindex: filter.sign ? "0" : "-1",
      "aria-label": `Threshold of ${visible(filter.label)}`,
      "aria-valuemin": filter.scale[0],
      "aria-valuemax": filter.scale[1],
      "aria-disabled": filter.sign ? null : "true",
      onkeydown: (event) => this.key(event),
    }, this.grip);
    this.tip = make("div", { class: "tip", hidden: true });
    this.element = make("div", { class: `histogram${filter.sign ? "" : " fixed"}` },
      this.picture, this.handle, this.tip);
    this.element.addEventListener("pointerdown", (event) => this.grab(event));
    this.element.addEventListener("pointermove", (event) => this.point(event));
    this.element.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    new ResizeObserver(() => this.build()).observe(this.element);
  }

  build() {
    const width = this.element.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    const { filter } = this;
    const [low, high] = filter.scale;
    const every = width / BINS;
    const gap = every > 5 ? 1 : 0.5;
    const bars = heights(this.counts)
      .map((height, bin) => {
        if (!height) return "";
        const tall = Math.max(height * (HEIGHT - 14), 2);
        const x = (bin * every + gap / 2).toFixed(2);
        return `M${x} ${HEIGHT}v${(-tall).toFixed(2)}h${(every - gap).toFixed(2)}v${tall.toFixed(2)}z`;
      })
      .join("");
    this.clip = draw("rect", { y: 0, height: HEIGHT });
    this.shade = draw("rect", { y: 0, height: HEIGHT, class: "shade" });
    const given = fractionOf(filter, filter.given) * width;
    const axis = ticks(filter.scale, Math.max(2, Math.min(10, Math.floor(width / 70))));
    this.picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT + BELOW}`);
    this.picture.replaceChildren(
      draw("clipPath", { id: "beyond" }, this.clip),
      this.shade,
      draw("path", { d: bars, class: "rest" }),
      draw("path", { d: bars, class: "beyond", "clip-path": "url(#beyond)" }),
      draw("line", { x1: 0, x2: width, y1: HEIGHT + 0.5, y2: HEIGHT + 0.5, class: "base" }),
      filter.sign
        ? draw("line", { x1: given, x2: given, y1: 0, y2: HEIGHT, class: "given" })
        : draw("g"),
      ...axis.map((value) => {
        const x = ((value - low) / (high - low)) * width;
        const anchor = x < 12 ? "start" : x > width - 12 ? "end" : "middle";
        return draw("text", { x, y: HEIGHT + 16, "text-anchor": anchor }, decimal(value));
      }),
    );
    this.update();
  }

  // Show the threshold where it is now.
  update() {
    const { filter } = this;
    const at = fractionOf(filter, filter.threshold);
    this.handle.style.left = `${100 * at}%`;
    this.handle.setAttribute("aria-valuenow", filter.threshold);
    this.handle.setAttribute(
      "aria-valuetext",
      `${decimal(filter.threshold)}, flags ${photos(filter.count)} of ${count(filter.measured)}`,
    );
    if (!this.clip) return;
    const [from, to] = flaggedPart(filter) || [0, 0];
    for (const rect of [this.clip, this.shade]) {
      rect.setAttribute("x", from * this.width);
      rect.setAttribute("width", (to - from) * this.width);
    }
  }

  valueAt(event) {
    const { left, width } = this.element.getBoundingClientRect();
    const fraction = Math.min(Math.max((event.clientX - left) / width, 0), 1);
    const [low, high] = this.filter.scale;
    return low + fraction * (high - low);
  }

  grab(event) {
    if (!this.filter.sign || event.button) return;
    // A finger beside the handle may want to scroll the page.
    if (event.pointerType === "touch" && !event.target.closest(".handle")) return;
    event.preventDefault();
    this.handle.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    this.element.classList.add("moving");
    this.tip.hidden = true;
    const move = (each) => this.set(rounded(this.valueAt(each), this.step));
    const end = () => {
      this.element.classList.remove("moving");
      this.element.removeEventListener("pointermove", move);
      this.moved(this.filter.threshold, true);
    };
    if (!event.target.closest(".handle")) move(event);
    this.element.addEventListener("pointermove", move);
    this.element.addEventListener("lostpointercapture", end, { once: true });
  }

  key(event) {
    const [low, high] = this.filter.scale;
    const { step } = this;
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    let value;
    if (event.key in by) {
      const size = by[event.key] * (event.shiftKey ? 0.1 : 1) * step;
      value = rounded(this.filter.threshold + size, event.shiftKey ? step / 10 : step);
    } else if (event.key === "Home") value = low;
    else if (event.key === "End") value = high;
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (this.filter.sign) this.set(Math.min(Math.max(value, low), high));
  }

  set(value) {
    if (value !== this.filter.threshold) this.moved(value, false);
  }

  // What is under the pointer.
  point(event) {
    if (event.pointerType !== "mouse" || this.element.classList.contains("moving")) return;
    const { left, width } = this.element.getBoundingClientRect();
    const fraction = (event.clientX - left) / width;
    const bin = Math.min(Math.max(Math.floor(fraction * BINS), 0), BINS - 1);
    const [low, high] = this.filter.scale;
    const edge = (index) => short(low + (index / BINS) * (high - low));
    const beyond = bin === BINS - 1 && this.filter.positions.some((value) => value > high);
    const range = beyond ? `${edge(bin)} and more` : `${edge(bin)} … ${edge(bin + 1)}`;
    this.tip.textContent = `${range}: ${photos(this.counts[bin])}`;
    this.tip.hidden = false;
    this.tip.style.left = `${100 * Math.min(Math.max(fraction, 0.12), 0.88)}%`;
  }
}
