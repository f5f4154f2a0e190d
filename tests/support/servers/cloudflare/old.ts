// workers-oauth-provider 0.1 with the agents package of its time: `/mcp` and `/sse`, no protected resource metadata.
import OAuthProvider from "@cloudflare/workers-oauth-provider";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpAgent } from "agents/mcp";
import { z } from "zod";
import { behindTheDoor } from "./door";

export class Adder extends McpAgent<any, any, any> {
  server = new McpServer({ name: "cloudflare-0.1", version: "1.0.0" });
  async init() {
    this.server.tool("add", { a: z.number(), b: z.number() }, async ({ a, b }) => ({ content: [{ type: "text", text: `${a + b}` }] }));
  }
}

const consent = {
  async fetch(request: Request, env: any) {
    if (new URL(request.url).pathname !== "/authorize") return new Response("Not found", { status: 404 });
    const asked = await env.OAUTH_PROVIDER.parseAuthRequest(request);
    if (!(await env.OAUTH_PROVIDER.lookupClient(asked.clientId))) return new Response("Invalid client", { status: 400 });
    const granted = { request: asked, userId: "ada", metadata: {}, scope: asked.scope, props: { email: "ada@example.com" } };
    const { redirectTo } = await env.OAUTH_PROVIDER.completeAuthorization(granted);
    return Response.redirect(redirectTo, 302);
  },
};

export default behindTheDoor(
  new OAuthProvider({
    apiHandlers: { "/sse": Adder.serveSSE("/sse") as any, "/mcp": Adder.serve("/mcp") as any },
    defaultHandler: consent as any,
    authorizeEndpoint: "/authorize",
    tokenEndpoint: "/token",
    clientRegistrationEndpoint: "/register",
  }),
);
