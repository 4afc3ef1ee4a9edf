// Words and numbers for people, and text for other programs.

const MORE = new Intl.NumberFormat("en");

function count(number) {
  return MORE.format(number);
}

function photos(number) {
  return `${count(number)} ${number === 1 ? "photo" : "photos"}`;
}

// What would act instead of showing is written as an escape, as on the command line: controls,
// marks that turn the direction of writing, bytes that are no UTF-8 (lone surrogates).
const ACTING =
  /[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{d800}-\u{dfff}]/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function visible(text) {
  return text.replace(ACTING, (character) => SHORT[character] || escapeOf(character));
}

function escapeOf(character) {
  let code = character.codePointAt(0);
  if (code >= 0xdc80 && code <= 0xdcff) code -= 0xdc00; // how Python carries the bytes 0x80 … 0xff
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}

function isTidy(text) {
  return visible(text) === text;
}

// The last part of a path, and the folder before it.
function partsOf(path) {
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1;
  return at < path.length ? [path.slice(0, at), path.slice(at)] : ["", path];
}

const HOLDS = {
  ">": (left, right) => left > right,
  ">=": (left, right) => left >= right,
  "<": (left, right) => left < right,
  "<=": (left, right) => left <= right,
  "==": (left, right) => left === right,
  "!=": (left, right) => left !== right,
};

function short(number) {
  if (number !== 0 && Math.abs(number) < 0.001) return number > 0 ? "< 0.001" : "> −0.001";
  return String(Number(number.toPrecision(3)));
}

// Why a filter flags a photo: as short as can be, as long as what is read is still true.
function reason(filter, number) {
  const prediction = filter.predictions[number];
  const label = visible(filter.label);
  if (!filter.sign) return `${label} ${short(prediction)}`;
  const holds = HOLDS[filter.sign];
  for (let decimals = 2; decimals < 17; decimals++) {
    const left = Number(prediction.toFixed(decimals));
    const right = Number(filter.threshold.toFixed(decimals));
    if (holds(left, right) && Boolean(left) === Boolean(prediction)) {
      return `${label} ${left} ${sign(filter.sign)} ${right}`;
    }
  }
  return `${label} ${short(prediction)}`; // the filter decides in its own way
}

function sign(text) {
  return { ">=": "≥", "<=": "≤", "==": "=", "!=": "≠" }[text] || text;
}

// A word for a POSIX shell. What is no plain text is written as $'…', which every shell in use
// understands, so that it can be read and copied.
function shellWord(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  if (isTidy(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  let word = "";
  for (const character of text) {
    const code = character.codePointAt(0);
    if (character === "'" || character === "\\") word += `\\${character}`;
    else if (SHORT[character]) word += SHORT[character];
    else if (isTidy(character)) word += character;
    // Octal: of a hexadecimal escape, shells disagree about where it ends.
    else for (const byte of bytesOf(character)) word += `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return `$'${word}'`;
}

const ENCODER = new TextEncoder();

// The bytes of a file name: UTF-8, and the very byte where Python had to keep one apart.
function bytesOf(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(/[\u{dc80}-\u{dcff}]/gu)) {
    parts.push(...ENCODER.encode(text.slice(from, match.index)));
    parts.push(match[0].charCodeAt(0) - 0xdc00);
    from = match.index + 1;
  }
  const rest = ENCODER.encode(text.slice(from));
  if (!parts.length) return rest;
  return Uint8Array.from([...parts, ...rest]);
}

function urlPath(path) {
  let url = "";
  for (const byte of bytesOf(path)) {
    const character = String.fromCharCode(byte);
    url += /[\w.~/-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
  }
  return url;
}

// A cell of CSV, which no spreadsheet takes for a formula.
function cell(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function inert(path) {
  return /^[=+\-@\t\r]/.test(path) ? `./${path}` : path;
}

// UTF-8 with \udcff for a byte that is none, as in the CSV of the command line.
function escapedBytes(text) {
  return text.replace(
    /[\u{d800}-\u{dfff}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16)}`,
  );
}
