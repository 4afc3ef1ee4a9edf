// The verdicts, made again whenever a threshold moves.

const SUITABLE = 0;
const FLAGGED = 1;
const FAILED = 2; // an error, and no filter positive
const UNFINISHED = 3; // no filter positive, but not every one was asked: --stop-early

class Judge {
  constructor(data) {
    this.data = data;
    this.reasons = new Uint16Array(data.size); // how many filters flag each photo
    this.verdicts = new Uint8Array(data.size);
    this.counts = [0, 0, 0, 0];
    const lacking = new Uint8Array(data.size);
    for (const filter of data.filters) {
      if (filter.sign) this.apply(filter);
      else for (const number of filter.flagged) this.put(filter, number, 1);
      filter.before = filter.flags.slice();
      filter.count = sum(filter.flags);
      for (let number = 0; number < data.size; number++) {
        if (Number.isNaN(filter.predictions[number])) lacking[number] = 1;
      }
    }
    // What a photo is called where no filter flags it.
    this.otherwise = new Uint8Array(data.size);
    for (let number = 0; number < data.size; number++) {
      const failed = number in data.errors || number in data.failures;
      this.otherwise[number] = failed ? FAILED : lacking[number] ? UNFINISHED : SUITABLE;
    }
    this.sum();
    this.before = this.verdicts.slice();
    this.countsBefore = this.counts.slice();
  }

  put(filter, number, flag) {
    this.reasons[number] += flag - filter.flags[number];
    filter.flags[number] = flag;
  }

  apply(filter) {
    const { positions, threshold } = filter;
    const holds = HOLDS[filter.sign];
    for (let number = 0; number < positions.length; number++) {
      const flag = holds(positions[number], threshold) && !Number.isNaN(positions[number]) ? 1 : 0;
      if (flag !== filter.flags[number]) this.put(filter, number, flag);
    }
    filter.count = sum(filter.flags);
  }

  move(filter, threshold) {
    filter.threshold = threshold;
    this.apply(filter);
    this.sum();
  }

  sum() {
    this.counts = [0, 0, 0, 0];
    for (let number = 0; number < this.verdicts.length; number++) {
      const verdict = this.reasons[number] ? FLAGGED : this.otherwise[number];
      this.verdicts[number] = verdict;
      this.counts[verdict]++;
    }
  }

  // How many photos a filter flags that it did not flag in the run, and the other way round.
  changed(filter) {
    return difference(filter.flags, filter.before);
  }

  changedOverall() {
    const now = this.verdicts.map((verdict) => (verdict === FLAGGED ? 1 : 0));
    const before = this.before.map((verdict) => (verdict === FLAGGED ? 1 : 0));
    return difference(now, before);
  }

  get moved() {
    return this.data.filters.filter((filter) => filter.threshold !== filter.given);
  }

  // How far a photo is beyond a filter's threshold: the share of the way to the scale's end.
  // Negative for a photo that is not flagged: how far it is from being so.
  margin(filter, number) {
    const { positions, threshold, sign } = filter;
    const position = positions[number];
    if (!sign || Number.isNaN(position)) return filter.flags[number] ? 0 : -Infinity;
    const above = position - threshold;
    const [low, high] = filter.scale;
    if (sign[0] === ">") return share(above, high - threshold, threshold - low);
    if (sign[0] === "<") return share(-above, threshold - low, high - threshold);
    const nearness = Math.abs(above) / Math.max(high - threshold, threshold - low);
    return sign === "==" ? (above === 0 ? 1 : -nearness) : Math.min(nearness, 1);
  }

  // The largest margin of those filters that flag it.
  worst(number) {
    let largest = -Infinity;
    for (const filter of this.data.filters) {
      if (filter.flags[number] || !this.reasons[number]) {
        largest = Math.max(largest, this.margin(filter, number));
      }
    }
    return largest;
  }

  reasonsOf(number) {
    return this.data.filters
      .filter((filter) => filter.flags[number])
      .sort((one, other) => this.margin(other, number) - this.margin(one, number));
  }
}

function share(way, beyond, before) {
  if (way >= 0) return beyond > 0 ? Math.min(way / beyond, 1) : 1;
  return before > 0 ? Math.max(way / before, -1) : -1;
}

function sum(flags) {
  let total = 0;
  for (const flag of flags) total += flag;
  return total;
}

function difference(now, before) {
  let more = 0;
  let fewer = 0;
  for (let number = 0; number < now.length; number++) {
    if (now[number] > before[number]) more++;
    else if (now[number] < before[number]) fewer++;
  }
  return { more, fewer };
}
