// The TypeScript SDK as the suite wants a client: sign in at the URL, call the first tool with whatever it asks.
//   node typescript_client.mjs NODE_MODULES 1|2 URL
import http from "node:http";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";

const [modules, major, address] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/${path}`));
const sdk =
  major === "1"
    ? Object.assign({}, ...(await Promise.all(["index", "streamableHttp", "auth"].map((name) => load(`sdk/dist/esm/client/${name}.js`)))))
    : await load("client/dist/index.mjs");

const answers = [];
const waiting = [];
const callback = http.createServer((request, answer) => {
  answer.end("ok");
  const parameters = new URL(request.url, "http://localhost").searchParams;
  const next = waiting.shift();
  if (next) next(parameters);
  else answers.push(parameters);
});
await new Promise((resolve) => callback.listen(0, "127.0.0.1", resolve));
const redirectUrl = `http://localhost:${callback.address().port}/callback`;

function response() {
  if (answers.length) return Promise.resolve(answers.shift());
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no callback came")), 20_000).unref());
  return Promise.race([new Promise((resolve) => waiting.push(resolve)), late]);
}

const known = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT || "{}");
const kept = {};
if (known.client_id) kept.client = { client_id: known.client_id, client_secret: known.client_secret };
let opened = false;
const provider = {
  redirectUrl,
  clientMetadataUrl: "https://conformance-test.local/client-metadata.json",
  clientMetadata: {
    client_name: `oauthtap, TypeScript SDK ${major}`,
    redirect_uris: [redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
  },
  state: () => randomUUID(),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  redirectToAuthorization(url) {
    opened = true;
    spawn(process.env.BROWSER, [String(url)]);
  },
};
if (major === "2") {
  provider.discoveryState = () => kept.discovery;
  provider.saveDiscoveryState = (state) => void (kept.discovery = state);
}

let client;
let transport = made();

function made() {
  return new sdk.StreamableHTTPClientTransport(new URL(address), { authProvider: provider });
}

// Runs `work`; when it stops for want of a token, waits for the browser's answer and runs it again.
async function signedIn(work, tries = 3) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof sdk.UnauthorizedError) || !tries || !opened) throw error;
    opened = false;
    const answer = await response();
    if (answer.get("error")) throw new Error(`authorization error: ${answer}`);
    await transport.finishAuth(major === "2" ? answer : answer.get("code"));
    return signedIn(work, tries - 1);
  }
}

await signedIn(async () => {
  client = new sdk.Client({ name: "oauthtap-conformance", version: "1.0.0" }, major === "2" ? { versionNegotiation: { mode: "auto" } } : {});
  transport = made();
  await client.connect(transport);
});
const { tools } = await signedIn(() => client.listTools());
const values = { number: 2, integer: 2, boolean: true };
for (const { name, inputSchema } of tools.slice(0, 1)) {
  const asked = Object.entries(inputSchema?.properties ?? {}).map(([key, { type }]) => [key, values[type] ?? "x"]);
  await signedIn(() => client.callTool({ name, arguments: Object.fromEntries(asked) }));
}
await client.close();
process.exit(0);
