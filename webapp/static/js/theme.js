// Light, dark or as the system says. Loaded before the first paint, so that no page flashes in the wrong colours.
"use strict";

(() => {
  const KEY = "graftwork-theme";
  const root = document.documentElement;

  const stored = () => {
    try {
      return localStorage.getItem(KEY) || "system";
    } catch {
      return "system"; // storage is blocked: follow the system
    }
  };

  const apply = (choice) => {
    if (choice === "light" || choice === "dark") root.dataset.theme = choice;
    else delete root.dataset.theme;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    }
    // Charts are drawn with colours read from the theme; they listen to this.
    document.dispatchEvent(new CustomEvent("graftwork:theme"));
  };

  const choose = (choice) => {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // Kept for this page only.
    }
    apply(choice);
  };

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => apply(stored()));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (button) choose(button.dataset.themeChoice);
  });
  window.addEventListener("storage", (event) => {
    if (event.key === KEY) apply(stored());
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(stored()));
})();
