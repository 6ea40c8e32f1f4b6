// What is used of a rule, when it has a free slot again, and how both read in words. Pure functions, no DOM.
//
// An entry counts until its `until_ms` and not a moment longer, exactly as on the server, so both always agree.

/** Of each limit: its title, its name within a sentence, and what it counts. */
const LIMITS = {
  phone_limit: { title: "Phone", name: "phone limit", noun: "code" },
  ip_limit: { title: "IP address", name: "IP limit", noun: "unverified code" },
  range_limit: { title: "Number range", name: "range limit", noun: "unverified code" },
  network_limit: { title: "Network", name: "network limit", noun: "unverified code" },
  country_limit: { title: "Country", name: "country limit", noun: "unverified code" },
  spend_limit: { title: "Spend", name: "spend limit", noun: "dollar" },
  block_record: { title: "Block record", name: "block record", noun: "code" },
  total_limit: { title: "Total", name: "total limit", noun: "code" },
  check_limit: { title: "Failed checks", name: "check limit", noun: "failed check" },
};

/** The words for a limit; a limit that this page does not know keeps its own name. */
const wordsOf = (limit) => LIMITS[limit] ?? { title: limit, name: limit, noun: "request" };
export const limitTitle = (limit) => wordsOf(limit).title;

const UNITS = [
  { sign: "d", ms: 86_400_000, one: "day", many: "days", short: "days" },
  { sign: "h", ms: 3_600_000, one: "hour", many: "hours", short: "h" },
  { sign: "m", ms: 60_000, one: "minute", many: "minutes", short: "min" },
  { sign: "s", ms: 1000, one: "second", many: "seconds", short: "s" },
];

/** A period of time in words: "hour", "30 seconds"; or `short`, "30 s". */
function period(ms, form = "many") {
  const unit = UNITS.find((candidate) => ms % candidate.ms === 0) ?? UNITS.at(-1);
  return ms === unit.ms ? unit.one : `${formatNumber(ms / unit.ms)} ${unit[form]}`;
}

/** A number with thousands separators: 10,000. */
export const formatNumber = (value) => new Intl.NumberFormat("en").format(value);

/** What a limit counts: a number, or dollars for the spend limit, which counts hundredths of a cent. */
export const formatAmount = (limit, value) => (limit === "spend_limit" ? `$${value / 10_000}` : formatNumber(value));

/** A rule in a few words: "1 per 30 s", "10,000 per day", "$5 per hour". */
export const rate = (limit, count, windowMs) => `${formatAmount(limit, count)} per ${period(windowMs, "short")}`;

/** A rule of a limit in words: `ip_limit`, 10, an hour → "10 unverified codes per hour". */
export function allowance(limit, count, windowMs) {
  const { noun } = wordsOf(limit);
  if (limit === "spend_limit") return `${formatAmount(limit, count)} per ${period(windowMs)}`;
  return `${count === 1 ? "one" : formatNumber(count)} ${noun}${count === 1 ? "" : "s"} per ${period(windowMs)}`;
}

/** The same for a rule as it is written in an answer: `phone_limit`, `1/30s` → "one code per 30 seconds". */
export function allowanceOf(limit, rule) {
  const [, dollars, count, length, unit] = /^(?:(\$[\d.]+)|(\d+))\/(\d+)([smhd])$/.exec(rule) ?? [];
  if (unit === undefined) return rule;
  const windowMs = Number(length) * UNITS.find(({ sign }) => sign === unit).ms;
  return dollars ? `${dollars} per ${period(windowMs)}` : allowance(limit, Number(count), windowMs);
}

/** Why a limit refuses, as a sentence: "The phone limit allows one code per 30 seconds." */
export const limitSentence = (limit, rule) => `The ${wordsOf(limit).name} allows ${allowanceOf(limit, rule)}.`;

/** A reason from an answer in words: `country_not_allowed` → "country not allowed". */
export const reasonWords = (reason) => LIMITS[reason]?.name ?? reason.replaceAll("_", " ");

/** The entries that still count. */
export const activeEntries = (rule, now) => rule.entries.filter((entry) => entry.until_ms > now);
/** How many slots of the rule are taken. */
export const usedSlots = (rule, now) => activeEntries(rule, now).reduce((sum, entry) => sum + entry.count, 0);

/** Whether a rule has no slot left. Strangers can't use all of the spend limit: `most`. */
export const isFull = (rule, used) => used >= (rule.most ?? rule.limit);

/** When a rule has a free slot: `now` if it has one, else when enough entries have expired. */
export function nextSlotAt(rule, now) {
  let used = usedSlots(rule, now);
  if (!isFull(rule, used)) return now;
  for (const entry of activeEntries(rule, now).sort((a, b) => a.until_ms - b.until_ms)) {
    used -= entry.count;
    if (!isFull(rule, used)) return entry.until_ms;
  }
  return Infinity;
}

/** The enforced rule that delays the next send the longest, or null. */
export function blockingRule(limits, now) {
  const full = limits
    .filter((limit) => limit.mode === "enforce" && limit.applies !== false)
    .flatMap((limit) => limit.rules.map((rule) => ({ limit: limit.name, rule: rule.rule, at: nextSlotAt(rule, now) })))
    .filter(({ at }) => at > now);
  return full.sort((a, b) => b.at - a.at)[0] ?? null;
}

/** For each taken slot, the share of its window that is left, the longest first. */
export function slotsLeft(entries, rule, now) {
  return entries
    .flatMap((entry) => Array(Math.min(entry.count, rule.limit)).fill((entry.until_ms - now) / rule.window_ms))
    .sort((a, b) => b - a);
}
