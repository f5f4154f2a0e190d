// An MCP server on the TypeScript SDK 1.x that takes the tokens of another origin's authorization server.
//   PORT  where it listens   RESOURCE  its MCP URL   ISSUER  whom it trusts   SCOPES  what it asks for, the first is needed
//   USERINFO  a token is good when the issuer's userinfo endpoint takes it: for issuers whose tokens are opaque
import express from "express";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from "@modelcontextprotocol/sdk/server/auth/router.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

const { PORT, RESOURCE, ISSUER, USERINFO } = process.env;
const scopes = (process.env.SCOPES ?? "mcp:read mcp:write").split(" ");
const oauthMetadata = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json();
const keys = createRemoteJWKSet(new URL(oauthMetadata.jwks_uri));
const resource = new URL(RESOURCE);

async function verifyAccessToken(token) {
  if (USERINFO) {
    const { status } = await fetch(oauthMetadata.userinfo_endpoint, { headers: { authorization: `Bearer ${token}` } });
    if (status !== 200) throw new InvalidTokenError(`userinfo answers ${status}`);
    return { token, clientId: "unknown", scopes, expiresAt: Math.floor(Date.now() / 1000) + 60 };
  }
  try {
    const { payload } = await jwtVerify(token, keys, { issuer: ISSUER, audience: RESOURCE });
    return { token, clientId: payload.client_id, scopes: (payload.scope ?? "").split(" "), expiresAt: payload.exp };
  } catch (error) {
    throw new InvalidTokenError(`token rejected: ${error.message}`);
  }
}

function made() {
  const server = new McpServer({ name: "typescript-sdk-1", version: "1.0.0" });
  const inputSchema = { a: z.number(), b: z.number() };
  server.registerTool("add", { description: "Adds two numbers.", inputSchema }, async ({ a, b }) => ({ content: [{ type: "text", text: `${a + b}` }] }));
  return server;
}

const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(resource);
const gate = requireBearerAuth({ verifier: { verifyAccessToken }, requiredScopes: scopes.slice(0, 1), resourceMetadataUrl });
const sessions = {};
const app = express();
app.use(express.json());
app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: resource, scopesSupported: scopes }));
app.all(resource.pathname, gate, async (request, response) => {
  const id = request.headers["mcp-session-id"];
  if (id && sessions[id]) return sessions[id].handleRequest(request, response, request.body);
  if (id) return response.status(404).json({ jsonrpc: "2.0", error: { code: -32001, message: "Session not found" }, id: null });
  if (request.method !== "POST") return response.status(405).end();
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
    onsessioninitialized: (begun) => void (sessions[begun] = transport),
  });
  await made().connect(transport);
  return transport.handleRequest(request, response, request.body);
});
app.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
