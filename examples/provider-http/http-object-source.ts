import {
  compareUtf8,
  DomainError,
  InfrastructureError,
  type ByteRange,
  type LakeObject,
  type ObjectName,
  type ObjectSource,
  type ObjectSourceCapabilities,
} from 'sluice';

/** Lists the objects of a folder: one relative path a line, percent-encoded as in a URL. */
const MANIFEST = 'manifest.txt';

/**
 * A lake behind any web server that does ranges and strong entity tags (nginx and Caddy do, for files).
 *
 * A location is the URL of an object, or of a folder, with a `/` at its end, that has a `manifest.txt`. The bucket of an
 * object is the URL's origin, its key the decoded path, its version the entity tag.
 */
export class HttpObjectSource implements ObjectSource {
  /** Every ranged read says which version it wants (`If-Match`). */
  readonly capabilities: ObjectSourceCapabilities = { detectsChange: 'on-read' };

  async *list(location: string, signal: AbortSignal, after?: string): AsyncIterable<LakeObject> {
    signal.throwIfAborted();
    const url = new URL(location);
    if (!url.pathname.endsWith('/')) {
      const object = await this.stat(nameOf(url), signal);
      if (isBehind(object, after)) yield object;
      return;
    }
    const response = await request(new URL(MANIFEST, url), { signal });
    if (!response.ok) throw await refusal(response, nameOf(url));
    const lines = (await received(response.text(), signal)).split('\n').filter((line) => line !== '');
    const names = lines.map((line) => nameOf(new URL(line, url))).filter((name) => isBehind(name, after));
    names.sort((a, b) => compareUtf8(a.key, b.key));
    for (const name of names) yield await this.stat(name, signal);
  }

  async stat(name: ObjectName, signal: AbortSignal): Promise<LakeObject> {
    signal.throwIfAborted();
    const response = await request(urlOf(name), { method: 'HEAD', signal });
    if (!response.ok) throw await refusal(response, name);
    const version = response.headers.get('etag');
    const size = response.headers.get('content-length');
    // A weak tag (`W/"…"`) may stay the same when bytes change.
    if (version === null || !version.startsWith('"') || size === null) {
      throw new InfrastructureError(`${urlOf(name).href} has no strong ETag or no Content-Length`, {
        retryable: false,
      });
    }
    return { bucket: name.bucket, key: name.key, version, size: Number(size) };
  }

  async *read(object: LakeObject, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    signal.throwIfAborted();
    const end = Math.min(range.end, object.size);
    if (range.start >= end) return;
    const headers = { range: `bytes=${range.start}-${end - 1}`, 'if-match': object.version };
    const response = await request(urlOf(object), { headers, signal });
    const { body } = response;
    if (response.status !== 206 || body === null) throw await refusal(response, object);
    // Not every server looks at If-Match.
    if (response.headers.get('etag') !== object.version) throw await changed(response, object);
    const reader = body.getReader();
    try {
      for (;;) {
        const { done, value } = await received(reader.read(), signal);
        if (done) return;
        if (value.length > 0) yield value;
      }
    } finally {
      // Ends the connection of a consumer that stops early; after the last chunk it does nothing.
      await reader.cancel().catch(() => undefined);
    }
  }
}

function isBehind({ key }: ObjectName, after: string | undefined): boolean {
  return after === undefined || compareUtf8(key, after) > 0;
}

function nameOf(url: URL): ObjectName {
  return { bucket: url.origin, key: url.pathname.slice(1).split('/').map(decodeURIComponent).join('/') };
}

function urlOf({ bucket, key }: ObjectName): URL {
  return new URL(`/${key.split('/').map(encodeURIComponent).join('/')}`, bucket);
}

function request(
  url: URL,
  { headers, ...init }: { method?: string; headers?: Record<string, string>; signal: AbortSignal },
) {
  // Identity: what a range counts are the stored bytes, not those of a compressed transfer.
  return received(
    fetch(url, { ...init, headers: { 'accept-encoding': 'identity', ...headers } }),
    init.signal,
  );
}

/** A connection that breaks is worth another try; being stopped is no failure of the connection. */
async function received<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    signal.throwIfAborted();
    throw new InfrastructureError('The connection failed', { cause, retryable: true });
  }
}

async function refusal(response: Response, name: ObjectName): Promise<Error> {
  const { status } = response;
  if (status === 412) return changed(response, name);
  await response.body?.cancel();
  const { href } = urlOf(name);
  if (status === 404 || status === 410)
    return new DomainError(`There is no object ${href}`, { code: 'E_OBJECT_NOT_FOUND' });
  if (status === 200)
    return new InfrastructureError(`${href}: the server does not do ranges`, { retryable: false });
  const retryable = status === 408 || status === 429 || status >= 500;
  return new InfrastructureError(`${href}: the server answered ${status}`, { retryable });
}

async function changed(response: Response, { bucket, key }: ObjectName): Promise<Error> {
  await response.body?.cancel();
  return new DomainError(`${bucket}/${key} has changed since it was listed`, { code: 'E_OBJECT_CHANGED' });
}
