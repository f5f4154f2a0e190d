// Records a session inside one's own Express (or plain Node) server, for clients that nothing can stand in front of:
//
//     import { recorder } from "./express_recorder.mjs";
//     app.use(recorder("https://mcp.example.com/mcp"));   // first of all middleware
//
// Each request and its answer goes to `oauthtap record`, which redacts it and writes the session.
// Recording never changes an answer, and never stops one.
import { spawn } from "node:child_process";

export function recorder(url, command = "oauthtap", words = []) {
  const child = spawn(command, ["record", url, ...words], { stdio: ["pipe", "inherit", "inherit"] });
  child.on("error", (problem) => console.error(`oauthtap: ${problem.message}`));
  child.stdin.on("error", () => {});
  const pairs = (flat) => flat.flatMap((name, place) => (place % 2 ? [] : [[name, flat[place + 1]]]));
  const seen = (to) => (part) => part && typeof part !== "function" && to.length < 64 && to.push(Buffer.from(part));
  const text = (parts) => Buffer.concat(parts).toString("utf8").slice(0, 256_000);
  return (req, res, next) => {
    const at = Date.now() / 1000, asked = [], answered = [], { emit } = req, { write, end, writeHead } = res;
    let given = {};
    req.emit = (name, ...rest) => (name === "data" && seen(asked)(rest[0]), emit.call(req, name, ...rest));
    res.write = (...rest) => (seen(answered)(rest[0]), write.apply(res, rest));
    res.end = (...rest) => (seen(answered)(rest[0]), end.apply(res, rest));
    res.writeHead = (status, ...rest) => ((given = rest.at(-1) ?? {}), writeHead.call(res, status, ...rest));
    const fromHead = () => (Array.isArray(given) ? pairs(given.flat()) : typeof given === "object" ? Object.entries(given) : []);
    const headers = () => [...Object.entries(res.getHeaders()), ...fromHead()].flatMap(([name, value]) => [value].flat().map((one) => [name, String(one)]));
    const target = req.originalUrl ?? req.url;  // never parsed: `//[` is none, and an exception here would end the server
    res.on("close", () => child.stdin.write(JSON.stringify({
      at, took: Date.now() / 1000 - at,
      request: { method: req.method, url: target.startsWith("/") ? new URL(url).origin + target : target, headers: pairs(req.rawHeaders), body: text(asked) },
      response: { status: res.statusCode, headers: headers(), body: res.getHeader("content-encoding") ? null : text(answered) },
    }) + "\n"));
    next();
  };
}
