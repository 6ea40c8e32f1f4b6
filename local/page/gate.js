// The gate: what each limit has counted for the chosen phone and IP address, and when the next send is allowed.
//
// The server reports once until when each entry counts; the usage is the sum of the entries that still do. So the bars
// drain with the clock alone, and the page queries the gate again only after an event that may have changed it.

import {
  activeEntries,
  allowance,
  allowanceOf,
  blockingRule,
  formatAmount,
  isFull,
  limitSentence,
  limitTitle,
  nextSlotAt,
  rate,
  reasonWords,
  slotsLeft,
  usedSlots,
} from "./limits.js";
import {
  $,
  ask,
  attempt,
  capitalized,
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

/** The phone number and the IP address that the app sends and the gate shows. */
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
      ? `Clock: ${duration(Math.round(aheadMs / 1000) * 1000)} ahead of real time`
      : "Clock: real time";
}

// With more slots than this a rule is one bar; with fewer, each slot is a cell that drains on its own.
const MAX_CELLS = 12;
// The least a bar shows, so that one of ten thousand is still visible.
const SLIVER = 0.015;
// Counted in quarters of the period; all other limits are exact to the millisecond.
const COUNTED_IN_QUARTERS = ["network_limit", "country_limit", "total_limit", "spend_limit"];

// The failures that affect a send.
const AFFECTS_SENDS = /^(dynamodb|http|timeout$|connection_reset$|twilio_error$)/;

const gate = { answer: null, error: null, settings: {}, faults: [], shape: "", meters: [], timer: undefined };

/** The gate in a sentence. */
function verdict(now) {
  if (gate.error) return { tone: "warn", text: [sentence(gate.error)] };
  const { refused, opted_out: optedOut, limits, phone_number: number } = gate.answer;
  if (refused) {
    const allowed = refused.reason === "country_not_allowed" && `AllowedCountries is ${gate.settings.AllowedCountries}.`;
    const why = [refused.detail && sentence(refused.detail), allowed].filter(Boolean);
    return { tone: "bad", text: ["Never sent: ", el("b", {}, reasonWords(refused.reason)), ". ", why.join(" ")] };
  }
  if (optedOut)
    return {
      tone: "bad",
      text: [`${forPeople(number)} has opted out with STOP. Text START from the phone to allow codes again.`],
    };
  const blocking = blockingRule(limits, now);
  const known = gate.answer.lane === "known" ? " The number is known, so the range limit doesn’t apply." : "";
  const { block_record: record } = gate.answer;
  if (!blocking && record.refuses) return { tone: "bad", text: ["Refused now: ", el("b", {}, "block record"), `. ${recordWords(record)}`] };
  if (!blocking) return { tone: "good", text: ["The next send is allowed ", el("b", {}, "now"), `.${known}`] };
  const format = blocking.at - now < 20 * 3600e3 ? clockTime : dayAndTime;
  return {
    tone: "bad",
    text: [
      "The next send is allowed at ",
      // Rounded up to a whole second like `next_send_at`, so that a send at this time is never too early.
      timeElement(Math.ceil(blocking.at / 1000) * 1000, format),
      " (in ",
      el("b", {}, duration(blocking.at - now)),
      `). ${limitSentence(blocking.limit, blocking.rule)}`,
    ],
  };
}

const percent = (share) => `${Math.round(share * 100)}%`;

/** A block's record in words, and what the load demands of it. */
function recordWords({ verified, sent, expected, needed, load }) {
  const codes = sent === 0 ? "No recent codes" : `${verified} of ${sent} recent ${sent === 1 ? "code" : "codes"} verified`;
  const demand = needed > 0 ? `${percent(needed)} must be expected` : "any record will do";
  return `${codes}, so ${percent(expected)} is expected of the next. With ${percent(load)} of the country or the spend used, ${demand}.`;
}

/** Warns of pending failures that affect the next send; the limits don’t show them. */
export function warnAbout(faults) {
  gate.faults = faults;
  showWarning();
}

function showWarning() {
  const pending = gate.faults.filter(
    ({ kind, number }) => AFFECTS_SENDS.test(kind) && (!number || number === chosen.phone),
  );
  const kinds = [...new Set(pending.map(({ kind, code }) => (code ? `${kind} ${code}` : kind)))].join(", ");
  setText($("verdict-faults"), kinds);
  $("verdict-warning").hidden = kinds === "";
}

const gatePath = () => `/gate?${new URLSearchParams({ phone_number: chosen.phone, ip: chosen.ip })}`;

export const refreshGate = paced(async () => {
  const path = gatePath();
  showWarning();
  try {
    const { value } = await ask("GET", path);
    // Another phone was chosen meanwhile; its own query is already on the way.
    if (path !== gatePath()) return;
    setClock(value.now_ms);
    Object.assign(gate, { answer: value, error: null });
    showLimits();
  } catch (error) {
    if (path !== gatePath()) return;
    gate.error = error.message;
    // The functions are still starting.
    if (error.status === 503) setTimeout(refreshGate, 1000);
  }
  tick();
}, 100);

/** What a limit is counted for, in words. */
function subjectOf({ name, subject }, answer) {
  if (name === "phone_limit" || name === "check_limit") return forPeople(subject);
  if (name === "range_limit") return forPeople(subject.padEnd(answer.phone_number.length, "•"));
  if (name === "country_limit") return countryName(subject);
  return name === "total_limit" || name === "spend_limit" ? "all phones" : subject;
}

/** Rebuilds the rows if the rules or subjects have changed; otherwise replaces only the entries, so the bars animate. */
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
    if (limits.some(isInQuarters)) $("limits").append(el("p", { class: "hint" }, QUARTERS_HINT));
  }
  showRecord(gate.answer.block_record);
  rules.forEach((rule, index) => {
    gate.meters[index].rule = rule;
  });
}

const isInQuarters = ({ name, rules }) => COUNTED_IN_QUARTERS.includes(name) && rules.length > 0;
const QUARTERS_HINT =
  "Network, Country, Total and Spend are counted in quarters of their period, so a slot can come back up to 25% late.";

/** The record of the number's block, below the limits. */
function showRecord(record) {
  $("record").hidden = record.mode === "off";
  setText($("record-block"), forPeople(record.block.padEnd(gate.answer.phone_number.length, "•")));
  const lane = record.applies ? "" : " It doesn’t apply to a known number.";
  setText($("record-words"), `${recordWords(record)}${lane}`);
}

function limitRows(limit) {
  const mode =
    limit.mode === "enforce"
      ? null
      : el(
          "span",
          { class: "tag", title: limit.mode === "off" ? "Not counted" : "Counted and logged, but never refuses" },
          limit.mode,
        );
  return el(
    "section",
    { class: `limit ${limit.mode}`, "aria-label": limitTitle(limit.name) },
    el(
      "h3",
      { title: `${limit.parameter}, counts ${limit.counts}` },
      limitTitle(limit.name),
      " ",
      el("span", { class: "subject" }, subjectOf(limit, gate.answer)),
      mode,
    ),
    ...limit.rules.map((rule) => ruleRow(limit, rule)),
  );
}

function ruleRow(limit, rule) {
  const cells = Array.from({ length: rule.limit > MAX_CELLS ? 1 : rule.limit }, () =>
    el("span", { class: "cell" }, el("i")),
  );
  const meter = el(
    "div",
    {
      class: rule.limit > MAX_CELLS ? "meter whole" : "meter",
      role: "meter",
      "data-rule": `${limit.name} ${rule.rule}`,
      "aria-label": `${limitTitle(limit.name)}: ${allowance(limit.name, rule.limit, rule.window_ms)}`,
      "aria-valuemin": "0",
      "aria-valuemax": rule.limit,
    },
    ...cells,
  );
  const count = el("span", { class: "count" });
  const wait = el("span", { class: "wait" });
  const of = el("span", { class: "of", title: rule.rule }, count, ` of ${rate(limit.name, rule.limit, rule.window_ms)}`);
  const row = el("div", { class: "rule" }, of, meter, wait);
  gate.meters.push({ name: limit.name, rule, row, meter, count, wait, cells });
  return row;
}

const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};
const setAttribute = (element, name, value) => {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};

function slotsBack(name, back) {
  if (name === "spend_limit") return `${formatAmount(name, back)} back`;
  return back === 1 ? "one slot back" : `${formatAmount(name, back)} slots back`;
}

/** Shows the current usage of one rule. */
function showMeter({ name, rule, row, meter, count, wait, cells }, now) {
  const entries = activeEntries(rule, now);
  const used = usedSlots(rule, now);
  const full = isFull(rule, used);
  const next = full ? nextSlotAt(rule, now) : Math.min(...entries.map((entry) => entry.until_ms));
  const back = used - usedSlots(rule, next);
  const what = full ? "next slot" : slotsBack(name, back);
  row.classList.toggle("full", full);
  setText(count, formatAmount(name, used));
  setText(wait, used ? `${what} in ${shortDuration(next - now)}` : "");
  setAttribute(meter, "aria-valuenow", Math.min(used, rule.limit));
  setAttribute(
    meter,
    "aria-valuetext",
    `${formatAmount(name, used)} of ${formatAmount(name, rule.limit)} used${used ? `, ${what} in ${duration(next - now)}` : ""}`,
  );
  const left = rule.limit > MAX_CELLS ? [used && Math.max(SLIVER, used / rule.limit)] : slotsLeft(entries, rule, now);
  cells.forEach((cell, index) => {
    cell.classList.toggle("taken", (left[index] ?? 0) > 0);
    cell.style.setProperty("--left", Math.min(1, left[index] ?? 0).toFixed(4));
  });
}

/** Shows the gate, repeatedly while bars drain: four times a second if an entry expires soon, else once a second. */
function tick() {
  clearTimeout(gate.timer);
  if (!gate.answer && !gate.error) return;
  const now = systemNow();
  const { tone, text } = verdict(now);
  $("verdict").className = `verdict ${tone}`;
  const shown = el("p", {}, ...text).textContent;
  // A screen reader announces a new verdict, but not each second of the countdown.
  if (shown !== $("verdict-text").textContent) {
    $("verdict-text").setAttribute(
      "aria-live",
      shown.replace(/\(.*?\)/, "") === $("verdict-text").textContent.replace(/\(.*?\)/, "") ? "off" : "polite",
    );
    $("verdict-text").replaceChildren(...text);
  }
  // After an error, the counts shown belong to the previous phone.
  $("limits").hidden = gate.error !== null;
  if (gate.error) $("record").hidden = true;
  if (gate.error) return;
  for (const meter of gate.meters) showMeter(meter, now);
  const ends = gate.meters.flatMap(({ rule }) => activeEntries(rule, now).map((entry) => entry.until_ms));
  if (ends.length)
    gate.timer = setTimeout(tick, Math.min(...ends) - now < 120e3 && !reducedMotion.matches ? 250 : 1000);
}

const MAX_REFUSALS = 3;

export function showRefusals(exchanges) {
  const refused = exchanges
    .filter(({ outcome, title }) => outcome === "refused" && title === "send-code")
    .slice(-MAX_REFUSALS)
    .reverse();
  $("refusals").replaceChildren(...refused.map(refusalRow));
  $("no-refusals").hidden = refused.length > 0;
}

function refusalRow({ at_ms: at, number, summary, response }) {
  const { reason, rule } = response ?? {};
  return el(
    "li",
    {},
    timeElement(at, clockTime),
    el("b", {}, reason ? capitalized(reasonWords(reason)) : summary),
    rule && el("span", {}, allowanceOf(reason, rule)),
    number && el("span", {}, forPeople(number)),
  );
}

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

const CONFIRM_MS = 4000;

function startReset() {
  const button = $("reset");
  let timer;
  const disarm = () => {
    clearTimeout(timer);
    timer = undefined;
    button.textContent = "Reset everything";
  };
  button.addEventListener("click", () => {
    if (!timer) {
      button.textContent = "Press again to confirm";
      timer = setTimeout(disarm, CONFIRM_MS);
      return;
    }
    disarm();
    attempt($("reset-note"), async () => {
      await ask("DELETE", "/phones");
      return "Everything was reset.";
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
