import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MAX_PAYLOAD_BYTES } from './function-call.ts';

/** What a runtime is handed with an event. */
export interface RuntimeInvocation {
  readonly requestId: string;
  /** The event, as JSON. */
  readonly payload: string;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  readonly functionArn: string;
  readonly traceId: string;
}

/** What a runtime posts: its answer as JSON, or its error. */
export type RuntimeOutcome =
  | { readonly kind: 'answered'; readonly payload: string }
  | { readonly kind: 'failed'; readonly errorType: string; readonly errorMessage: string };

interface Running {
  readonly invocation: RuntimeInvocation;
  readonly settle: (outcome: RuntimeOutcome) => void;
}

const PREFIX = '/2018-06-01/runtime';

/**
 * Lambda's Runtime API (2018-06-01) for one execution environment, on loopback: a runtime asks for the next event, posts
 * its answer or error, and asks again. Every environment has a server of its own, as on Lambda: a runtime's requests say
 * nothing of who asks.
 */
export class RuntimeApiServer {
  readonly #server = createServer((request, response) => {
    this.#handle(request, response).catch(() => response.destroy());
  });
  readonly #initialized = Promise.withResolvers<RuntimeOutcome | null>();
  #waiting: ServerResponse | null = null;
  #running: Running | null = null;
  #nextAsked = Promise.withResolvers<void>();

  static async start(): Promise<RuntimeApiServer> {
    const api = new RuntimeApiServer();
    // A runtime keeps its connection over a pause of any length.
    api.#server.keepAliveTimeout = 0;
    api.#server.requestTimeout = 0;
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  /** `host:port`, what AWS_LAMBDA_RUNTIME_API holds. */
  get endpoint(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves with `null` when the runtime first asks for an event, or with the error that kept it from that. */
  get initialized(): Promise<RuntimeOutcome | null> {
    return this.#initialized.promise;
  }

  /** Resolves when the runtime is ready for another event. */
  get free(): Promise<void> {
    return this.#nextAsked.promise;
  }

  /** Hands an event to the runtime; resolves when it has posted an answer or an error. */
  async invoke(invocation: RuntimeInvocation): Promise<RuntimeOutcome> {
    await this.free;
    const outcome = Promise.withResolvers<RuntimeOutcome>();
    this.#running = { invocation, settle: outcome.resolve };
    const response = this.#waiting as ServerResponse;
    this.#waiting = null;
    this.#nextAsked = Promise.withResolvers();
    response.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': invocation.requestId,
      'lambda-runtime-deadline-ms': invocation.deadline,
      'lambda-runtime-invoked-function-arn': invocation.functionArn,
      'lambda-runtime-trace-id': invocation.traceId,
    });
    response.end(invocation.payload);
    return outcome.promise;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    if (request.method === 'GET' && path === `${PREFIX}/invocation/next`) {
      this.#waiting = response;
      this.#initialized.resolve(null);
      this.#nextAsked.resolve();
      return;
    }
    const body = await textOf(request);
    if (path === `${PREFIX}/init/error`) {
      this.#initialized.resolve(failureOf(body));
      say(response, 202, { status: 'OK' });
      return;
    }
    const [, requestId, what] = /\/invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
    if (requestId === undefined) say(response, 404, { errorType: 'NotFound', errorMessage: path });
    else this.#end(decodeURIComponent(requestId), what === 'response', body, response);
  }

  #end(requestId: string, answered: boolean, body: string, response: ServerResponse): void {
    const running = this.#running;
    if (running === null || running.invocation.requestId !== requestId) {
      say(response, 400, { errorType: 'InvalidRequestID', errorMessage: 'Invalid request ID' });
      return;
    }
    this.#running = null;
    const bytes = Buffer.byteLength(body);
    if (answered && bytes > MAX_PAYLOAD_BYTES) {
      const errorType = 'Function.ResponseSizeTooLarge';
      const errorMessage = `Response payload size (${bytes} bytes) exceeded maximum allowed payload size (${MAX_PAYLOAD_BYTES} bytes).`;
      running.settle({ kind: 'failed', errorType, errorMessage });
      say(response, 413, { errorType, errorMessage });
      return;
    }
    running.settle(answered ? { kind: 'answered', payload: body } : failureOf(body));
    say(response, 202, { status: 'OK' });
  }
}

function failureOf(body: string): RuntimeOutcome {
  const { errorType = 'Unhandled', errorMessage = body } = parsed(body) as {
    errorType?: string;
    errorMessage?: string;
  };
  return { kind: 'failed', errorType, errorMessage };
}

function parsed(body: string): object {
  try {
    return (JSON.parse(body) as object | null) ?? {};
  } catch {
    return {};
  }
}

function say(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
