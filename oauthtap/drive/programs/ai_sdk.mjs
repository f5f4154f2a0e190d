// Signs in with the AI SDK's MCP client and lists tools: node ai_sdk.mjs NODE_MODULES URL http|sse
import { pathToFileURL } from "node:url";
import { run, signIn } from "./callback.mjs";

const [modules, url, transport] = process.argv.slice(2);

await run(async () => {
  const sdk = await import(pathToFileURL(`${modules}/@ai-sdk/mcp/dist/index.mjs`)).catch(
    () => import(pathToFileURL(`${modules}/@ai-sdk/mcp/dist/index.js`)),
  );
  const { provider, answer } = await signIn("oauthtap drive, AI SDK");
  const create = sdk.createMCPClient ?? sdk.experimental_createMCPClient;
  const opened = () => create({ transport: { type: transport, url, authProvider: provider } });
  const client = await opened().catch(async (error) => {
    if (error?.name !== "UnauthorizedError") throw error;
    const found = await answer();
    await sdk.auth(provider, {
      serverUrl: url,
      authorizationCode: found.get("code"),
      callbackState: found.get("state"),
    });
    return opened();
  });
  console.log(`TOOLS ${JSON.stringify(Object.keys(await client.tools()))}`);
  await client.close();
});
