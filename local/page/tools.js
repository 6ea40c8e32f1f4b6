// Stateless helpers: elements, requests, phone numbers and times as people write them, JSON.

export const $ = (id) => document.getElementById(id);
export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Creates an element. String children become text, never markup, because a message may contain anything.
 * @param {string} tag
 * @param {Object<string, any>} [attributes] functions such as `onclick` become listeners; null and false are left out
 * @param {...(Node|string|null|false|undefined)} children
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of the symbols at the top of the document. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Sends a request to the local system; throws an error answer with the server’s message. */
export async function ask(method, path, body) {
  const json =
    body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { method, ...json });
  } catch {
    throw new Error("The local system does not respond. Is “cargo run -p local” still running?");
  }
  const text = await response.text();
  const value = parsed(text);
  if (!response.ok) {
    const message = value?.error ?? `${method} ${path} returned ${response.status}. ${text.slice(0, 200)}`;
    throw Object.assign(new Error(sentence(message)), { status: response.status });
  }
  return { value, headers: response.headers };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text === "" ? null : text;
  }
}

/** Runs the action of a form and shows its result or error in `note`. */
export async function attempt(note, action) {
  note.classList.remove("bad");
  try {
    note.textContent = (await action()) ?? "";
  } catch (error) {
    note.classList.add("bad");
    note.textContent = error.message;
  }
}

export const kept = {
  /** The stored value, or `otherwise` if there is none or it isn’t `valid`: an older page may have stored anything. */
  get(name, valid, otherwise) {
    try {
      const value = JSON.parse(localStorage.getItem(`tollgate.${name}`));
      return valid(value) ? value : otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`tollgate.${name}`, JSON.stringify(value));
    } catch {
      // The page works without storage.
    }
  },
};

const FEEDBACK_MS = 1500;

/** Makes a screen reader announce what is only visible otherwise. */
export function announce(text) {
  $("announce").textContent = text;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => ($("announce").textContent = ""), FEEDBACK_MS);
}

/** A button that copies the result of `text`. An icon-only button has `label` as its accessible name. */
export function copyButton(label, text, iconOnly = true) {
  const named = iconOnly ? { class: "quiet square copy", "aria-label": label, title: label } : { class: "quiet copy" };
  const button = el("button", { type: "button", ...named }, icon("copy"), !iconOnly && label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      announce("Copied");
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), FEEDBACK_MS);
    } catch {
      announce("The browser blocked copying");
    }
  });
  return button;
}

/** Calls `action` at once. Calls made meanwhile merge into one that follows, at most one per `ms`. */
export function paced(action, ms) {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        await Promise.all([action(), new Promise((resolve) => setTimeout(resolve, ms))]);
      }
    } finally {
      running = false;
    }
  };
}

/** A text with a capital letter, unless it starts with a name such as `phone_number`. */
export const capitalized = (text) => text.replace(/^[a-z](?=[a-z’']* )/, (letter) => letter.toUpperCase());
/** A text as a sentence: with a capital letter and a full stop. */
export const sentence = (text) => capitalized(text).replace(/[^.!?]$/, "$&.");

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// ── Numbers and times ─────────────────────────────────────────────────────────────────────────────────────────────────

/** "20:EG 27:ZA" as a map. */
const codes = (list) => new Map(list.match(/\S+/g).map((entry) => entry.split(":")));

// The area codes of +1 outside the US, and common dial codes. For display only; the gate has the complete plan.
const AREA_CODES = codes(`
  204:CA 226:CA 236:CA 242:BS 246:BB 249:CA 250:CA 257:CA 263:CA 264:AI 268:AG 284:VG 289:CA 306:CA 340:VI 343:CA
  345:KY 354:CA 365:CA 367:CA 368:CA 382:CA 403:CA 416:CA 418:CA 428:CA 431:CA 437:CA 438:CA 441:BM 450:CA 460:CA
  468:CA 473:GD 474:CA 506:CA 514:CA 519:CA 548:CA 579:CA 581:CA 584:CA 587:CA 604:CA 613:CA 639:CA 647:CA 649:TC
  658:JM 664:MS 670:MP 671:GU 672:CA 683:CA 684:AS 705:CA 709:CA 721:SX 742:CA 753:CA 758:LC 767:DM 778:CA 780:CA
  782:CA 784:VC 787:PR 807:CA 809:DO 819:CA 825:CA 829:DO 849:DO 867:CA 868:TT 869:KN 873:CA 876:JM 879:CA 902:CA
  905:CA 939:PR 942:CA`);
const DIAL_CODES = codes(`
  20:EG 27:ZA 30:GR 31:NL 32:BE 33:FR 34:ES 36:HU 39:IT 40:RO 41:CH 43:AT 44:GB 45:DK 46:SE 47:NO 48:PL 49:DE 51:PE
  52:MX 54:AR 55:BR 56:CL 57:CO 60:MY 61:AU 62:ID 63:PH 64:NZ 65:SG 66:TH 81:JP 82:KR 84:VN 86:CN 90:TR 91:IN 92:PK
  94:LK 212:MA 213:DZ 216:TN 234:NG 254:KE 351:PT 352:LU 353:IE 354:IS 358:FI 370:LT 371:LV 372:EE 380:UA 385:HR
  386:SI 420:CZ 421:SK 852:HK 880:BD 886:TW 966:SA 971:AE 972:IL`);
const regionNames = new Intl.DisplayNames("en", { type: "region" });

/** The dial code of an E.164 number, and its region if it is known. */
export function origin(number) {
  if (number.startsWith("+1")) {
    const area = number.slice(2, 5);
    return { dial: "1", region: AREA_CODES.get(area) ?? "US" };
  }
  const dial = [3, 2].map((digits) => number.slice(1, 1 + digits)).find((code) => DIAL_CODES.has(code));
  return { dial: dial ?? number.slice(1, 3), region: DIAL_CODES.get(dial) };
}

export function countryName(region) {
  try {
    return regionNames.of(region);
  } catch {
    return region ?? "";
  }
}

/** +14155550123 as people write it: +1 415 555 0123. Any other text stays unchanged. */
export function forPeople(number) {
  if (!/^\+\d/.test(number)) return number;
  const { dial } = origin(number);
  const rest = number.slice(1 + dial.length);
  const groups =
    dial === "1" ? [rest.slice(0, 3), rest.slice(3, 6), rest.slice(6)] : (rest.match(/.{1,4}$|.{3}(?=.)/g) ?? []);
  return [`+${dial}`, ...groups].filter(Boolean).join(" ");
}

export const isString = (value) => typeof value === "string";
export const isE164 = (value) => isString(value) && /^\+[1-9]\d{6,14}$/.test(value);

/** Typed text as an E.164 number, or null. */
export function e164(text) {
  const number = text.replace(/[\s().-]/g, "");
  return isE164(number) ? number : null;
}

export const clockTime = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
export const shortTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const dayName = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
export const dayAndTime = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

export const timeElement = (ms, format) =>
  el("time", { datetime: new Date(ms).toISOString(), title: new Date(ms).toISOString() }, format.format(ms));
export const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

/** 24 s, 3 min 20 s, 59 min, 1 h 10 min, 23 h, 2 days: rounded up, so that a retry is never too early. */
export function duration(ms) {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 600) return `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ""}`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 600) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  const hours = Math.ceil(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.ceil(hours / 24)} days`;
}

/** Like `duration`, but in a single unit where space is tight: 24 s, 10 min, 70 min, 23 h, 2 days. */
export function shortDuration(ms) {
  const [minute, hour] = [60e3, 3600e3];
  if (ms > hour && ms <= 2 * hour) return `${Math.ceil(ms / minute)} min`;
  const unit = ms <= minute ? 1 : ms <= hour ? minute : hour;
  return duration(Math.ceil(ms / unit) * unit);
}

// ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON as coloured text; a plain string, such as TwiML, stays unchanged. */
export function jsonBlock(value, label) {
  const block = el("pre", { class: "json", tabindex: "0", "aria-label": label, role: "region" });
  if (typeof value === "string") block.append(value);
  else block.append(...(JSON.stringify(value, null, 2) ?? "").split(/(?<=\n)/).map(jsonLine));
  return block;
}

/** A line; if it wraps, it continues with a hanging indent. */
function jsonLine(text) {
  const line = el("span", { class: "line" });
  line.style.setProperty("--indent", text.search(/\S/));
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    line.append(text.slice(end, match.index));
    const [token, string, colon] = match;
    const kind = colon ? "key" : string ? "string" : /[\d]$/.test(token) ? "number" : "word";
    const shown = el("span", { class: kind }, string ?? token);
    end = match.index + token.length;
    // A value that doesn’t fit after its key moves to a new line, with its comma.
    if (colon) line.append(shown, colon);
    else line.append(el("span", { class: "value" }, shown, text[end] === "," && text[end++]));
  }
  line.append(text.slice(end));
  return line;
}

/** A request as a shell command. Single quotes in the JSON become '\'', which the shell reads as one quote. */
export function curl(path, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl ${location.origin}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`;
}
