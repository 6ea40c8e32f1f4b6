// What is used of a rule, and when it is free again: sums over what the server told, without a page.
//
// The one idea: an entry counts until its `until_ms` and not a moment longer, as on the server; so both say the same.

/** The entries that still count. */
export const standing = (rule, now) => rule.entries.filter((entry) => entry.until_ms > now);
/** How many of its places are taken. */
export const usedOf = (rule, now) => standing(rule, now).reduce((sum, entry) => sum + entry.count, 0);

/** When a rule has a place again: `now` if it has one, else when enough entries have ended. */
export function freeAt(rule, now) {
  let used = usedOf(rule, now);
  if (used < rule.limit) return now;
  for (const entry of standing(rule, now).sort((a, b) => a.until_ms - b.until_ms)) {
    used -= entry.count;
    if (used < rule.limit) return entry.until_ms;
  }
  return Infinity;
}

/** The rule that keeps the next send back the longest, or null. */
export function closedBy(limits, now) {
  const full = limits
    .filter((limit) => limit.mode === "enforce")
    .flatMap((limit) => limit.rules.map((rule) => ({ limit: limit.name, rule: rule.rule, at: freeAt(rule, now) })))
    .filter(({ at }) => at > now);
  return full.sort((a, b) => b.at - a.at)[0] ?? null;
}

/** For each taken place the part of its window that is left, the longest first. */
export function placesLeft(entries, rule, now) {
  return entries
    .flatMap((entry) => Array(Math.min(entry.count, rule.limit)).fill((entry.until_ms - now) / rule.window_ms))
    .sort((a, b) => b - a);
}
