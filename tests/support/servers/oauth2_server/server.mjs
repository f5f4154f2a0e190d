// An authorization server on oauth2-server as its users build one (the library knows neither registration nor metadata),
// and an MCP server on the TypeScript SDK 1.x on the same origin. Consent is given at once.
//   PORT  where it listens   LIBRARY  @node-oauth/oauth2-server (5, with PKCE) or oauth2-server (3, which has none)
import { randomUUID } from "node:crypto";
import express from "express";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

const { LIBRARY, PORT } = process.env;
const { default: OAuth2Server } = await import(LIBRARY);
const ORIGIN = `http://localhost:${PORT}`;
const RESOURCE = `${ORIGIN}/mcp`;
const PRM = "/.well-known/oauth-protected-resource/mcp";
const PKCE = LIBRARY.startsWith("@node-oauth");
const [clients, codes, tokens, refreshed] = [new Map(), new Map(), new Map(), new Map()];

const oauth = new OAuth2Server({
  requireClientAuthentication: { authorization_code: false, refresh_token: false },
  accessTokenLifetime: 3600,
  allowEmptyState: true,
  model: {
    getClient: async (id, secret) => {
      const client = clients.get(id);
      return client && (!client.client_secret || !secret || secret === client.client_secret) ? client : null;
    },
    validateScope: async (user, client, scope) => scope ?? (PKCE ? ["mcp"] : "mcp"),
    saveAuthorizationCode: async (code, client, user) => (codes.set(code.authorizationCode, { ...code, client, user }), codes.get(code.authorizationCode)),
    getAuthorizationCode: async (code) => codes.get(code),
    revokeAuthorizationCode: async ({ authorizationCode }) => codes.delete(authorizationCode),
    saveToken: async (token, client, user) => {
      const made = { ...token, client, user };
      tokens.set(made.accessToken, made);
      refreshed.set(made.refreshToken, made);
      return made;
    },
    getAccessToken: async (token) => tokens.get(token),
    getRefreshToken: async (token) => refreshed.get(token),
    revokeToken: async ({ refreshToken }) => refreshed.delete(refreshToken),
  },
});

const metadata = {
  issuer: ORIGIN,
  authorization_endpoint: `${ORIGIN}/oauth/authorize`,
  token_endpoint: `${ORIGIN}/oauth/token`,
  registration_endpoint: `${ORIGIN}/oauth/register`,
  response_types_supported: ["code"],
  grant_types_supported: ["authorization_code", "refresh_token"],
  token_endpoint_auth_methods_supported: ["none", "client_secret_basic", "client_secret_post"],
  scopes_supported: ["mcp"],
  ...(PKCE ? { code_challenge_methods_supported: ["S256"] } : {}),
};

// What the library's own express wrapper does: its answer, or its error, onto the response.
const wrapped = (answer) => async (request, response) => {
  const [asked, answered] = [new OAuth2Server.Request(request), new OAuth2Server.Response(response)];
  try {
    await answer(asked, answered);
  } catch (error) {
    console.log(error.name, error.message);
    if (!answered.headers.location) {
      return response.set(answered.headers).status(error.code || 500).json({ error: error.name, error_description: error.message });
    }
  }
  if (answered.headers.location) return response.redirect(answered.headers.location);
  return response.set(answered.headers).status(answered.status).json(answered.body);
};

const app = express();
app.use(express.json(), express.urlencoded({ extended: false }));
app.get(PRM, (_, response) => response.json({ resource: RESOURCE, authorization_servers: [ORIGIN], scopes_supported: ["mcp"], bearer_methods_supported: ["header"] }));
app.get("/.well-known/oauth-authorization-server", (_, response) => response.json(metadata));
app.post("/oauth/register", ({ body }, response) => {
  const secret = body.token_endpoint_auth_method === "none" ? {} : { client_secret: randomUUID(), client_secret_expires_at: 0 };
  const client = { ...body, client_id: randomUUID(), client_id_issued_at: Math.floor(Date.now() / 1000), ...secret };
  clients.set(client.client_id, { ...client, id: client.client_id, redirectUris: body.redirect_uris, grants: metadata.grant_types_supported });
  response.status(201).json(client);
});
const authenticateHandler = { handle: async () => ({ id: "ada" }) };
app.get("/oauth/authorize", wrapped((asked, answered) => oauth.authorize(asked, answered, { authenticateHandler })));
app.post("/oauth/token", wrapped((asked, answered) => oauth.token(asked, answered)));

async function verifyAccessToken(token) {
  const found = tokens.get(token);
  if (!found) throw new InvalidTokenError("this token is not known");
  return { token, clientId: found.client.id, scopes: ["mcp"], expiresAt: Math.floor(found.accessTokenExpiresAt / 1000) };
}
const gate = requireBearerAuth({ verifier: { verifyAccessToken }, resourceMetadataUrl: `${ORIGIN}${PRM}` });
app.post("/mcp", gate, async (request, response) => {
  const server = new McpServer({ name: "oauth2-server", version: "1.0.0" });
  const inputSchema = { a: z.number(), b: z.number() };
  server.registerTool("add", { description: "Adds two numbers.", inputSchema }, async ({ a, b }) => ({ content: [{ type: "text", text: `${a + b}` }] }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await server.connect(transport);
  return transport.handleRequest(request, response, request.body);
});
app.all("/mcp", gate, (_, response) => response.status(405).end());
app.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
