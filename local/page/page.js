// The page of the local system: phones, the app, the gate, what happened, and failures on demand.
//
// The one idea: the server's events are the truth. Forms only ask; what is shown changes when the event comes, whoever
// caused it: this page, another window, or a test that is running. `state` replaces everything, so a lost connection heals
// itself.
//
// Here is the connection; each section has its own module, and what has no state of its own is in tools.js.

import { happened, isContinued, showActivity, startActivity } from "./activity.js";
import { forgetAnswer, startApp, useCode } from "./app.js";
import { showFaults, startFailures } from "./failures.js";
import { refreshGate, setClock, showSettings, startGate, warnOf } from "./gate.js";
import { loadPhones, messageArrived, messageDeleted, messagesForgotten, startPhones } from "./phones.js";
import { showAccount, startScripts } from "./scripts.js";
import { $, kept } from "./tools.js";

const CONNECTION = {
  connecting: "Connecting",
  live: "Live",
  lost: "Connection lost, trying again",
  paused: "Paused while hidden",
};
const TITLE = document.title;

function showConnection(state) {
  $("connection").textContent = CONNECTION[state];
  $("connection").className = `connection ${state}`;
  // Of a page that is hidden, the title is all that is seen.
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
  warnOf(faults);
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

const AGAIN_MS = 2000;
const PAUSE_MS = 3000;
let stream = null;
let pausing;

function connect() {
  const events = new EventSource("/events");
  stream = events;
  for (const [name, handle] of Object.entries(EVENTS))
    events.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    showConnection("lost");
    // The browser tries again by itself, but for an answer that is no stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(() => stream === events && connect(), AGAIN_MS);
  });
}

function pause() {
  stream?.close();
  stream = null;
  showConnection("paused");
}

/**
 * Listens while the page can be seen. A browser opens at most six connections to a host, for all its windows: pages that
 * nobody looks at would keep the seventh from loading.
 */
function startConnection() {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(pausing);
    if (document.hidden) {
      pausing = setTimeout(pause, PAUSE_MS);
    } else if (!stream) {
      showConnection("connecting");
      connect();
    }
  });
  if (document.hidden) pause();
  else connect();
}

const systemTheme = matchMedia("(prefers-color-scheme: dark)");

/** Light or dark as the system has it, unless the reader has chosen the other. */
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
