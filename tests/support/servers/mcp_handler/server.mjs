// mcp-handler as a resource server, on plain node:http. It trusts the tokens of ISSUER by issuer and audience.
//   PORT  where it listens        ISSUER  whom it trusts
import http from "node:http";
import { createMcpHandler, protectedResourceHandler, withMcpAuth } from "mcp-handler";
import { z } from "zod";

const { ISSUER, PORT } = process.env;
const RESOURCE = `http://localhost:${PORT}/mcp`;
const PRM = "/.well-known/oauth-protected-resource";
const handler = createMcpHandler(
  (server) => {
    const inputSchema = { a: z.number(), b: z.number() };
    server.registerTool("add", { description: "Adds two numbers.", inputSchema }, async ({ a, b }) => ({ content: [{ type: "text", text: `${a + b}` }] }));
  },
  {},
  { basePath: "", disableSse: true },
);

async function verify(request, token) {
  if (!token) return undefined;
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  if (claims.iss !== ISSUER || ![claims.aud].flat().includes(RESOURCE)) return undefined;
  return { token, scopes: (claims.scope ?? "").split(" "), clientId: claims.client_id, expiresAt: claims.exp };
}
const guarded = withMcpAuth(handler, verify, { required: true, resourceMetadataPath: `${PRM}/mcp` });
const metadata = protectedResourceHandler({ authServerUrls: [ISSUER], resourceUrl: RESOURCE });

http
  .createServer(async (asked, answered) => {
    const chunks = [];
    for await (const chunk of asked) chunks.push(chunk);
    const body = chunks.length ? { body: Buffer.concat(chunks) } : {};
    const request = new Request(`http://${asked.headers.host}${asked.url}`, { method: asked.method, headers: asked.headers, ...body });
    let response = new Response("Not found", { status: 404 });
    if (asked.url.startsWith(PRM)) response = await metadata(request);
    else if (asked.url.startsWith("/mcp")) response = await guarded(request);
    answered.writeHead(response.status, Object.fromEntries(response.headers));
    if (response.body) for await (const chunk of response.body) answered.write(chunk);
    answered.end();
  })
  .listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
