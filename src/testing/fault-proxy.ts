import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import {
  failed,
  type Operation,
  operationOf,
  operationOfForm,
  throttled,
  type WireAnswer,
} from './fault-proxy/aws-wire.ts';
import { batchWithFaults, SecondDeliveries } from './fault-proxy/batch-faults.ts';
import {
  type BatchOperation,
  type StruckWireFault,
  type WireFault,
  type WireFaultKind,
  WireFaultPlan,
} from './fault-proxy/wire-faults.ts';

export interface FaultProxyOptions {
  /** Base URL of the server behind, such as `http://127.0.0.1:4566`. Plain HTTP. */
  readonly upstream: string;
  /** What goes wrong. Default: nothing. */
  readonly faults?: readonly WireFault[];
  /** Which calls a rate strikes, and how things are mixed. Default 1. */
  readonly seed?: number;
  /** Port to listen on at 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** How a `delay` passes; resolves after so many milliseconds. Default: a timer. */
  readonly sleep?: (ms: number) => Promise<void>;
}

export interface FaultProxy {
  /** What clients are given as endpoint. */
  readonly url: string;
  /** How often an operation was asked for so far, struck or not. */
  calls(operation: string): number;
  /** Faults that have struck, in that order. A test that means to try a fault checks that it came to it. */
  readonly struck: readonly StruckWireFault[];
  /** How many faults of a kind have struck. */
  count(kind: WireFaultKind, operation?: string): number;
  /** Other faults from now on; calls go on being counted. `plan([])` heals. */
  plan(faults: readonly WireFault[]): void;
  /** Ends the connections, and resolves when none is left. */
  stop(): Promise<void>;
}

/**
 * An HTTP proxy on loopback between clients of AWS and a server that speaks AWS's protocols, with faults as planned. What no
 * fault strikes is forwarded as it is, its `Host` included, bodies as streams.
 *
 * ```ts
 * const proxy = await startFaultProxy({
 *   upstream: server.address,
 *   seed: 7,
 *   faults: [
 *     { kind: 'reject', on: 'PutRecords', rate: 0.2, entries: 0.3 },
 *     { kind: 'throttle', on: 'GetObject', rate: 0.1 },
 *     { kind: 'lost-answer', on: 'PutRecords', call: 3 },
 *   ],
 * });
 * const client = new SQSClient({ endpoint: proxy.url, maxAttempts: 1 });
 * …
 * expect(proxy.count('reject')).toBeGreaterThan(0);
 * await proxy.stop();
 * ```
 *
 * A body that is changed no longer fits its signature: the server behind must not check signatures.
 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new RunningProxy(options);
  await proxy.listen(options.port ?? 0);
  return proxy;
}

/** The service's answer, its body still to be read. */
interface Exchange {
  readonly operation: Operation;
  readonly call: number;
  readonly faults: readonly WireFault[];
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The body, where it had to be read to know the operation. */
  readonly form: Buffer | undefined;
}

class RunningProxy implements FaultProxy {
  readonly struck: StruckWireFault[] = [];
  readonly #upstream: URL;
  readonly #seed: number;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #calls = new Map<string, number>();
  readonly #secondDeliveries = new SecondDeliveries();
  readonly #server = createServer((request, response) => {
    this.#handle(request, response).catch((error: unknown) => this.#giveUp(response, error));
  });
  #plan: WireFaultPlan;
  #url = '';

  constructor({ upstream, faults = [], seed = 1, sleep = wait }: FaultProxyOptions) {
    this.#upstream = new URL(upstream);
    this.#seed = seed;
    this.#sleep = sleep;
    this.#plan = new WireFaultPlan(faults, seed);
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return this.#url;
  }

  calls(operation: string): number {
    return this.#calls.get(operation) ?? 0;
  }

  count(kind: WireFaultKind, operation?: string): number {
    return this.struck.filter(
      (strike) => strike.fault.kind === kind && (operation === undefined || strike.operation === operation),
    ).length;
  }

  plan(faults: readonly WireFault[]): void {
    this.#plan = new WireFaultPlan(faults, this.#seed);
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = operationOf(request);
    const form = asked === 'in the form' ? await bodyOf(request) : undefined;
    const operation = asked === 'in the form' ? operationOfForm(form as Buffer) : asked;
    const call = this.calls(operation.name);
    this.#calls.set(operation.name, call + 1);
    const faults = this.#plan.faultsOf(operation.name, call);
    for (const fault of faults) this.struck.push({ fault, operation: operation.name, call });
    await this.#exchange({ operation, call, faults, request, response, form });
  }

  async #exchange(exchange: Exchange): Promise<void> {
    const { operation, faults, request, response } = exchange;
    for (const fault of faults) if (fault.kind === 'delay') await this.#sleep(fault.ms);

    const instead = this.#insteadOfForwarding(exchange);
    if (instead === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if (instead !== null) {
      request.resume();
      send(response, instead);
      return;
    }

    const strikes = (kind: WireFaultKind) => faults.some((fault) => fault.kind === kind);
    const entries = strikes('reject') || (strikes('reorder') && operation.name !== 'ReceiveMessage');
    if (entries) await this.#exchangeBatch(exchange);
    else if (operation.name === 'ReceiveMessage') await this.#receiveMessages(exchange);
    else await this.#forwardWhole(exchange);
  }

  #insteadOfForwarding({ operation, faults, request }: Exchange): WireAnswer | 'reset' | null {
    for (const fault of faults) {
      if (fault.kind === 'reset') return 'reset';
      if (fault.kind === 'throttle')
        return throttled(operation, String(request.headers['x-amz-target'] ?? ''));
      if (fault.kind === 'error') return failed(operation, fault.status);
    }
    return null;
  }

  /** The usual way: bodies pass as streams. */
  async #forwardWhole(exchange: Exchange): Promise<void> {
    const { faults, request, form } = exchange;
    if (!faults.some(({ kind }) => kind === 'duplicate')) {
      await this.#answer(exchange, await this.#forward(request, form ?? request));
      return;
    }
    const body = form ?? (await bodyOf(request));
    (await this.#forward(request, body)).resume();
    await this.#answer(exchange, await this.#forward(request, body));
  }

  async #exchangeBatch(exchange: Exchange): Promise<void> {
    const { operation, faults, call, request } = exchange;
    const asked = await jsonOf(request, operation);
    const batch = batchWithFaults(operation.name as BatchOperation, asked, faults, this.#plan, call);
    if (batch.request === null) {
      const headers = { 'content-type': request.headers['content-type'] ?? 'application/x-amz-json-1.1' };
      const body = Buffer.from(JSON.stringify(batch.answer(undefined)));
      await this.#answerWith(exchange, { status: 200, headers, body });
      return;
    }
    const body = Buffer.from(JSON.stringify(batch.request));
    if (faults.some(({ kind }) => kind === 'duplicate')) (await this.#forward(request, body)).resume();
    const answer = await this.#forward(request, body);
    await this.#answerChanged(exchange, answer, batch.answer);
  }

  async #receiveMessages(exchange: Exchange): Promise<void> {
    const { operation, faults, call, request } = exchange;
    const body = await bodyOf(request);
    const answer = await this.#forward(request, body);
    const asked = JSON.parse(body.toString()) as { QueueUrl?: string };
    const changes = faults.some(({ kind }) => kind === 'duplicate' || kind === 'reorder');
    if (operation.protocol !== 'json' || !(changes || this.#secondDeliveries.waitFor(asked.QueueUrl ?? ''))) {
      await this.#answer(exchange, answer);
      return;
    }
    await this.#answerChanged(exchange, answer, (received) =>
      this.#secondDeliveries.apply(asked, received as object, faults, (length) =>
        this.#plan.shuffled(length, 'order', operation.name, `${call}`),
      ),
    );
  }

  /** Sends a request on; resolves with the answer's head. */
  #forward(from: IncomingMessage, body: IncomingMessage | Buffer): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = endToEnd(from.headers);
      if (Buffer.isBuffer(body)) {
        headers['content-length'] = body.length;
        delete headers['transfer-encoding'];
      }
      const { hostname, port } = this.#upstream;
      const to = httpRequest(
        { hostname, port, method: from.method, path: from.url, headers, agent: this.#agent },
        resolve,
      );
      to.on('error', reject);
      // A client that goes away takes its request with it.
      from.on('close', () => {
        if (!from.complete) to.destroy();
      });
      if (Buffer.isBuffer(body)) to.end(body);
      else body.pipe(to);
    });
  }

  async #answerChanged(
    exchange: Exchange,
    answer: IncomingMessage,
    change: (answer: unknown) => unknown,
  ): Promise<void> {
    const body = await bodyOf(answer);
    const status = answer.statusCode ?? 200;
    const headers = endToEnd(answer.headers);
    if (status !== 200) {
      await this.#answerWith(exchange, { status, headers, body });
      return;
    }
    const changed = Buffer.from(JSON.stringify(change(JSON.parse(body.toString()))));
    // What the server says about its own bytes is no longer true.
    delete headers['x-amz-crc32'];
    await this.#answerWith(exchange, { status, headers, body: changed });
  }

  /** Answers with what the service said, unless a fault keeps the answer or cuts it. */
  async #answer(exchange: Exchange, answer: IncomingMessage): Promise<void> {
    const { faults, response } = exchange;
    const status = answer.statusCode ?? 200;
    const headers = endToEnd(answer.headers);
    const interrupted = faults.some(({ kind }) => kind === 'lost-answer' || kind === 'truncate');
    if (interrupted) {
      await this.#answerWith(exchange, { status, headers, body: await bodyOf(answer) });
      return;
    }
    response.writeHead(status, headers);
    answer.pipe(response);
    answer.on('error', () => response.destroy());
    response.on('close', () => answer.destroy());
  }

  async #answerWith(
    { faults, request, response }: Exchange,
    { status, headers, body }: { status: number; headers: OutgoingHttpHeaders; body: Buffer },
  ): Promise<void> {
    if (faults.some(({ kind }) => kind === 'lost-answer')) {
      request.socket.resetAndDestroy();
      return;
    }
    const head = { ...headers };
    delete head['transfer-encoding'];
    if (request.method !== 'HEAD') head['content-length'] = body.length;
    response.writeHead(status, head);
    const cut = faults.find((fault) => fault.kind === 'truncate');
    if (cut === undefined) {
      response.end(body);
      return;
    }
    const after = Math.min(cut.after ?? Math.floor(body.length / 2), Math.max(0, body.length - 1));
    // The part must be on its way before the connection ends.
    response.flushHeaders();
    await new Promise<void>((resolve) => response.write(body.subarray(0, after), () => resolve()));
    request.socket.destroy();
  }

  /** The server behind is away, or the proxy cannot do what was planned: the client must see that it is not AWS that speaks. */
  #giveUp(response: ServerResponse, error: unknown): void {
    if (response.headersSent || response.destroyed) response.destroy();
    else
      send(response, {
        status: 502,
        headers: { 'content-type': 'text/plain' },
        body: `Fault proxy: ${String(error)}`,
      });
  }
}

function send(response: ServerResponse, { status, headers, body }: WireAnswer): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function jsonOf(request: IncomingMessage, { name, protocol }: Operation): Promise<unknown> {
  if (protocol !== 'json')
    throw new Error(`Entries of ${name} can be changed in JSON only, this is ${protocol}`);
  return JSON.parse((await bodyOf(request)).toString());
}

/** What concerns one connection only is between the neighbours. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'expect',
]);

function endToEnd(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)));
}
