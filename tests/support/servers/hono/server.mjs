// Hono with @hono/mcp: its authorization router (consent is given at once) and a guarded MCP server on one origin.
//   PORT  where it listens
import { randomBytes } from "node:crypto";
import { StreamableHTTPTransport } from "@hono/mcp";
import { bearerAuth, mcpAuthRouter } from "@hono/mcp/auth";
import { serve } from "@hono/node-server";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { Hono } from "hono";
import { z } from "zod";

const { PORT } = process.env;
const ORIGIN = `http://localhost:${PORT}`;
const [clients, codes, tokens] = [new Map(), new Map(), new Map()];
const secret = (prefix) => `${prefix}_${randomBytes(16).toString("hex")}`;

function issue(client, scopes, resource) {
  const token = secret("at");
  const expiresAt = Math.floor(Date.now() / 1000) + 3600;
  tokens.set(token, { token, clientId: client.client_id, scopes, resource, expiresAt });
  return { access_token: token, token_type: "Bearer", expires_in: 3600, refresh_token: secret("rt"), scope: scopes.join(" ") };
}

const provider = {
  clientsStore: {
    getClient: async (id) => clients.get(id),
    registerClient: async (client) => (clients.set(client.client_id, client), client),
  },
  async authorize(client, asked, context) {
    const code = secret("c");
    codes.set(code, asked);
    const back = new URL(asked.redirectUri);
    back.searchParams.set("code", code);
    if (asked.state) back.searchParams.set("state", asked.state);
    return (context.res = context.redirect(back.toString()));
  },
  challengeForAuthorizationCode: async (client, code) => codes.get(code).codeChallenge,
  async exchangeAuthorizationCode(client, code) {
    const asked = codes.get(code);
    codes.delete(code);
    return issue(client, asked.scopes ?? ["mcp"], asked.resource);
  },
  exchangeRefreshToken: async (client, token, scopes) => issue(client, scopes ?? ["mcp"]),
  verifyAccessToken: async (token) => tokens.get(token),
  revokeToken: async () => {},
};

const app = new Hono();
const unlimited = { rateLimit: false };
app.route(
  "/",
  mcpAuthRouter({
    provider,
    issuerUrl: ORIGIN,
    resourceServerUrl: new URL(`${ORIGIN}/mcp`),
    scopesSupported: ["mcp"],
    authorizationOptions: unlimited,
    clientRegistrationOptions: unlimited,
    tokenOptions: unlimited,
  }),
);
const verifyToken = async (token, context) => {
  const found = tokens.get(token);
  if (found) context.set("auth", found);
  return Boolean(found);
};
app.all("/mcp", bearerAuth({ verifyToken }), async (context) => {
  const server = new McpServer({ name: "hono", version: "1.0.0" });
  const inputSchema = { a: z.number(), b: z.number() };
  server.registerTool("add", { description: "Adds two numbers.", inputSchema }, async ({ a, b }) => ({ content: [{ type: "text", text: `${a + b}` }] }));
  const transport = new StreamableHTTPTransport();
  await server.connect(transport);
  return transport.handleRequest(context);
});
serve({ fetch: app.fetch, port: Number(PORT), hostname: "127.0.0.1" }, () => console.log("ready"));
