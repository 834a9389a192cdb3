// A developer's own server, as octokit's README has it: it prints its port, and then what it took.

import { createServer } from "node:http";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";

const webhooks = new Webhooks({ secret: process.env.SECRET });
webhooks.onAny(({ name, payload }) => console.log(`${name}.${payload.action}`));
webhooks.onError(() => {});

const log = { error() {}, warn() {}, info() {}, debug() {} };
const server = createServer(createNodeMiddleware(webhooks, { path: "/hooks", log }));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
