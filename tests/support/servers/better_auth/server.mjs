// better-auth with its MCP plugin: an authorization server under /api/auth (an issuer with a path) and the MCP server
// on one origin. Its login and consent pages fill themselves in.
//   PORT  where it listens
import http from "node:http";
import { mcp, requireMcpAuth } from "@better-auth/mcp";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { z } from "zod";

const { PORT } = process.env;
const ORIGIN = `http://localhost:${PORT}`;
const RESOURCE = `${ORIGIN}/mcp`;
const ADA = { email: "ada@example.com", password: "the password of one run" };
const TABLES = `user session account verification jwks rateLimit oauthClient oauthResource oauthClientResource
  oauthAccessToken oauthRefreshToken oauthConsent oauthClientAssertion`;

const auth = betterAuth({
  baseURL: ORIGIN,
  secret: "the secret of one run and no other",
  database: memoryAdapter(Object.fromEntries(TABLES.split(/\s+/).map((name) => [name, []]))),
  emailAndPassword: { enabled: true },
  trustedOrigins: ["*"],
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  advanced: { disableCSRFCheck: true },
  plugins: [
    jwt(),
    mcp({
      loginPage: "/login",
      consentPage: "/consent",
      resource: RESOURCE,
      allowDynamicClientRegistration: true,
      allowUnauthenticatedClientRegistration: true,
      scopes: ["openid", "profile", "email", "offline_access", "mcp:read"],
    }),
  ],
});
await auth.api.signUpEmail({ body: { ...ADA, name: "Ada" } });

async function answered(request) {
  const server = new McpServer({ name: "better-auth", version: "1.0.0" });
  const inputSchema = { a: z.number(), b: z.number() };
  server.registerTool("add", { description: "Adds two numbers.", inputSchema }, async ({ a, b }) => ({ content: [{ type: "text", text: `${a + b}` }] }));
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  await server.connect(transport);
  return transport.handleRequest(request);
}
const guarded = requireMcpAuth(auth, answered, { resource: RESOURCE, requiredScopes: ["mcp:read"] });

async function mcpRequest(request, response, url) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : Buffer.concat(chunks);
  const answer = await guarded(new Request(url, { method: request.method, headers: request.headers, body }));
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(Buffer.from(await answer.arrayBuffer()));
}

async function page(request, response, url, path, fields) {
  const headers = { "content-type": "application/json", accept: "application/json", origin: ORIGIN, cookie: request.headers.cookie ?? "" };
  const body = JSON.stringify({ ...fields, oauth_query: url.search.slice(1) });
  const answer = await auth.handler(new Request(`${ORIGIN}/api/auth${path}`, { method: "POST", headers, body }));
  const text = await answer.text();
  const said = text.startsWith("{") ? JSON.parse(text) : {};
  const location = said.url ?? said.redirect_uri ?? said.redirectURI ?? answer.headers.get("location");
  const cookies = { "set-cookie": answer.headers.getSetCookie() };
  response.writeHead(location ? 302 : 500, location ? { location, ...cookies } : cookies);
  response.end(location ? "" : text);
}

const rest = toNodeHandler(auth);
const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, ORIGIN);
  try {
    if (url.pathname === "/mcp") await mcpRequest(request, response, url);
    else if (url.pathname === "/login") await page(request, response, url, "/sign-in/email", ADA);
    else if (url.pathname === "/consent") await page(request, response, url, "/oauth2/consent", { accept: true });
    else await rest(request, response);
  } catch (error) {
    console.log(error);
    response.writeHead(500).end(String(error));
  }
});
server.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
