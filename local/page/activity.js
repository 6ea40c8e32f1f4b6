// The activity: a row for each exchange between the app, the functions and Twilio.
//
// Rows are never rebuilt. After a lost connection only new rows are added, so rows that were opened stay open.

import { refreshGate, showRefusals } from "./gate.js";
import { phoneOf } from "./phones.js";
import { $, clockTime, el, forPeople, isE164, jsonBlock, kept, timeElement } from "./tools.js";

const KINDS = {
  invocation: "Functions",
  webhook: "Webhooks",
  status_callback: "Status callbacks",
  twilio: "Twilio API",
  dynamodb: "DynamoDB",
  local: "This machine",
};
const MAX_EXCHANGES = 200;
const activity = { rows: new Map(), latest: [], kind: kept.get("kind", (kind) => Object.hasOwn(KINDS, kind), "") };

/** Whether these exchanges continue the ones shown; after a reset or a restart of the system they don’t. */
export function isContinued(exchanges) {
  const last = activity.latest.at(-1);
  if (!last || exchanges.some(({ id, at_ms: at }) => id === last.id && at === last.at_ms)) return true;
  // After many new exchanges, the last one shown is no longer in the list.
  return exchanges.length >= MAX_EXCHANGES && exchanges[0].id > last.id;
}

/** Replaces the exchanges shown with these, oldest first. */
export function showActivity(exchanges) {
  const times = new Map(exchanges.map(({ id, at_ms: at }) => [id, at]));
  // Exchanges from a previous run of the system may have the same ids.
  const gone = activity.latest.filter(({ id, at_ms: at }) => times.get(id) !== at);
  for (const { id } of gone) removeRow(id);
  activity.latest = activity.latest.filter(({ id }) => activity.rows.has(id));
  for (const exchange of exchanges) add(exchange);
  $("no-exchanges").hidden = exchanges.length > 0;
  showRefusals(activity.latest);
}

export function happened(exchange) {
  add(exchange);
  $("no-exchanges").hidden = true;
  if (exchange.outcome === "refused") showRefusals(activity.latest);
  if (["invocation", "webhook", "local"].includes(exchange.between)) refreshGate();
}

function add(exchange) {
  if (activity.rows.has(exchange.id)) return;
  const row = exchangeRow(exchange);
  activity.rows.set(exchange.id, row);
  activity.latest.push(exchange);
  $("exchanges").prepend(row);
  while (activity.latest.length > MAX_EXCHANGES) removeRow(activity.latest.shift().id);
}

function removeRow(id) {
  activity.rows.get(id)?.remove();
  activity.rows.delete(id);
}

/** A collapsed row; its request and response are built when it is opened. */
function exchangeRow(exchange) {
  const { at_ms: at, between, title, summary, outcome, fault } = exchange;
  // An app may send any text as a number; only a valid one has a phone to link to.
  const number = isE164(exchange.number) && exchange.number;
  const details = el(
    "details",
    { class: number && "numbered" },
    el(
      "summary",
      {},
      timeElement(at, clockTime),
      el("span", { class: "kind" }, KINDS[between] ?? between),
      el(
        "span",
        { class: "what" },
        el("b", {}, title),
        " ",
        el("span", { class: `result ${outcome}` }, summary),
        fault && el("span", { class: "tag warn" }, `failure: ${fault}`),
      ),
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(exchangeDetails(exchange));
  });
  return el(
    "li",
    { "data-between": between, hidden: activity.kind !== "" && activity.kind !== between },
    details,
    number &&
      el(
        "a",
        { href: `#phone-${number.slice(1)}`, class: "about", onclick: () => phoneOf(number).reveal() },
        forPeople(number),
      ),
  );
}

function exchangeDetails({ request, response }) {
  const part = (title, value) =>
    el(
      "div",
      {},
      el("h3", {}, title),
      value === null ? el("p", { class: "hint" }, "No data") : jsonBlock(value, title),
    );
  return el("div", { class: "exchange" }, part("Request", request), part("Response", response));
}

export function startActivity() {
  const choices = [["", "All"], ...Object.entries(KINDS)];
  $("filter").append(
    ...choices.map(([kind, name]) =>
      el(
        "label",
        {},
        el("input", {
          type: "radio",
          name: "kind",
          value: kind,
          checked: kind === activity.kind,
          onchange: () => filterActivity(kind),
        }),
        el("span", {}, name),
      ),
    ),
  );
}

function filterActivity(kind) {
  activity.kind = kind;
  kept.set("kind", kind);
  for (const row of activity.rows.values()) row.hidden = kind !== "" && row.dataset.between !== kind;
}
