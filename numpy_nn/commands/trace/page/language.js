"use strict";
// Which language the page speaks: that of the file, or that of the address's &lang=zh, which the button chooses.

// An element of page.html, whichever it is.
const byId = /** @type {(id: string) => any} */ ((id) => document.getElementById(id));
const focused = /** @type {() => any} */ (() => document.activeElement);

const allThat = /** @type {(selector: string) => any} */ ((selector) => document.querySelectorAll(selector));

const LANGUAGES = { en: TEXTS_EN, zh: TEXTS_ZH };

const languageOfAddress = () => /\blang=(\w+)/.exec(location.hash)?.[1];

const language = languageOfAddress() in LANGUAGES ? languageOfAddress() : document.documentElement.dataset.lang;

const say = LANGUAGES[language];

// The texts of the elements that are there from the start.
function speak() {
  document.documentElement.lang = { en: "en", zh: "zh-CN" }[language];
  document.title = say.heading;
  for (const node of allThat("[data-text]")) node.innerHTML = say[node.dataset.text];
  for (const node of allThat("[data-said]")) node.setAttribute("aria-label", say[node.dataset.said]);
  for (const node of allThat("[data-title]")) node.title = say[node.dataset.title];
  byId("language").addEventListener("click", () => {
    const other = Object.keys(LANGUAGES).find((name) => name !== language);
    openWith({ lang: other });
  });
}

// The page anew, with other values in its address, or none where one is empty; all else in it stays.
function openWith(changes) {
  const rest = location.hash.slice(1).split("&").filter((part) => part && !(part.split("=")[0] in changes));
  const changed = Object.entries(changes).filter(([, value]) => value !== "").map(([key, value]) => `${key}=${value}`);
  history.replaceState(null, "", `#${[...rest, ...changed].join("&")}`);
  location.reload();
}

speak();
