// The page "New job": what htmx must not lose when it brings the form anew, folding, and one start a click.
"use strict";

(() => {
  let kept = null;
  let isLeaving = false; // the form is on its way: bringing it anew would only disturb

  // The server says which sections are open on the first visit; from then on the reader does.
  const keep = () => {
    const field = document.activeElement;
    const typing = field && field.matches('#wizard input[type="text"]');
    kept = {
      open: new Map([...document.querySelectorAll("#wizard details")].map((box) => [box.id, box.open])),
      // What lies in a section that the server folded cannot take the focus before it is open again.
      focused: field && field.closest("#wizard") ? field.id : "",
      typed: typing ? { id: field.id, value: field.value } : null,
    };
  };

  const restore = () => {
    if (!kept) return;
    for (const [id, open] of kept.open) {
      const box = document.getElementById(id);
      if (box) box.open = open || box.querySelector(".field-error") !== null;
    }
    const focused = kept.focused && document.getElementById(kept.focused);
    if (focused && document.activeElement === document.body) focused.focus({ preventScroll: true });
    const field = kept.typed && document.getElementById(kept.typed.id);
    if (field) field.value = kept.typed.value;
    kept = null;
  };

  document.addEventListener("htmx:beforeSwap", keep);
  document.addEventListener("htmx:afterSwap", restore);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-go-on]");
    if (!button) return;
    const next = document.getElementById(button.dataset.goOn);
    button.closest("details").open = false;
    if (next.tagName === "DETAILS") next.open = true;
    (next.querySelector(":scope > summary") || next).focus();
    next.scrollIntoView({ block: "nearest" });
  });

  // Enter in a field brings the figures up to date; only the button starts.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches('#wizard input[type="text"]')) return;
    event.preventDefault();
    event.target.dispatchEvent(new Event("change", { bubbles: true }));
  });

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "wizard") return;
    isLeaving = true;
    document.getElementById("start").disabled = true;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isLeaving) event.preventDefault();
  });
  window.addEventListener("pageshow", () => {
    isLeaving = false;
    const button = document.getElementById("start");
    if (button) button.disabled = false;
  });
})();
