// For scripts: the account, and examples filled in with its values.

import { $, copyButton, el } from "./tools.js";

const ACCOUNT = {
  base_url: "Base URL",
  our_number: "Service number",
  account_sid: "Account SID",
  auth_token: "Auth token",
  api_key_sid: "API key SID",
  api_key_secret: "API key secret",
};

let shown = {};

/** Shows the account and fills the examples in with it. `changed` may hold only some of the fields. */
export function showAccount(changed) {
  const account = { ...shown, ...changed };
  if (JSON.stringify(account) === JSON.stringify(shown)) return;
  shown = account;
  $("account").replaceChildren(
    ...Object.entries(ACCOUNT).flatMap(([name, label]) => [
      el("dt", {}, label),
      el(
        "dd",
        {},
        el("code", {}, account[name] ?? "–"),
        copyButton(`Copy ${label}`, () => account[name] ?? ""),
      ),
    ]),
  );
  for (const code of document.querySelectorAll(".examples code")) {
    code.dataset.template ??= code.textContent;
    code.textContent = code.dataset.template.replace(
      /\b(BASE_URL|OUR_NUMBER|ACCOUNT_SID|AUTH_TOKEN|API_KEY_SID|API_KEY_SECRET)\b/g,
      (name) => account[name.toLowerCase()] ?? name,
    );
  }
}

export function startScripts() {
  for (const figure of document.querySelectorAll(".examples figure")) {
    const caption = figure.querySelector("figcaption");
    caption.append(
      copyButton(`Copy the ${caption.textContent} example`, () => figure.querySelector("code").textContent),
    );
  }
}
