import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Where a Chromium lies on this machine; `undefined` where there is none. */
export function findChromium(): string | undefined {
  return places.find((place) => existsSync(place));
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** A headless Chromium with one page, driven over a pipe: no port is opened. */
export class ChromiumPage {
  /** Everything that a developer would see as a problem: console errors, exceptions, refused or attempted requests. */
  readonly problems: string[] = [];
  /** Addresses that the page asked for. */
  readonly requested: string[] = [];
  readonly #browser: ChildProcess;
  readonly #profile: string;
  readonly #input: Writable;
  readonly #waiting = new Map<number, { resolve: (reply: Reply) => void; reject: (error: Error) => void }>();
  readonly #loads: (() => void)[] = [];
  #session = '';
  #lastId = 0;
  #received = '';

  private constructor(browser: ChildProcess, profile: string) {
    this.#browser = browser;
    this.#profile = profile;
    this.#input = browser.stdio[3] as Writable;
    // Writing to a browser that has just gone is told by its exit.
    this.#input.on('error', () => undefined);
    (browser.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => this.#receive(text));
    browser.once('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`Chromium ended with code ${code}`));
      this.#waiting.clear();
    });
  }

  static async open(executable: string): Promise<ChromiumPage> {
    const profile = await mkdtemp(join(tmpdir(), 'sluice-chromium-'));
    const browser = spawn(
      executable,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--remote-debugging-pipe',
        `--user-data-dir=${profile}`,
        'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    const page = new ChromiumPage(browser, profile);
    const { targetId } = await page.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await page.send('Target.attachToTarget', { targetId, flatten: true });
    page.#session = String(sessionId);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.send(`${domain}.enable`);
    return page;
  }

  send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    const session = this.#session === '' ? {} : { sessionId: this.#session };
    const reply = new Promise<Reply>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#input.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return reply.then(({ result, error }) => {
      if (error !== undefined) throw new Error(`${method}: ${error.message}`);
      return result ?? {};
    });
  }

  /** Opens a page and waits until it is loaded. */
  async goTo(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => this.#loads.push(resolve));
    await this.send('Page.navigate', { url });
    await loaded;
  }

  /** The value of an expression in the page, once its promise is settled. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value?: unknown }).value;
  }

  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#browser.once('exit', resolve));
    if (this.#browser.exitCode === null && this.#browser.signalCode === null) {
      this.#browser.kill('SIGKILL');
      await gone;
    }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #receive(text: string): void {
    const messages = (this.#received + text).split('\0');
    this.#received = messages.pop()!;
    for (const message of messages) this.#take(JSON.parse(message) as Reply);
  }

  #take(reply: Reply): void {
    if (reply.id !== undefined) {
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
      return;
    }
    const { method, params = {} } = reply;
    if (method === 'Page.loadEventFired') this.#loads.shift()?.();
    if (method === 'Network.requestWillBeSent')
      this.requested.push((params['request'] as { url: string }).url);
    if (method === 'Runtime.exceptionThrown') this.problems.push(JSON.stringify(params['exceptionDetails']));
    if (method === 'Runtime.consoleAPICalled') this.problems.push(JSON.stringify(params['args']));
    if (method === 'Log.entryAdded') this.problems.push(JSON.stringify(params['entry']));
  }
}
