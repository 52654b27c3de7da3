// The drop zone: takes a dropped or chosen file, shows how far it is and how long it takes, tells what went wrong.
"use strict";

(() => {
  const form = document.querySelector("form[data-upload]");
  if (!form) return;

  const part = (name) => form.querySelector(`[data-${name}]`);
  const input = form.querySelector("input[type=file]");
  const bar = form.querySelector("progress");
  const limitBytes = Number(form.dataset.limitBytes);
  let request = null;

  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

  const left = (seconds) => {
    const whole = Math.ceil(seconds);
    return whole < 60 ? `${whole} s left` : `${Math.floor(whole / 60)} min ${whole % 60} s left`;
  };

  const tell = (problem) => {
    part("refused-message").textContent = (problem.line ? `Line ${problem.line}: ` : "") + problem.message;
    part("refused-hint").textContent = problem.hint;
    part("refused").hidden = false;
  };

  const rest = () => {
    request = null;
    input.value = "";
    part("progress").hidden = true;
    part("drop").hidden = false;
  };

  const showProgress = (began) => (event) => {
    if (!event.lengthComputable) return;
    const share = event.loaded / event.total;
    const seconds = (performance.now() - began) / 1000;
    bar.value = share * 100;
    const time = seconds > 1 && share > 0 ? `, ${left((seconds / share) * (1 - share))}` : "";
    part("progress-words").textContent = `${megabytes(event.loaded)} of ${megabytes(event.total)}${time}`;
  };

  const showReading = () => {
    bar.removeAttribute("value");
    part("progress-words").textContent = "Uploaded. Reading the file";
  };

  const finish = () => {
    const status = request.status;
    let answer = null;
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      answer = null;
    }
    if ((status === 201 || status === 202) && answer) { // 202: the page that is opened shows how far reading is
      location.assign(answer.url);
      return;
    }
    rest();
    tell(answer && answer.message ? answer : {
      message: `The server answered with ${status} and no reason.`,
      hint: "Reload the page, sign in again if asked to, and upload the file once more.",
    });
  };

  const send = (file) => {
    part("refused").hidden = true;
    if (limitBytes && file.size > limitBytes) {
      tell({
        message: `${file.name} has ${megabytes(file.size)}; the limit of this installation is ${megabytes(limitBytes)}.`,
        hint: "Upload a part of the rows, or ask an admin to raise GRAFTWORK_UPLOAD_LIMIT_MB.",
      });
      input.value = "";
      return;
    }
    const body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    body.append("file", file);
    request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Prefer", "respond-async");
    request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
    request.upload.addEventListener("progress", showProgress(performance.now()));
    request.upload.addEventListener("load", showReading);
    request.addEventListener("load", finish);
    request.addEventListener("error", () => {
      rest();
      tell({ message: "The connection was lost while uploading.", hint: "Nothing was kept. Check that the app is running, then try again." });
    });
    request.addEventListener("abort", rest);
    bar.value = 0;
    part("progress-words").textContent = `${file.name}, ${megabytes(file.size)}`;
    part("drop").hidden = true;
    part("progress").hidden = false;
    request.send(body);
  };

  const take = (files) => {
    if (request) return;
    if (files.length === 1) send(files[0]);
    else if (files.length > 1) tell({ message: `${files.length} files were dropped.`, hint: "Upload one file at a time; each becomes a dataset." });
  };

  part("send").hidden = true; // choosing is sending
  input.addEventListener("change", () => take(input.files));
  part("cancel").addEventListener("click", () => request && request.abort());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(input.files);
  });

  // The whole page takes files, so that one dropped beside the zone does not replace the page.
  const zone = part("drop");
  let depth = 0;
  const isFile = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!isFile(event)) return;
    depth += 1;
    zone.dataset.dragging = "yes";
  });
  document.addEventListener("dragleave", (event) => {
    if (!isFile(event)) return;
    depth -= 1;
    if (depth <= 0) delete zone.dataset.dragging;
  });
  document.addEventListener("dragover", (event) => isFile(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    depth = 0;
    delete zone.dataset.dragging;
    take(event.dataTransfer.files);
  });

  // Coming back by the browser's button finds the zone as it was at first.
  window.addEventListener("pageshow", (event) => event.persisted && rest());
})();
