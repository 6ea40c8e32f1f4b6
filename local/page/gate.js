// The gate: what each limit has counted for the chosen phone and IP address, and when the next send is allowed.
//
// The one idea: the server tells until when each entry counts, once; what is used now is the sum of those that still do. So
// the bars drain by the clock alone, and the gate is asked again only when something has happened to it.

import { closedBy, freeAt, placesLeft, standing, usedOf } from "./limits.js";
import {
  $,
  ask,
  attempt,
  clockTime,
  countryName,
  dayAndTime,
  duration,
  el,
  forPeople,
  isString,
  kept,
  paced,
  reducedMotion,
  sentence,
  shortDuration,
  timeElement,
} from "./tools.js";

/** The number and the address that the app and the gate are about. */
export const chosen = {
  phone: kept.get("phone", isString, "+14155550123"),
  ip: kept.get("ip", isString, "203.0.113.7"),
};

// How far the system's clock is ahead of the browser's.
let aheadMs = 0;

export const systemNow = () => Date.now() + aheadMs;

export function setClock(nowMs) {
  aheadMs = nowMs - Date.now();
  $("clock").textContent =
    aheadMs > 5000
      ? `The system’s clock is ${duration(Math.round(aheadMs / 1000) * 1000)} ahead.`
      : "The system’s clock is right.";
}

// With more places than this a rule is one bar; with fewer, each place is a cell that drains on its own clock.
const MOST_CELLS = 12;
// One of ten thousand is still to be seen.
const SLIVER = 0.015;
const LIMITS = {
  phone_limit: "Phone",
  ip_limit: "IP address",
  range_limit: "Range",
  country_limit: "Country",
  total_limit: "Total",
  check_limit: "Failed checks",
};
// The others are exact to the millisecond.
const COUNTED_IN_QUARTERS = ["country_limit", "total_limit"];

// The failures that a send meets.
const SPOILS_SENDS = /^(dynamodb|http|timeout$|connection_reset$|twilio_error$)/;

const gate = { answer: null, error: null, settings: {}, faults: [], shape: "", meters: [], timer: undefined };

/** The gate in a sentence. */
function verdict(now) {
  if (gate.error) return { tone: "warn", text: [gate.error] };
  const { refused, opted_out: optedOut, limits, phone_number: number } = gate.answer;
  if (refused) {
    const allowed = refused.reason === "country_not_allowed" && `AllowedCountries is ${gate.settings.AllowedCountries}.`;
    const why = [refused.detail && sentence(refused.detail), allowed].filter(Boolean);
    return { tone: "bad", text: ["Never sent: ", el("b", {}, refused.reason), ". ", why.join(" ")] };
  }
  if (optedOut)
    return {
      tone: "bad",
      text: [`${forPeople(number)} has opted out with STOP. Text START from the phone to allow codes again.`],
    };
  const closed = closedBy(limits, now);
  if (!closed) return { tone: "good", text: ["The next send is allowed ", el("b", {}, "now"), "."] };
  const format = closed.at - now < 20 * 3600e3 ? clockTime : dayAndTime;
  return {
    tone: "bad",
    text: [
      "The next send is allowed at ",
      // A whole second, rounded up like `next_send_at`: nobody may come too early.
      timeElement(Math.ceil(closed.at / 1000) * 1000, format),
      " (in ",
      el("b", {}, duration(closed.at - now)),
      `), by ${closed.limit} ${closed.rule}.`,
    ],
  };
}

/** Warns of the failures that wait for the next send, which the limits know nothing of. */
export function warnOf(faults) {
  gate.faults = faults;
  showWarning();
}

function showWarning() {
  const waiting = gate.faults.filter(
    ({ kind, number }) => SPOILS_SENDS.test(kind) && (!number || number === chosen.phone),
  );
  const kinds = [...new Set(waiting.map(({ kind, code }) => (code ? `${kind} ${code}` : kind)))].join(", ");
  setText($("verdict-faults"), kinds);
  $("verdict-warning").hidden = kinds === "";
}

const question = () => `/gate?${new URLSearchParams({ phone_number: chosen.phone, ip: chosen.ip })}`;

export const refreshGate = paced(async () => {
  const asked = question();
  showWarning();
  try {
    const { value } = await ask("GET", asked);
    // Meanwhile another phone was chosen, which has asked again already.
    if (asked !== question()) return;
    setClock(value.now_ms);
    Object.assign(gate, { answer: value, error: null });
    showLimits();
  } catch (error) {
    if (asked !== question()) return;
    gate.error = error.message;
    // The functions are still starting.
    if (error.status === 503) setTimeout(refreshGate, 1000);
  }
  tick();
}, 100);

/** What a limit counts by, for people. */
function subjectOf({ name, subject }, answer) {
  if (name === "phone_limit" || name === "check_limit") return forPeople(subject);
  if (name === "range_limit") return forPeople(subject.padEnd(answer.phone_number.length, "•"));
  if (name === "country_limit") return countryName(subject);
  return name === "total_limit" ? "everybody" : subject;
}

/** Builds the rows when the rules or whom they are about have changed; else exchanges the entries, so that bars move. */
function showLimits() {
  const { limits } = gate.answer;
  const rules = limits.flatMap((limit) => limit.rules);
  const shape = JSON.stringify(
    limits.map(({ name, subject, mode, rules: own }) => [name, subject, mode, own.map((rule) => rule.rule)]),
  );
  if (shape !== gate.shape) {
    gate.shape = shape;
    gate.meters = [];
    $("limits").replaceChildren(...limits.map(limitRows));
  }
  rules.forEach((rule, index) => {
    gate.meters[index].rule = rule;
  });
}

function limitRows(limit) {
  const mode =
    limit.mode === "enforce"
      ? null
      : el(
          "span",
          { class: "tag", title: limit.mode === "off" ? "Not counted" : "Counts and logs, refuses nothing" },
          limit.mode,
        );
  return el(
    "section",
    { class: `limit ${limit.mode}`, "aria-label": limit.name },
    el(
      "h3",
      { title: `${limit.parameter}: counts ${limit.counts}` },
      LIMITS[limit.name] ?? limit.name,
      " ",
      el("span", { class: "subject" }, subjectOf(limit, gate.answer)),
      mode,
    ),
    ...limit.rules.map((rule) => ruleRow(limit, rule)),
  );
}

function ruleRow(limit, rule) {
  const cells = Array.from({ length: rule.limit > MOST_CELLS ? 1 : rule.limit }, () =>
    el("span", { class: "cell" }, el("i")),
  );
  const meter = el(
    "div",
    {
      class: rule.limit > MOST_CELLS ? "meter whole" : "meter",
      role: "meter",
      "aria-label": `${limit.name} ${rule.rule}, ${limit.counts}`,
      "aria-valuemin": "0",
      "aria-valuemax": rule.limit,
    },
    ...cells,
  );
  const count = el("span", { class: "count" });
  const free = el("span", { class: "free" });
  if (COUNTED_IN_QUARTERS.includes(limit.name))
    free.title = `Counted in quarters of ${duration(rule.window_ms)}, so it takes up to ${duration(rule.window_ms * 1.25)}`;
  const row = el("div", { class: "rule" }, el("code", {}, rule.rule), meter, count, free);
  gate.meters.push({ rule, row, meter, count, free, cells });
  return row;
}

const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};
const setAttribute = (element, name, value) => {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};

/** Shows one rule as it stands now. */
function showMeter({ rule, row, meter, count, free, cells }, now) {
  const entries = standing(rule, now);
  const used = usedOf(rule, now);
  const full = used >= rule.limit;
  const next = full ? freeAt(rule, now) : Math.min(...entries.map((entry) => entry.until_ms));
  const wait = used === 0 ? "" : next - now;
  row.classList.toggle("full", full);
  setText(count, `${used}/${rule.limit}`);
  setText(free, wait && `${full ? "free" : "−1"} in ${shortDuration(wait)}`);
  setAttribute(meter, "aria-valuenow", Math.min(used, rule.limit));
  setAttribute(
    meter,
    "aria-valuetext",
    `${used} of ${rule.limit} used${wait && `, ${full ? "free" : "one less"} in ${duration(wait)}`}`,
  );
  const left = rule.limit > MOST_CELLS ? [used && Math.max(SLIVER, used / rule.limit)] : placesLeft(entries, rule, now);
  cells.forEach((cell, index) => {
    cell.classList.toggle("taken", (left[index] ?? 0) > 0);
    cell.style.setProperty("--left", Math.min(1, left[index] ?? 0).toFixed(4));
  });
}

/** Shows the gate as it stands, and comes back while something drains: four times a second if it ends soon, else once. */
function tick() {
  clearTimeout(gate.timer);
  if (!gate.answer && !gate.error) return;
  const now = systemNow();
  const { tone, text } = verdict(now);
  $("verdict").className = `verdict ${tone}`;
  const said = el("p", {}, ...text).textContent;
  // Said aloud when it changes for a reason, not with every second.
  if (said !== $("verdict-text").textContent) {
    $("verdict-text").setAttribute(
      "aria-live",
      said.replace(/\(.*?\)/, "") === $("verdict-text").textContent.replace(/\(.*?\)/, "") ? "off" : "polite",
    );
    $("verdict-text").replaceChildren(...text);
  }
  // What was counted for another phone says nothing about this one.
  $("limits").hidden = gate.error !== null;
  if (gate.error) return;
  for (const meter of gate.meters) showMeter(meter, now);
  const ends = gate.meters.flatMap(({ rule }) => standing(rule, now).map((entry) => entry.until_ms));
  if (ends.length)
    gate.timer = setTimeout(tick, Math.min(...ends) - now < 120e3 && !reducedMotion.matches ? 250 : 1000);
}

const MOST_REFUSALS = 3;

export function showRefusals(exchanges) {
  const refused = exchanges
    .filter(({ outcome, title }) => outcome === "refused" && title === "send-code")
    .slice(-MOST_REFUSALS)
    .reverse();
  $("refusals").replaceChildren(...refused.map(refusalRow));
  $("no-refusals").hidden = refused.length > 0;
}

const refusalRow = ({ at_ms: at, number, summary }) =>
  el(
    "li",
    {},
    timeElement(at, clockTime),
    el("b", {}, summary.replace(/^refused:\s*/, "")),
    number && el("span", {}, forPeople(number)),
  );

export function startGate() {
  for (const button of document.querySelectorAll("[data-advance]")) {
    button.addEventListener("click", () =>
      attempt($("clock"), async () => {
        const { value } = await ask("POST", "/clock", { advance: button.dataset.advance });
        setClock(value.now_ms);
        tick();
        return $("clock").textContent;
      }),
    );
  }
  startReset();
}

const SECOND_THOUGHT_MS = 4000;

function startReset() {
  const button = $("reset");
  let timer;
  const calm = () => {
    clearTimeout(timer);
    timer = undefined;
    button.textContent = "Reset everything";
  };
  button.addEventListener("click", () => {
    if (!timer) {
      button.textContent = "Really? Press again";
      timer = setTimeout(calm, SECOND_THOUGHT_MS);
      return;
    }
    calm();
    attempt($("reset-note"), async () => {
      await ask("DELETE", "/phones");
      return "All of it is forgotten.";
    });
  });
}

export function showSettings(settings) {
  gate.settings = settings ?? {};
  $("settings").replaceChildren(
    ...Object.entries(gate.settings).flatMap(([name, value]) => [
      el("dt", {}, name),
      el("dd", {}, value === "" ? "empty" : String(value)),
    ]),
  );
}
