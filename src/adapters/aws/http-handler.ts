import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { NodeHttpHandler } from '@smithy/node-http-handler';

/** A connection inside a region stands within milliseconds; one that does not in this time, in milliseconds, will not. */
const CONNECTION_TIMEOUT_MS = 2_000;
/** Request and answer together, in milliseconds: 10 MiB through a slow link, and far below a function's own deadline. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Connections of a client at once. */
const MAX_SOCKETS = 50;

export interface HttpHandlerOptions {
  /** A connection on which nothing moves for so long, in milliseconds, is broken: also in the middle of an answer's body. Default: none. */
  readonly idleTimeoutMs?: number;
}

/**
 * HTTP/1.1 over connections that are kept, with timeouts that throw. The Kinesis client would speak HTTP/2 by itself: one
 * connection for all requests, of which a broken one fails them all; twins of the service speak HTTP/1.1 only.
 */
export function httpHandler({ idleTimeoutMs }: HttpHandlerOptions = {}): NodeHttpHandler {
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS };
  return new NodeHttpHandler({
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    throwOnRequestTimeout: true,
    ...(idleTimeoutMs === undefined ? {} : { socketTimeout: idleTimeoutMs }),
    httpAgent: new HttpAgent(agent),
    httpsAgent: new HttpsAgent(agent),
  });
}
