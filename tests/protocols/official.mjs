// What a page with fal's own JavaScript client does, after the example of docs/fal.md; prints what it saw.
// `fal` and `token` come from there. Node has no page around it: what the client asks for is put before it.

const MODEL = "fal-ai/flux/dev";
const seen = { example: data };

seen.subscribe = [];
const fox = { input: { prompt: "a slow fox" }, logs: true, pollInterval: 100 };
const told = await fal.subscribe(MODEL, { ...fox, onQueueUpdate: (update) => seen.subscribe.push(update.status) });
seen.requestId = told.requestId;

seen.streamed = [];
await fal.subscribe(MODEL, { ...fox, mode: "streaming", onQueueUpdate: (update) => seen.streamed.push(update.status) });

seen.run = (await fal.run(MODEL, { input: { prompt: "a fox" } })).data;

const stream = await fal.stream(MODEL, { input: { prompt: "a fox" } });
seen.stream = await stream.done();

const { request_id } = await fal.queue.submit(MODEL, { input: { prompt: "an endless fox" } });
await fal.queue.cancel(MODEL, { requestId: request_id });
seen.canceled = (await fal.queue.subscribeToStatus(MODEL, { requestId: request_id, pollInterval: 100 })).error_type;

async function failure(call) {
  try {
    return ["nothing", await call()];
  } catch (error) {
    return [error.name, error.status, error.fieldErrors?.map((one) => one.type)];
  }
}
seen.errors = {
  input: await failure(() => fal.subscribe(MODEL, { input: { prompt: 7 } })),
  content: await failure(() => fal.subscribe(MODEL, { input: { prompt: "an indecent fox" }, pollInterval: 100 })),
  model: await failure(() => fal.subscribe("fal-ai/unknown", { input: {} })),
  crowded: await failure(() => fal.run(MODEL, { input: { prompt: "a crowded fox" } })),
  large: await failure(() => fal.storage.upload(new File([new Uint8Array(91 * 1024 * 1024)], "a.mp4"))),
};

const same = { input: { prompt: "a fox" }, headers: { "Idempotency-Key": crypto.randomUUID() } };
seen.once = [await fal.queue.submit(MODEL, same), await fal.queue.submit(MODEL, same)].map((one) => one.request_id);
const noted = { ...same, webhookUrl: "https://example.com/hook" };
seen.errors.webhook = await failure(() => fal.queue.submit(MODEL, noted));

const png = Buffer.from(process.env.PNG, "base64");
seen.file = await fal.storage.upload(new File([png], "a.png", { type: "image/png" }));
seen.bytes = (await (await fetch(seen.file)).arrayBuffer()).byteLength;

console.log(JSON.stringify(seen));
