// Signs in with openid-client, which pushes its authorization request (RFC 9126), and asks the MCP server with the token:
//   node openid_client.mjs NODE_MODULES CALLBACK.MJS URL
import { pathToFileURL } from "node:url";

const [modules, callback, address] = process.argv.slice(2);
const oauth = await import(pathToFileURL(`${modules}/openid-client/build/index.js`));
const { run, signIn } = await import(pathToFileURL(callback));

await run(async () => {
  const { provider, answer } = await signIn("openid-client");
  const config = await oauth.dynamicClientRegistration(
    new URL(new URL(address).origin),
    provider.clientMetadata,
    oauth.None(),
    { algorithm: "oauth2", execute: [oauth.allowInsecureRequests] },
  );
  const [pkceCodeVerifier, expectedState] = [oauth.randomPKCECodeVerifier(), oauth.randomState()];
  const opened = await oauth.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: provider.redirectUrl,
    code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    resource: address,
  });
  console.log(`PUSHED ${opened.searchParams.has("request_uri")}`);
  provider.redirectToAuthorization(opened);
  const back = new URL(`${provider.redirectUrl}?${await answer()}`);
  const tokens = await oauth.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState }, { resource: address });
  const hello = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "pushes", version: "1" } };
  const said = await fetch(address, {
    method: "POST",
    headers: {
      Accept: "application/json, text/event-stream",
      Authorization: `Bearer ${tokens.access_token}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: hello }),
  });
  console.log(`CONNECTED ${said.status}`);
});
