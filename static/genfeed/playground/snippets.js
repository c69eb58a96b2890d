// The same request in other languages. The key is read from the environment: none of these texts holds one.

const shell = text => `'${text.replaceAll("'", "'\\''")}'`;

/** `value` as Python writes it. */
export function python(value, indent = "") {
  const deeper = `${indent}    `;
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const inside = Array.isArray(value)
    ? value.map(one => python(one, deeper))
    : Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${python(one, deeper)}`);
  return inside.length ? `${open}\n${inside.map(one => `${deeper}${one},\n`).join("")}${indent}${close}` : open + close;
}

export const snippets = {
  curl: (base, body) => `curl -X POST ${shell(`${base}/jobs`)} \\
  -H "Authorization: Bearer $GENFEED_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: $(uuidgen)" \\
  -d ${shell(JSON.stringify(body))}
`,

  python: (base, body) => `import os
import time
import uuid

import httpx

headers = {"Authorization": f"Bearer {os.environ['GENFEED_KEY']}"}
with httpx.Client(base_url=${JSON.stringify(base)}, headers=headers, timeout=60) as api:
    body = ${python(body, "    ")}
    job = api.post("/jobs", json=body, headers={"Idempotency-Key": str(uuid.uuid4())}).raise_for_status().json()
    while job["status"] not in ("succeeded", "failed", "canceled"):
        time.sleep(1)
        job = api.get(f"/jobs/{job['id']}").raise_for_status().json()
print(job["status"], job["output"] or job["error"])
`,

  javascript: (base, body) => `// For a server: a key does not belong in a page.
const api = ${JSON.stringify(base)};
const headers = { Authorization: \`Bearer \${process.env.GENFEED_KEY}\`, "Content-Type": "application/json" };
const ask = async (path, options = {}) => {
  const answer = await fetch(api + path, { ...options, headers: { ...headers, ...options.headers } });
  const told = await answer.json();
  if (!answer.ok) throw new Error(\`\${told.code}: \${told.message} \${told.hint}\`);
  return told;
};

const body = ${JSON.stringify(body, null, 2)};
let job = await ask("/jobs", {
  method: "POST",
  headers: { "Idempotency-Key": crypto.randomUUID() },
  body: JSON.stringify(body),
});
while (!["succeeded", "failed", "canceled"].includes(job.status)) {
  await new Promise(done => setTimeout(done, 1000));
  job = await ask(\`/jobs/\${job.id}\`);
}
console.log(job.status, job.output ?? job.error);
`,
};
