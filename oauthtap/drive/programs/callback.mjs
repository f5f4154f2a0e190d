// The part a program that embeds a JavaScript SDK has to bring: a callback on loopback, a browser, a memory.
import http from "node:http";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";

const PATIENCE = 1000 * Number(process.env.OAUTHTAP_PATIENCE ?? "25");

/** Listens, and gives an OAuth client provider with where its answer arrives: `{provider, kept, answer}`. */
export async function signIn(clientName) {
  let arrived;
  const response = new Promise((resolve) => (arrived = resolve));
  const server = http.createServer((request, answer) => {
    answer.end("ok");
    arrived(new URL(request.url, "http://localhost").searchParams);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const redirectUrl = `http://localhost:${server.address().port}/callback`;
  const kept = {};
  const provider = {
    redirectUrl,
    clientMetadata: {
      client_name: clientName,
      redirect_uris: [redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    state: () => (kept.state ??= randomUUID()),
    saveState: (state) => void (kept.state = state),
    storedState: () => kept.state,
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    redirectToAuthorization: (url) => void spawn(process.env.BROWSER, [String(url)]),
  };
  const answer = async () => {
    const late = new Promise((_, reject) =>
      setTimeout(() => reject(new Error("no callback came")), PATIENCE).unref(),
    );
    const found = await Promise.race([response, late]);
    if (found.get("error")) throw new Error(`authorization error: ${found}`);
    return found;
  };
  return { provider, kept, answer };
}

/** Runs it to its end; what went wrong is said in a line, without the way there, and exit code 1. */
export async function run(work) {
  try {
    await work();
    process.exit(0);
  } catch (error) {
    console.log(`FAILED ${error?.name}: ${error?.message}${error?.cause ? `: ${error.cause.message}` : ""}`);
    process.exit(1);
  }
}
