// The protocol's own TypeScript client at a server of ours; it tells what it got as one JSON object.
//
//     node official_client.mjs SDK_FOLDER http URL TOKEN MARK
//     node official_client.mjs SDK_FOLDER pipes MARK COMMAND...

import { existsSync } from "node:fs";
import { setTimeout as after } from "node:timers/promises";

const [folder, way, ...rest] = process.argv.slice(2);
const part = (name) => import(`${folder}/dist/esm/${name}.js`);
const { Client } = await part("client/index");

async function transport() {
  if (way === "http") {
    const { StreamableHTTPClientTransport } = await part("client/streamableHttp");
    const headers = { Authorization: `Bearer ${rest[1]}` };
    return new StreamableHTTPClientTransport(new URL(rest[0]), { requestInit: { headers } });
  }
  const { StdioClientTransport } = await part("client/stdio");
  return new StdioClientTransport({ command: rest[1], args: rest.slice(2), env: process.env });
}

const mark = way === "http" ? rest[2] : rest[0];
const client = new Client({ name: "official", version: "1" });
await client.connect(await transport());

const { tools } = await client.listTools();
const heard = [];
const total = await client.callTool({ name: "total", arguments: { numbers: [1, 2, 3] } }, undefined, {
  onprogress: (progress) => heard.push(progress.message),
});
const keyed = { name: "double", arguments: { n: 4, idempotency_key: "k" } };
const first = await client.callTool(keyed);
const again = await client.callTool(keyed);
const broken = await client.callTool({ name: "broken", arguments: {} });
const misfit = await client.callTool({ name: "double", arguments: { n: "x" } });
const unknown = await client.callTool({ name: "nothing", arguments: {} }).catch((error) => error);

const giving = new AbortController();
const slow = client
  .callTool({ name: "slow", arguments: { began: mark } }, undefined, { signal: giving.signal })
  .catch((error) => error);
while (!existsSync(mark)) await after(10);
giving.abort("enough");
const cancelled = String(await slow);

console.log(
  JSON.stringify({
    tools: tools.map((tool) => tool.name),
    total,
    heard,
    runs: [first._meta, again._meta],
    broken,
    misfit,
    unknown: { code: unknown.code, message: unknown.message },
    cancelled,
  }),
);
await client.close();
