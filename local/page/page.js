// The page of the local system: phones, the app, the gate, activity, and failures on demand.
//
// The server's events are the source of truth. Forms only send requests; the page changes when the event arrives, whether
// it was caused by this page, another window or a running test. `state` replaces everything, so the page recovers from a
// lost connection.
//
// This module holds the connection. Each section has a module of its own; stateless helpers are in tools.js.

import { happened, isContinued, showActivity, startActivity } from "./activity.js";
import { forgetAnswer, startApp, useCode } from "./app.js";
import { showFaults, startFailures } from "./failures.js";
import { refreshGate, setClock, showSettings, startGate, warnAbout } from "./gate.js";
import { loadPhones, messageArrived, messageDeleted, messagesForgotten, startPhones } from "./phones.js";
import { showAccount, startScripts } from "./scripts.js";
import { $, kept } from "./tools.js";

const CONNECTION = {
  connecting: "Connecting",
  live: "Live",
  lost: "Connection lost, reconnecting",
  paused: "Paused while hidden",
};
const TITLE = document.title;

function showConnection(state) {
  $("connection").textContent = CONNECTION[state];
  $("connection").className = `connection ${state}`;
  // The title is all that is visible of a hidden page.
  document.title = state === "paused" ? `(paused) ${TITLE}` : TITLE;
}

function showState(state) {
  setClock(state.now_ms);
  loadPhones(state.messages);
  showAccount({ ...state.account, base_url: state.base_url, our_number: state.our_number });
  faultsChanged(state);
  if (!isContinued(state.activity)) forgetAnswer();
  showActivity(state.activity);
  showSettings(state.settings);
  refreshGate();
  showConnection("live");
}

function faultsChanged({ faults }) {
  showFaults(faults);
  warnAbout(faults);
}

const EVENTS = {
  state: showState,
  message: messageArrived,
  deleted: messageDeleted,
  forgotten: ({ number }) => {
    messagesForgotten(number);
    if (!number) {
      showActivity([]);
      forgetAnswer();
    }
    refreshGate();
  },
  faults: faultsChanged,
  activity: happened,
  clock: ({ now_ms: nowMs }) => {
    setClock(nowMs);
    refreshGate();
  },
  account: showAccount,
};

const RECONNECT_MS = 2000;
const PAUSE_AFTER_MS = 3000;
let stream = null;
let pausing;

function connect() {
  const events = new EventSource("/events");
  stream = events;
  for (const [name, handle] of Object.entries(EVENTS))
    events.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    showConnection("lost");
    // The browser reconnects by itself, except after a response that is not an event stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(() => stream === events && connect(), RECONNECT_MS);
  });
}

function pause() {
  stream?.close();
  stream = null;
  showConnection("paused");
}

/**
 * Listens while the page is visible. A browser opens at most six connections to a host across all windows, so hidden
 * pages would keep a seventh page from loading.
 */
function startConnection() {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(pausing);
    if (document.hidden) {
      pausing = setTimeout(pause, PAUSE_AFTER_MS);
    } else if (!stream) {
      showConnection("connecting");
      connect();
    }
  });
  if (document.hidden) pause();
  else connect();
}

const systemTheme = matchMedia("(prefers-color-scheme: dark)");

/** Follows the system’s light or dark theme unless the reader has chosen the other. */
function startTheme() {
  const show = () => {
    const own = kept.get("theme", (theme) => ["light", "dark"].includes(theme), null);
    document.documentElement.dataset.theme = own ?? "";
    $("theme").setAttribute("aria-pressed", (own ?? (systemTheme.matches ? "dark" : "light")) === "dark");
  };
  $("theme").addEventListener("click", () => {
    const next = $("theme").getAttribute("aria-pressed") === "true" ? "light" : "dark";
    kept.set("theme", next === (systemTheme.matches ? "dark" : "light") ? null : next);
    show();
  });
  systemTheme.addEventListener("change", show);
  show();
}

startTheme();
startPhones(useCode);
startApp();
startGate();
startActivity();
startFailures();
startScripts();
startConnection();
