// workers-oauth-provider 1.x with agents' McpAgent: protected resource metadata, tokens bound to one exact resource.
//   RESOURCE  the MCP URL; its last part is the path, `/mcp` or `/sse`
import { OAuthProvider } from "@cloudflare/workers-oauth-provider";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpAgent } from "agents/mcp";
import { env as settings } from "cloudflare:workers";
import { z } from "zod";
import { behindTheDoor } from "./door";

const { RESOURCE } = settings as any;
const { origin, pathname } = new URL(RESOURCE);

export class Adder extends McpAgent<any, any, any> {
  server = new McpServer({ name: "cloudflare-1", version: "1.0.0" });
  async init() {
    const inputSchema = { a: z.number(), b: z.number() };
    this.server.registerTool("add", { description: "Adds two numbers.", inputSchema }, async ({ a, b }: any) => ({ content: [{ type: "text", text: `${a + b}` }] }));
  }
}

const consent = {
  async fetch(request: Request, env: any) {
    if (new URL(request.url).pathname !== "/authorize") return new Response("Not found", { status: 404 });
    let asked;
    try {
      asked = await env.OAUTH_PROVIDER.parseAuthRequest(request);
    } catch (error: any) {
      return new Response(`${error.code} ${error.description ?? error.message}`, { status: 400 });
    }
    const granted = { request: asked, userId: "ada", metadata: {}, scope: asked.scope, props: { email: "ada@example.com" } };
    const { redirectTo } = await env.OAUTH_PROVIDER.completeAuthorization(granted);
    return Response.redirect(redirectTo, 302);
  },
};

export default behindTheDoor(
  new OAuthProvider({
    apiRoute: pathname,
    apiHandler: (pathname === "/sse" ? Adder.serveSSE("/sse") : Adder.serve("/mcp")) as any,
    defaultHandler: consent as any,
    authorizeEndpoint: "/authorize",
    tokenEndpoint: "/token",
    clientRegistrationEndpoint: "/register",
    scopesSupported: ["mcp:read", "offline_access"],
    requiredScopes: ["mcp:read"],
    resourceMetadata: { resource: RESOURCE, authorization_servers: [origin] },
  } as any),
);
