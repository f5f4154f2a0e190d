// An authorization server on an origin of its own whose issuer has a path: panva's oidc-provider with dynamic
// registration, PKCE and resource indicators. Whoever signs in is let in at once.
//   PORT  where it listens   ISSUER  http://localhost:PORT/PATH   RESOURCE  the one resource it issues tokens for
//   REDIRECT  the redirect URI of the client that is registered beforehand (an OAuth proxy's)
import express from "express";
import Provider, { errors } from "oidc-provider";

const { PORT, ISSUER, RESOURCE, REDIRECT } = process.env;
const OPENID = "openid offline_access email profile";
const SCOPES = "mcp:read mcp:write";
const prefix = new URL(ISSUER).pathname;

const provider = new Provider(ISSUER, {
  clients: REDIRECT
    ? [{ client_id: "proxy", client_secret: "secret-of-the-proxy", redirect_uris: [REDIRECT], grant_types: ["authorization_code", "refresh_token"] }]
    : [],
  clientAuthMethods: ["none", "client_secret_basic", "client_secret_post"],
  pkce: { required: () => true },
  scopes: `${OPENID} ${SCOPES}`.split(" "),
  claims: { email: ["email"], profile: ["name"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: "ada@example.com", name: "Ada" }) }),
  ttl: { AccessToken: 3600, RefreshToken: 86400, Interaction: 600, Session: 3600, Grant: 86400 },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    registrationManagement: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo(_, resource) {
        if (resource !== RESOURCE) throw new errors.InvalidTarget(`${resource} is not known here`);
        return { scope: SCOPES, audience: resource, accessTokenFormat: "jwt", accessTokenTTL: 3600, jwt: { sign: { alg: "RS256" } } };
      },
    },
  },
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope(`${OPENID} ${SCOPES}`);
    for (const resource of [oidc.params.resource ?? RESOURCE].flat()) grant.addResourceScope(resource, `${SCOPES} ${OPENID}`);
    await grant.save();
    return grant;
  },
  interactions: { url: (_, { uid }) => `${prefix}/interaction/${uid}` },
  rotateRefreshToken: true,
  issueRefreshToken: async (_, client) => client.grantTypeAllowed("refresh_token"),
  cookies: { keys: ["the key of one run"] },
  renderError(context, problem) {
    context.type = "json";
    context.body = problem;
  },
});
for (const event of ["server_error", "authorization.error", "grant.error", "registration_create.error"])
  provider.on(event, (_, error) => console.log(event, error.message, error.error_description ?? ""));

const app = express();
app.use((request, _, next) => {
  // RFC 8414 inserts the path where OpenID Connect appends it; one document for both
  if (request.url === `/.well-known/oauth-authorization-server${prefix}`)
    request.url = request.originalUrl = `${prefix}/.well-known/openid-configuration`;
  next();
});
app.get(`${prefix}/interaction/:uid`, async (request, response) => {
  const { prompt } = await provider.interactionDetails(request, response);
  const result = prompt.name === "login" ? { login: { accountId: "ada" } } : { consent: {} };
  response.redirect(await provider.interactionResult(request, response, result));
});
app.use(prefix, provider.callback());
app.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
