// The door of a worker: every request that its OAuth provider answers is one line on the log, with the audience
// that the provider keeps for the token that came with it.
export function behindTheDoor(provider: any) {
  return {
    async fetch(request: Request, env: any, context: any) {
      const { method, headers, url } = request;
      const authorization = headers.get("authorization");
      const response: Response = await provider.fetch(request, env, context);
      const { host, pathname: target } = new URL(url);
      const audience = await bound(env, authorization?.split(" ")[1] ?? "");
      const agent = headers.get("user-agent");
      console.log("HEARD " + JSON.stringify({ method, host, target, status: response.status, agent, audience }));
      return response;
    },
  };
}

async function bound(env: any, token: string) {
  const [user, grant] = token.split(":");
  if (!grant) return undefined;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const id = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const kept: any = await env.OAUTH_KV.get(`token:${user}:${grant}:${id}`, { type: "json" });
  return kept?.audience;
}
