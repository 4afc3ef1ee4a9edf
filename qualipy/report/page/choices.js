// What a person decides photo by photo. It goes before what the filters say, and is kept in this
// browser, under this report's own name, so that closing the page loses nothing.

const KEEP = 1;
const DROP = 2;

class Choices {
  constructor(data, judge) {
    this.data = data;
    this.judge = judge;
    this.marks = new Uint8Array(data.size);
    this.key = `qualipy-report ${data.made} ${data.size} ${data.images[0] || ""}`;
    this.restored = this.restore();
  }

  mark(number, mark) {
    this.marks[number] = this.marks[number] === mark ? 0 : mark;
    this.save();
    return this.marks[number];
  }

  clear() {
    this.marks.fill(0);
    for (const filter of this.judge.moved) this.judge.move(filter, filter.given);
    this.save();
  }

  get marked() {
    let total = 0;
    for (const mark of this.marks) total += mark !== 0;
    return total;
  }

  // The list that a photo is on: a person's choice, or else the filters'; 0 for neither.
  listOf(number) {
    if (this.marks[number]) return this.marks[number];
    return { [SUITABLE]: KEEP, [FLAGGED]: DROP }[this.judge.verdicts[number]] || 0;
  }

  list(which) {
    const numbers = [];
    for (let number = 0; number < this.data.size; number++) {
      if (this.listOf(number) === which) numbers.push(number);
    }
    return numbers;
  }

  save() {
    const marks = {};
    this.marks.forEach((mark, number) => {
      if (mark) marks[number] = mark;
    });
    const thresholds = {};
    for (const filter of this.judge.moved) thresholds[filter.label] = filter.threshold;
    try {
      localStorage.setItem(this.key, JSON.stringify({ marks, thresholds }));
    } catch {
      // A browser may refuse it, for pages from disk above all; the page works without.
    }
  }

  restore() {
    let kept;
    try {
      kept = JSON.parse(localStorage.getItem(this.key) || "null");
    } catch {
      return false;
    }
    if (!kept) return false;
    for (const [number, mark] of Object.entries(kept.marks || {})) {
      if (number < this.data.size && (mark === KEEP || mark === DROP)) this.marks[number] = mark;
    }
    for (const filter of this.data.filters) {
      const threshold = (kept.thresholds || {})[filter.label];
      if (filter.sign && Number.isFinite(threshold)) this.judge.move(filter, threshold);
    }
    return this.marked > 0 || this.judge.moved.length > 0;
  }
}
