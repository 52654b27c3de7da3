// Small manners of every page: menus close, code is copied, exact times are told in the reader's own zone.
"use strict";

(() => {
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu-box[open]")) {
      if (menu !== except) menu.open = false;
    }
  };

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    const word = button.querySelector("[data-copy-word]");
    if (!source || !word) return;
    const before = word.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent);
      word.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      word.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { word.textContent = before; }, 2000);
  };

  // <time data-clock="minutes"> or "seconds": the server knows no zone but its own, so its clock is put right here.
  const clock = (at, exactness) => {
    const digits = { hour: "2-digit", minute: "2-digit", hour12: false };
    if (exactness === "seconds") return at.toLocaleTimeString(undefined, { ...digits, second: "2-digit" });
    const isToday = at.toDateString() === new Date().toDateString();
    return isToday ? at.toLocaleTimeString(undefined, digits) : at.toLocaleString(undefined, { ...digits, weekday: "short", day: "numeric", month: "short" });
  };

  const localTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      time.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
      if (time.dataset.clock) time.textContent = clock(at, time.dataset.clock);
    }
  };

  document.addEventListener("click", (event) => {
    closeMenus(event.target.closest("details.menu-box"));
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    if (event.target.closest("[data-print]")) print();
    const closer = event.target.closest("[data-dismiss]");
    if (closer) closer.closest("[role]").remove();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details.menu-box[open]");
    if (!menu) return;
    closeMenus(null);
    menu.querySelector("summary").focus();
  });

  // A form that destroys something asks first: <form data-confirm="Delete this dataset?">.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  document.addEventListener("DOMContentLoaded", () => localTimes(document));
  document.addEventListener("htmx:afterSwap", () => localTimes(document));
})();
