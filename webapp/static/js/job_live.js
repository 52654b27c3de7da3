// A job's page while it is watched: server-sent events, and asking every two seconds where they do not get through.
"use strict";

(() => {
  const page = document.getElementById("job");
  if (!page) return;
  const POLL_MS = 2000;
  const QUIET_MS = 20000; // longer than the server's heartbeat: then we ask whether it is still there
  const shownSeq = Number(page.dataset.seq); // the timeline holds everything up to here
  const chart = window.jobChart(document.getElementById("chart"), document.getElementById("chart-empty"));
  let seq = 0;
  let hasNewCheckpoint = false;
  let isOver = false;
  let source = null;
  let openedAt = 0;
  let heardAt = Date.now();
  let timer = null;

  const byId = (id) => document.getElementById(id);
  const say = (id, text) => { const place = byId(id); if (place && place.textContent !== text) place.textContent = text; };

  const duration = (seconds) => {
    const whole = Math.max(0, Math.round(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  };

  const size = (bytes) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);

  const FIGURES = {
    step: (live) => live.total_steps && `${live.step} of ${live.total_steps}`,
    epoch: (live) => live.step && live.epoch.toFixed(2),
    loss: (live) => live.loss !== null && live.loss.toFixed(4),
    held_out_loss: (live) => live.held_out_loss !== null && live.held_out_loss.toFixed(4),
    learning_rate: (live) => live.learning_rate !== null && live.learning_rate.toExponential(2),
    tokens_per_second: (live) => live.tokens_per_second && Math.round(live.tokens_per_second).toLocaleString("en"),
    peak_memory_bytes: (live) => live.peak_memory_bytes && size(live.peak_memory_bytes),
    device: (live) => live.device,
    precision: (live) => live.precision,
  };

  const showFigures = (data) => {
    const live = data.live;
    for (const place of page.querySelectorAll("[data-figure]")) {
      const text = FIGURES[place.dataset.figure](live) || "–";
      if (place.textContent !== text) place.textContent = text;
    }
    say("job-sentence", data.sentence);
    say("job-done", live.total ? `${Math.round(live.done)} of ${Math.round(live.total)} ${live.unit}` : "");
    say("job-left", live.seconds_left === null || data.asked ? "" : `about ${duration(live.seconds_left)} left`);
    const bar = byId("job-progress");
    if (bar && data.percent !== null) bar.value = data.percent;
    else if (bar) bar.removeAttribute("value");
  };

  const clock = (at) => at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  for (const time of page.querySelectorAll("#timeline time")) time.textContent = clock(new Date(time.dateTime));

  const tell = (event) => {
    const line = document.createElement("li");
    if (event.state) line.dataset.state = event.state;
    const time = document.createElement("time");
    const at = new Date(event.at);
    time.dateTime = event.at;
    time.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
    time.textContent = clock(at);
    time.className = "num";
    const text = document.createElement("span");
    text.textContent = event.actor ? `${event.text} (${event.actor})` : event.text;
    line.append(time, text);
    byId("timeline").prepend(line);
  };

  const bring = (part, others) => {
    htmx.ajax("GET", location.pathname, { target: part, select: part, selectOOB: others || undefined, swap: "outerHTML" });
  };

  // Everything is told in order and once, whichever way it came.
  const take = (data) => {
    heardAt = Date.now();
    byId("connection").hidden = true;
    for (const event of data.events) {
      if (event.seq <= seq) continue;
      seq = event.seq;
      // A new attempt goes on from a checkpoint: what an earlier one did beyond it is done anew.
      if (event.kind === "started") chart.keepUpTo(event.data.resumed_step || 0);
      chart.add(event);
      if (event.seq <= shownSeq) continue;
      if (event.text) tell(event);
      if (event.kind === "checkpoint_saved") hasNewCheckpoint = true;
    }
    if (data.has_more) return;
    showFigures(data);
    isOver = data.is_over;
    const top = byId("job-top");
    const state = data.asked ? `${data.state} ${data.asked}` : data.state;
    const ahead = data.queue ? String(data.queue.num_ahead) : "";
    if (isOver && !("over" in page.dataset)) {
      stop();
      location.reload();
    } else if (top && top.dataset.state !== state) {
      top.dataset.state = state;
      bring("#job-top", "#job-checkpoints,#job-attempts,#job-facts");
    } else if (top && top.dataset.ahead !== ahead && !top.contains(document.activeElement)) {
      top.dataset.ahead = ahead; // not under the hands of somebody who is choosing a priority
      bring("#job-top", "");
    } else if (hasNewCheckpoint) {
      bring("#job-checkpoints", "");
    }
    hasNewCheckpoint = false;
  };

  const ask = async () => {
    const response = await fetch(`${page.dataset.live}?after=${seq}`, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(8000) });
    if (response.redirected || response.status === 404) {
      location.reload(); // signed out, or the job is gone: the page itself says so
      return null;
    }
    if (!response.ok) throw new Error(String(response.status));
    const data = await response.json();
    take(data);
    return data;
  };

  const stop = () => {
    if (source) source.close();
    source = null;
    clearTimeout(timer);
  };

  const poll = async () => {
    stop();
    try {
      await ask();
      if (!isOver && !document.hidden) openedAt ? again() : openStream();
    } catch {
      byId("connection").hidden = false;
      timer = setTimeout(poll, POLL_MS);
    }
  };

  // The server ends a stream after ten minutes; one that breaks at once does not get through, so we ask instead.
  const again = () => {
    const lived = Date.now() - openedAt;
    if (lived > 5000) openStream();
    else timer = setTimeout(poll, POLL_MS);
  };

  const openStream = () => {
    stop();
    openedAt = Date.now();
    source = new EventSource(`${page.dataset.stream}?after=${seq}`);
    source.onmessage = (message) => take(JSON.parse(message.data));
    source.onerror = () => poll();
    const watch = () => {
      if (Date.now() - heardAt > QUIET_MS) ask().catch(() => poll());
      timer = setTimeout(watch, QUIET_MS / 2);
    };
    timer = setTimeout(watch, QUIET_MS / 2);
  };

  const start = async () => {
    try {
      let data = await ask();
      while (data && data.has_more) data = await ask();
      if (!isOver) openStream();
    } catch {
      byId("connection").hidden = false;
      timer = setTimeout(start, POLL_MS);
    }
  };

  // A page nobody looks at holds no connection; it catches up when it is seen again.
  document.addEventListener("visibilitychange", () => {
    if (isOver) return;
    if (document.hidden) stop();
    else openStream();
  });

  const refreshLog = async () => {
    if (!byId("log").open) return;
    try {
      const response = await fetch(`${page.dataset.log}?tail`);
      if (response.ok) byId("log-text").textContent = (await response.text()) || "Nothing was written yet.";
    } catch {
      // The log stays as it was.
    }
    if (!isOver) setTimeout(refreshLog, 5000);
  };
  byId("log").addEventListener("toggle", refreshLog);

  start();
})();
