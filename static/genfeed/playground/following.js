// A job to its end: by its own stream of events, and by asking where there is none.

import { call, isPassing } from "./api.js";

const ENDED = ["succeeded", "failed", "canceled"];
const STEPS = ["job_queued", "job_started", "job_progress"];
const LAST = ["job_succeeded", "job_failed", "job_canceled"];
const POLL = 1500;
// So often an answer is asked for again that did not come; the job goes on meanwhile.
const TRIES = 6;
// Files come after the end; after so many looks the page shows what there is.
const LOOKS_FOR_FILES = 40;

const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));
export const hasEnded = job => ENDED.includes(job.status);
const awaitsFiles = job => job.status === "succeeded" && job.assets.some(file => file.state === "pending");

/**
 * The job as it ended, its files stored or given up. `told(type, data)` is called for each event, `seen(job)` whenever
 * it was asked for. `signal` ends it all.
 */
export async function follow(job, { told, seen, signal }) {
  const get = async (tries = TRIES) => {
    try {
      const fresh = await call(`/jobs/${job.id}`, { signal });
      seen(fresh);
      return fresh;
    } catch (error) {
      if (tries <= 1 || !isPassing(error)) throw error;
      await pause(Math.max(error.retryAfter * 1000, POLL));
      return get(tries - 1);
    }
  };
  if (!hasEnded(job)) await listen(job.events_url, told, signal);
  let now = await get();
  while (!hasEnded(now)) {
    await pause(POLL);
    now = await get();
  }
  for (let look = 0; awaitsFiles(now) && look < LOOKS_FOR_FILES; look += 1) {
    await pause(look < 10 ? 300 : POLL);
    now = await get();
  }
  return now;
}

/** Ends with the job's last event, or when the stream breaks: then it is asked for instead. */
function listen(url, told, signal) {
  return new Promise(done => {
    const source = new EventSource(url);
    const close = () => {
      source.close();
      done();
    };
    for (const type of [...STEPS, ...LAST]) {
      source.addEventListener(type, event => {
        told(type, JSON.parse(event.data).data);
        if (LAST.includes(type)) close();
      });
    }
    source.addEventListener("error", close);
    signal.addEventListener("abort", close);
  });
}
