// An MCP server on the TypeScript SDK 2.x (it speaks 2026-07-28 and older) that takes the tokens of another origin.
//   PORT  where it listens   RESOURCE  its MCP URL   ISSUER  whom it trusts
import { createRemoteJWKSet, jwtVerify } from "jose";
import { createMcpExpressApp, getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter, requireBearerAuth } from "@modelcontextprotocol/express";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer, OAuthError, OAuthErrorCode } from "@modelcontextprotocol/server";
import { z } from "zod";

const { PORT, RESOURCE, ISSUER } = process.env;
const oauthMetadata = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json();
const keys = createRemoteJWKSet(new URL(oauthMetadata.jwks_uri));
const resource = new URL(RESOURCE);

async function verifyAccessToken(token) {
  try {
    const { payload } = await jwtVerify(token, keys, { issuer: ISSUER, audience: RESOURCE });
    return { token, clientId: payload.client_id, scopes: (payload.scope ?? "").split(" "), expiresAt: payload.exp };
  } catch (error) {
    throw new OAuthError(OAuthErrorCode.InvalidToken, `token rejected: ${error.message}`);
  }
}

function made() {
  const server = new McpServer({ name: "typescript-sdk-2", version: "1.0.0" });
  const inputSchema = z.object({ a: z.number(), b: z.number() });
  server.registerTool("add", { description: "Adds two numbers.", inputSchema }, async ({ a, b }) => ({ content: [{ type: "text", text: `${a + b}` }] }));
  return server;
}

const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(resource);
const gate = requireBearerAuth({ verifier: { verifyAccessToken }, requiredScopes: ["mcp:read"], resourceMetadataUrl });
const handler = toNodeHandler(createMcpHandler(made));
const app = createMcpExpressApp();
app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: resource, scopesSupported: ["mcp:read", "mcp:write"] }));
app.all(resource.pathname, gate, (request, response) => handler(request, response, request.body));
app.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
