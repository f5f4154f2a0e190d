// `node --import ./door.mjs PROGRAM`: every request that a server of this program answers is one line on its output.
import http from "node:http";

const { emit } = http.Server.prototype;

http.Server.prototype.emit = function (event, request, response) {
  if (event === "request") note(request, response);
  return emit.apply(this, arguments);
};

function note({ method, url: target, headers }, response) {
  const { writeHead } = response;
  response.writeHead = function (status, ...rest) {
    const { host, authorization, "user-agent": agent } = headers;
    if (status >= 200) console.log("HEARD " + JSON.stringify({ method, host, target, status, agent, authorization }));
    return writeHead.call(this, status, ...rest);
  };
}
