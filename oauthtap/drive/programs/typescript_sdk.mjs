// Signs in with the TypeScript SDK and lists tools; with TOOL JSON it calls one as well:
//   node typescript_sdk.mjs NODE_MODULES 1|2 URL http|sse [TOOL JSON]
import { pathToFileURL } from "node:url";
import { run, signIn } from "./callback.mjs";

const [modules, major, address, transport, tool, given] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/${path}`));

await run(async () => {
  const sdk =
    major === "1"
      ? Object.assign(
          {},
          ...(await Promise.all(
            ["index", "streamableHttp", "sse", "auth"].map((name) => load(`sdk/dist/esm/client/${name}.js`)),
          )),
        )
      : await load("client/dist/index.mjs");
  const { provider, kept, answer } = await signIn(`oauthtap drive, TypeScript SDK ${major}`);
  if (major === "2") {
    provider.discoveryState = () => kept.discovery;
    provider.saveDiscoveryState = (state) => void (kept.discovery = state);
  }
  const Transport = transport === "sse" ? sdk.SSEClientTransport : sdk.StreamableHTTPClientTransport;
  const opened = () => new Transport(new URL(address), { authProvider: provider });
  const made = () => new sdk.Client({ name: "oauthtap-drive", version: "1.0.0" });

  let client = made();
  const first = opened();
  try {
    await client.connect(first);
  } catch (error) {
    if (!(error instanceof sdk.UnauthorizedError)) throw error;
    const found = await answer();
    await first.finishAuth(major === "2" ? found : found.get("code"));
    client = made();
    await client.connect(opened());
  }
  const tools = (await client.listTools()).tools.map((one) => one.name);
  if (tool) {
    const called = await client.callTool({ name: tool, arguments: JSON.parse(given) });
    console.log(`CALLED ${called.content[0].text}`);
  }
  console.log(`TOOLS ${JSON.stringify(tools)}`);
});
