import { createHash } from 'node:crypto';
import type { S3Calls } from '../../../src/adapters/aws/s3-client.ts';
import { compareUtf8 } from '../../../src/domain/text-order.ts';

export type MemoryS3 = Pick<S3Calls, 'create' | 'fetch' | 'list' | 'put' | 'remove'> & {
  readonly objects: ReadonlyMap<string, Uint8Array>;
};

/** One bucket in a map, with the conditional writes of S3, which its twins do not have. */
export function memoryS3(): MemoryS3 {
  const objects = new Map<string, Uint8Array>();
  return {
    objects,
    create: async ({ key }, body, _options, signal) => {
      signal.throwIfAborted();
      if (objects.has(key)) return false;
      objects.set(key, body);
      return true;
    },
    fetch: async ({ key }, signal) => {
      signal.throwIfAborted();
      return objects.get(key);
    },
    list: async ({ bucket, prefix, after, token, maxKeys }, signal) => {
      signal.throwIfAborted();
      const start = token ?? after ?? '';
      const found = [...objects.keys()]
        .filter((key) => key.startsWith(prefix) && compareUtf8(key, start) > 0)
        .sort(compareUtf8);
      const page = found.slice(0, maxKeys).map((key) => {
        const body = objects.get(key) as Uint8Array;
        const version = createHash('md5').update(body).digest('hex');
        return { bucket, key, version, size: body.length };
      });
      return { objects: page, next: found.length > page.length ? page.at(-1)?.key : undefined };
    },
    put: async ({ key }, body, _options, signal) => {
      signal.throwIfAborted();
      objects.set(key, body);
    },
    remove: async ({ key }, signal) => {
      signal.throwIfAborted();
      objects.delete(key);
    },
  };
}
