// An open MCP server with the tools, resources and prompts that the suite's server scenarios ask for, on the TypeScript
// SDK 1.x. No sign-in: here the streams count, the requests that go from server to client, and the headers.
//   PORT  where it listens
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { McpServer, ResourceTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { completable } from "@modelcontextprotocol/sdk/server/completable.js";
import { z } from "zod";

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";
const text = (said) => ({ type: "text", text: said });
const image = { type: "image", data: PNG, mimeType: "image/png" };
const embedded = (uri, mimeType, said) => ({ type: "resource", resource: { uri, mimeType, text: said } });
const said = (...content) => ({ content });

const SINGLE = ["option1", "option2", "option3"];
const titled = (names) => names.map((title, at) => ({ const: `value${at + 1}`, title }));
const ENUMS = {
  untitledSingle: { type: "string", enum: SINGLE },
  titledSingle: { type: "string", oneOf: titled(["First Option", "Second Option", "Third Option"]) },
  legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] },
  untitledMulti: { type: "array", items: { type: "string", enum: SINGLE } },
  titledMulti: { type: "array", items: { anyOf: titled(["First Choice", "Second Choice", "Third Choice"]) } },
};
const DEFAULTS = {
  name: { type: "string", default: "John Doe" },
  age: { type: "integer", default: 30 },
  score: { type: "number", default: 95.5 },
  status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
  verified: { type: "boolean", default: true },
};

function addTools(server) {
  const tool = (name, work, inputSchema = {}) => server.registerTool(name, { description: name, inputSchema }, work);
  const elicit = (message, properties, required = []) =>
    server.server.elicitInput({ message, requestedSchema: { type: "object", properties, required } });

  tool("test_simple_text", () => said(text("This is a simple text response for testing.")));
  tool("test_image_content", () => said(image));
  tool("test_audio_content", () => said({ type: "audio", data: WAV, mimeType: "audio/wav" }));
  tool("test_embedded_resource", () =>
    said(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
  );
  tool("test_multiple_content_types", () =>
    said(
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ),
  );
  tool("test_error_handling", () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  tool("test_tool_with_logging", async (_, { sendNotification }) => {
    for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await sendNotification({ method: "notifications/message", params: { level: "info", data } });
      await pause(50);
    }
    return said(text("logged"));
  });
  tool("test_tool_with_progress", async (_, { sendNotification, _meta }) => {
    const progressToken = _meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined)
        await sendNotification({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
      await pause(50);
    }
    return said(text(String(progressToken)));
  });
  tool(
    "test_sampling",
    async ({ prompt }) => {
      const asked = { messages: [{ role: "user", content: text(prompt) }], maxTokens: 100 };
      const { content } = await server.server.createMessage(asked);
      return said(text(`LLM response: ${content.text}`));
    },
    { prompt: z.string() },
  );
  tool(
    "test_elicitation",
    async ({ message }) => {
      const fields = { username: { type: "string", description: "User's response" }, email: { type: "string", description: "User's email address" } };
      const { action, content } = await elicit(message, fields, ["username", "email"]);
      return said(text(`User response: action=${action}, content=${JSON.stringify(content ?? {})}`));
    },
    { message: z.string() },
  );
  for (const [name, fields] of [["test_elicitation_sep1034_defaults", DEFAULTS], ["test_elicitation_sep1330_enums", ENUMS]])
    tool(name, async () => {
      const { action, content } = await elicit("Please answer", fields);
      return said(text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`));
    });
  // Ends the stream in the middle of the call: the client has to come back for the answer.
  tool("test_reconnection", async (_, { closeSSEStream }) => {
    closeSSEStream?.();
    await pause(100);
    return said(text("Reconnection test completed successfully."));
  });
}

function addResources(server) {
  const described = { description: "one of the suite's", mimeType: "text/plain" };
  server.registerResource("static-text", "test://static-text", described, ({ href }) => ({
    contents: [{ uri: href, mimeType: "text/plain", text: "This is the content of the static text resource." }],
  }));
  server.registerResource("static-binary", "test://static-binary", { ...described, mimeType: "image/png" }, ({ href }) => ({
    contents: [{ uri: href, mimeType: "image/png", blob: PNG }],
  }));
  server.registerResource("watched", "test://watched-resource", described, ({ href }) => ({ contents: [{ uri: href, text: "watched" }] }));
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  server.registerResource("template", template, { ...described, mimeType: "application/json" }, ({ href }, { id }) => ({
    contents: [{ uri: href, mimeType: "application/json", text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }],
  }));
  server.server.registerCapabilities({ resources: { subscribe: true } });
  for (const schema of [SubscribeRequestSchema, UnsubscribeRequestSchema]) server.server.setRequestHandler(schema, () => ({}));
}

function addPrompts(server) {
  const user = (...contents) => ({ messages: contents.map((content) => ({ role: "user", content })) });
  const prompt = (name, work, argsSchema) => server.registerPrompt(name, { description: name, argsSchema }, work);
  prompt("test_simple_prompt", () => user(text("This is a simple prompt for testing.")));
  const places = ["paris", "park", "party"];
  const arg1 = completable(z.string(), (begun) => places.filter((place) => place.startsWith(begun)));
  prompt("test_prompt_with_arguments", (given) => user(text(`Prompt with arguments: arg1='${given.arg1}', arg2='${given.arg2}'`)), { arg1, arg2: z.string() });
  prompt(
    "test_prompt_with_embedded_resource",
    ({ resourceUri }) => user(embedded(resourceUri, "text/plain", "Embedded resource content for testing."), text("Please process the embedded resource above.")),
    { resourceUri: z.string() },
  );
  prompt("test_prompt_with_image", () => user(image, text("Please analyze the image above.")));
}

// What a stream said so far, so that a client which lost it can go on behind the last event it has.
class Events {
  kept = [];
  async storeEvent(stream, message) {
    const id = `${stream}_${this.kept.length}`;
    this.kept.push({ id, stream, message });
    return id;
  }
  async replayEventsAfter(last, { send }) {
    const from = this.kept.findIndex(({ id }) => id === last);
    const { stream } = this.kept[from];
    for (const event of this.kept.slice(from + 1)) if (event.stream === stream) await send(event.id, event.message);
    return stream;
  }
}

const sessions = {};
const app = createMcpExpressApp();
app.all("/mcp", async (request, response) => {
  const id = request.headers["mcp-session-id"];
  if (id && sessions[id]) return sessions[id].handleRequest(request, response, request.body);
  if (id) return response.status(404).json({ jsonrpc: "2.0", error: { code: -32001, message: "Session not found" }, id: null });
  const server = new McpServer({ name: "conformance", version: "1.0.0" }, { capabilities: { logging: {} } });
  for (const add of [addTools, addResources, addPrompts]) add(server);
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (begun) => void (sessions[begun] = transport),
    onsessionclosed: (ended) => void delete sessions[ended],
    eventStore: new Events(),
    retryInterval: 200,
  });
  await server.connect(transport);
  return transport.handleRequest(request, response, request.body);
});
app.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("ready"));
