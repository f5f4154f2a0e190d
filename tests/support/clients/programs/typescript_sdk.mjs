// Signs in with the TypeScript SDK, lists tools and calls one:
//   node typescript_sdk.mjs NODE_MODULES 1|2 URL http|sse
import http from "node:http";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";

const [modules, major, address, transport] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/${path}`));
const sdk =
  major === "1"
    ? Object.assign(
        {},
        ...(await Promise.all(
          ["index", "streamableHttp", "sse", "auth"].map((name) => load(`sdk/dist/esm/client/${name}.js`)),
        )),
      )
    : await load("client/dist/index.mjs");

let arrived;
const response = new Promise((resolve) => (arrived = resolve));
const callback = http.createServer((request, answer) => {
  answer.end("ok");
  arrived(new URL(request.url, "http://localhost").searchParams);
});
await new Promise((resolve) => callback.listen(0, "127.0.0.1", resolve));
const redirectUrl = `http://localhost:${callback.address().port}/callback`;

const kept = {};
const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: `oauthtap bed, TypeScript SDK ${major}`,
    redirect_uris: [redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state: () => randomUUID(),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  redirectToAuthorization: (url) => void spawn(process.env.BROWSER, [String(url)]),
};
if (major === "2") {
  provider.discoveryState = () => kept.discovery;
  provider.saveDiscoveryState = (state) => void (kept.discovery = state);
}

const Transport = transport === "sse" ? sdk.SSEClientTransport : sdk.StreamableHTTPClientTransport;
const opened = () => new Transport(new URL(address), { authProvider: provider });
const made = () => new sdk.Client({ name: "oauthtap-bed", version: "1.0.0" });

let client = made();
const first = opened();
try {
  await client.connect(first);
} catch (error) {
  if (!(error instanceof sdk.UnauthorizedError)) throw error;
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no callback came")), 25_000).unref());
  const answer = await Promise.race([response, late]);
  if (answer.get("error")) throw new Error(`authorization error: ${answer}`);
  await first.finishAuth(major === "2" ? answer : answer.get("code"));
  client = made();
  await client.connect(opened());
}
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const called = await client.callTool({ name: "add", arguments: { a: 2, b: 3 } });
if (called.content[0].text !== "5") throw new Error(JSON.stringify(called));
console.log("TOOLS " + JSON.stringify(tools));
process.exit(0);
