// What the page was given: read once, unpacked into columns.

function readData() {
  const data = JSON.parse(document.getElementById("data").textContent);
  if (data.format !== "qualipy-report" || data.version !== 1) {
    throw new Error("The data of this page are of another version than its script.");
  }
  const size = data.images.length;
  data.size = size;
  for (const [index, filter] of data.filters.entries()) {
    filter.index = index;
    filter.predictions = floats(filter.predictions);
    filter.positions = filter.positions ? floats(filter.positions) : filter.predictions;
    filter.given = filter.threshold;
    filter.groups = (data.companions[filter.label] || []).map((group) => ({
      numbers: group.filter((member) => typeof member === "number"),
      outside: group.filter((member) => typeof member === "string"), // compared with, not judged
      best: group[0],
    }));
    filter.flags = new Uint8Array(size);
    filter.measured = 0;
    for (const prediction of filter.predictions) filter.measured += !Number.isNaN(prediction);
    filter.failed = [];
  }
  const byLabel = new Map(data.filters.map((filter) => [filter.label, filter]));
  for (const [number, failures] of Object.entries(data.failures)) {
    for (const label of Object.keys(failures)) byLabel.get(label)?.failed.push(Number(number));
  }
  data.names = data.images.map(visible);
  data.withoutThumbnail = new Set(data.thumbnails.missing);
  return data;
}

function floats(packed) {
  const text = atob(packed);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const view = new DataView(bytes.buffer);
  const values = new Float64Array(bytes.length / 8);
  for (let at = 0; at < values.length; at++) values[at] = view.getFloat64(8 * at, true);
  return values;
}

// Thumbnails stay text until a photo comes into view.
class Thumbnails {
  constructor(data) {
    this.data = data;
    this.kind = data.thumbnails.kind;
    this.pieces = [...document.querySelectorAll("script.thumbnails")].map((element) => ({
      first: Number(element.dataset.first),
      element,
      list: null,
    }));
    this.size = this.pieces.length > 1 ? this.pieces[1].first : Infinity;
  }

  // The address of a photo's thumbnail, or null.
  of(number) {
    const { thumbnails, withoutThumbnail } = this.data;
    if (this.kind === "none" || withoutThumbnail.has(number)) return null;
    if (this.kind === "folder") {
      const folder = Math.floor(number / thumbnails.perFolder);
      return `${urlPath(thumbnails.folder)}${folder}/${number}.jpg`;
    }
    const piece = this.pieces[this.size === Infinity ? 0 : Math.floor(number / this.size)];
    if (!piece) return null;
    piece.list ??= JSON.parse(piece.element.textContent);
    const packed = piece.list[number - piece.first];
    return packed ? `data:image/jpeg;base64,${packed}` : null;
  }
}

// Where the photo itself may lie; none for what is behind a URL, for the page asks no network.
function placesOf(data, number) {
  const image = data.images[number];
  if (image.includes("\0")) return []; // no file system has it
  if (/^file:\/\//i.test(image)) return [image];
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(image)) return [];
  if (/^[a-z]:[\\/]/i.test(image)) return [`file:///${urlPath(image.replaceAll("\\", "/"))}`];
  if (image.startsWith("/")) return [`file://${urlPath(image)}`];
  const path = urlPath(image);
  const { relative, absolute } = data.places;
  const places = [absolute + path];
  // "./" keeps a name such as "a:b.jpg" from being taken for a scheme.
  if (relative !== null) places.unshift(`./${relative}${path}`);
  return places;
}

function isRemote(image) {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(image) && !/^file:/i.test(image);
}
